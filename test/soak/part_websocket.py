"""WebSocket through evenkeel: real clients of two implementations, every byte compared."""
import json

from soaklib import (HERE, MB, Process, Samples, at_rest, plain_site, proxy,
                     same_descriptors, started, steady_descriptors)

PYTHON = "/usr/bin/python3"  # Debian's, which has the packages
PEER = HERE / "ws_peer.py"


def talk(report, lb, seconds):
    """Both kinds of clients at once; -> their counts added up."""
    total = {}
    runs = {kind: Process([PYTHON, PEER, kind, lb.port, seconds])
            for kind in ("websockets", "websocket")}
    try:
        for kind, p in runs.items():
            out, _ = p.run.communicate(timeout=seconds + 120)
            counts = json.loads(out) if p.run.returncode == 0 else {}
            report.check(f"frames of python3-{kind}", counts,
                         f"{counts}" if counts else f"exit {p.run.returncode}")
            for k, n in counts.items():
                total[k] = total.get(k, 0) + n
    finally:
        for p in runs.values():
            p.end()
    return total


def run(report, options):
    one, port1 = started([PYTHON, PEER, "server"])
    two, port2 = started([PYTHON, PEER, "server"])
    with one, two:
        lb = proxy(options.folder / "websocket",
                   plain_site([port1, port2]))
        try:
            fds = steady_descriptors(lb)
            with Samples(lb) as samples:
                counts = talk(report, lb, options.seconds or 600)
            enough = min(1000, 5 * (options.seconds or 600))
            report.check("a lot went through", min(counts.get("text", 0),
                                                   counts.get("binary", 0)) >= enough,
                         f"{counts.get('bytes', 0) / 1e9:.2f} GB each way")
            report.check("every close was clean", counts.get("closed") ==
                         counts.get("connections"), f"{counts.get('closed')} with code 1000")
            report.check("gauges at the end", not any(at_rest(lb).values()))
            report.check("descriptors at the end", same_descriptors(lb, fds), str(fds))
            middle = samples.rows[len(samples.rows) // 2][0]
            growth = samples.peak_rss(middle) - samples.peak_rss(0, middle)
            report.check("RSS of the second half", growth < 2 * MB, f"{growth / MB:+.2f} MB")
            lb.stop()
        finally:
            lb.kill()
