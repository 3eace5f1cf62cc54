"""10,000 idle connections and 64 busy ones; all are answered afterwards."""
import subprocess

from soaklib import (Process, anonymous_bytes, at_rest, free_port, get_ready, load,
                     more_files, passive, proxy, release, same_descriptors, scrape,
                     steady_descriptors, tool)

IDLE, BUSY, SECONDS = 10000, 64, 5
USER_BYTES_LIMIT = 700

CONFIG = """
[global]
workers = 2
max_connections = {most}

[admin]
listen = 127.0.0.1:0

[listener main]
bind = 127.0.0.1:0
idle_timeout = 10m

[pool web]
backend = 127.0.0.1:{port}
keepalive_timeout = 1s
{passive}
"""


class Idle:
    """Connections that make a request when they are told to, and nothing else."""

    def __init__(self, port, count):
        self.count = count
        self.process = Process([tool("load"), port, "/", "-H", "-c", count],
                               stdin=subprocess.PIPE)
        self._told()

    def _told(self):
        line = self.process.line()
        assert line == "idle", f"not all of {self.count} connections were answered: {line!r}"

    def ask_all(self):
        self.process.run.stdin.write("\n")
        self.process.run.stdin.flush()
        self._told()

    def end(self):
        self.process.run.stdin.close()
        self.process.run.wait(30)
        self.process.end()


def press(report, folder, binary, count=IDLE, seconds=SECONDS):
    port = free_port()
    with Process([tool("backend"), port]):
        get_ready(port)
        lb = proxy(folder, CONFIG.format(port=port, most=count + 500,
                                         passive=passive(binary)), binary)
        idle = None
        try:
            load(lb.port, "/", 0.2, BUSY)
            at_rest(lb)
            fds, before = steady_descriptors(lb), anonymous_bytes(lb.pid)
            idle = Idle(lb.port, count)
            there = scrape(lb)["evenkeel_connections"].total(side="client")
            report.check("idle connections", there == count, f"{there:.0f}")
            each = (anonymous_bytes(lb.pid) - before) / count
            report.check("memory of an idle connection", each <= USER_BYTES_LIMIT,
                         f"{each:.0f} bytes")
            f = load(lb.port, "/", seconds, BUSY)
            report.check("busy ones beside them", f["done"] and not f["errors"] + f["unsent"],
                         f"{f['done'] / seconds:.0f} requests/s, p99 {f['p99_us'] / 1000:.2f} ms")
            idle.ask_all()
            report.check("all answered afterwards", True, f"{count} on their connections")
            idle.end()
            report.check("gauges at the end", not any(at_rest(lb).values()))
            report.check("descriptors at the end", same_descriptors(lb, fds), str(fds))
            lb.stop()
        finally:
            if idle:
                idle.process.end()
            lb.kill()


def run(report, options):
    assert more_files() >= IDLE + 1000, "too few open files are allowed (ulimit -Hn)"
    press(report, options.folder / "connections", release())
