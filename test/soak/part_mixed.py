"""Requests of every kind in an order that a seed decides; nothing may be left behind."""
import contextlib
import json
import random
import subprocess

from soaklib import (MB, Process, Samples, at_rest, descriptors, moody, optional, passive, proxy,
                     release, same_descriptors, scrape, steady_descriptors, tool)

DEADLINE_S = 1500

CONFIG = """
[global]
workers = 2
access_log = access.log
shutdown_timeout = 5s

[admin]
listen = 127.0.0.1:0

[listener main]
bind = 127.0.0.1:0

[route good]
path = /d, /c, /e, /i, /s, /u, /r, /t
pool = good

[route bad]
path = /x
pool = bad

[pool good]
{good}
keepalive_timeout = {keepalive}
{passive}

[pool bad]
{bad}
keepalive_timeout = {keepalive}
{retried}
"""


@contextlib.contextmanager
def started(folder, binary, keepalive):
    """evenkeel before three backends that do all they are told, badly too."""
    backends = [moody() for _ in range(3)]
    try:
        lines = [f"backend = 127.0.0.1:{port} name=m{i}" for i, (_, port) in enumerate(backends)]
        # Retries, where there are any, end as the attempts do: they all fail.
        retried = optional(binary, "pool", health="off", eject_failures=0)
        lb = proxy(folder, CONFIG.format(good="\n".join(lines), bad="\n".join(lines[1:]),
                                         keepalive=keepalive, passive=passive(binary),
                                         retried=retried), binary)
        try:
            yield lb
            lb.stop()
        finally:
            lb.kill()
    finally:
        for p, _ in backends:
            p.end()


def storm(lb, requests, seed, threads=48):
    """One run; -> (its figures, what it complained about)."""
    with Process([tool("storm"), lb.port, requests, seed, threads],
                 stderr=subprocess.PIPE) as p:
        out, complaints = p.run.communicate(timeout=DEADLINE_S)
    assert out, f"the storm broke down: {complaints}"
    return json.loads(out), complaints


def records(lb):
    """(requests counted, access records written or given up)."""
    f = scrape(lb)
    with open(lb.access_path, "rb") as log:
        lines = sum(block.count(b"\n") for block in iter(lambda: log.read(MB), b""))
    return (int(f["evenkeel_requests_total"].total()),
            lines + int(f["evenkeel_log_lines_lost_total"].total()))


def describe(figures):
    kinds = ", ".join(f"{n} {k}" for k, n in figures["kinds"].items())
    return (f"{figures['requests']} requests on {figures['connections']} connections in "
            f"{figures['seconds']} s, {figures['body_bytes'] / 1e9:.1f} GB of bodies: {kinds}")


def run(report, options):
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    report.note(f"seed {seed}: ./dev soak mixed --seed {seed} --requests {options.requests}")
    with started(options.folder / "mixed", release(), "1s") as lb, Samples(lb) as samples:
        fds = steady_descriptors(lb)
        storm(lb, options.requests // 50 + 1, seed + 2)  # so that all buffers were used once
        at_rest(lb)
        ends = []
        for half in range(2):
            since = samples.rows[-1][0]
            figures, complaints = storm(lb, options.requests // 2, seed + half)
            report.note(describe(figures))
            report.check(f"answers of half {half + 1}", not figures["failures"],
                         complaints or "all as they must be")
            busy = samples.peak_rss(since)
            report.check(f"gauges after half {half + 1}", not any(at_rest(lb).values()),
                         str(at_rest(lb, 0)))
            report.check(f"descriptors after half {half + 1}", same_descriptors(lb, fds),
                         f"{descriptors(lb.pid)}, {fds} at first, "
                         f"at most {samples.peak_fds()} when busy")
            ends.append((lb.rss_bytes(), busy))
            report.note("RSS: {:.2f} MB idle, {:.2f} MB at its peak".format(
                *(n / MB for n in ends[-1])))
        (rss, peak), (rss2, peak2) = ends
        report.check("RSS when idle, second half", rss2 - rss < 2 * MB,
                     f"{(rss2 - rss) / MB:+.2f} MB")
        report.check("RSS at its peak, second half", peak2 - peak < 2 * MB,
                     f"{(peak2 - peak) / MB:+.2f} MB")
        counted, written = records(lb)
        report.check("one access record a request", counted == written,
                     f"{counted} requests, {written} records")
