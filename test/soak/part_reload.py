"""A hundred reloads in 20 s under 64 clients: nobody notices, nothing piles up."""
import itertools
import pathlib
import signal
import sys
import threading
import time

from soaklib import (MB, Client, Process, free_port, get_ready, proxy, release, scrape,
                     steady_descriptors, tool, until)

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

from harness import Backend  # noqa: E402
from harness.crowd import Crowd  # noqa: E402
from harness.reload import ask, counters, counts, never_fell, snapshots, write  # noqa: E402

CLIENTS, RATE, SERVERS = 64, 1500, 4
RELOADS, SECONDS, SETTLED = 100, 20, 10
GROWTH = 3 * MB
TUNNELS, DOWNLOADS = 4, 2
LASTING = TUNNELS + DOWNLOADS

# What both have.
SITE = """
[global]
workers = 2
shutdown_timeout = 5s
log_level = {level}
access_log = access.log
access_log_format = {form}

[admin]
listen = 127.0.0.1:0

[listener main]
bind = 127.0.0.1:0
pool = web
{listener}

[route talk]
path = /talk
pool = talk

[route drip]
path = /drip
pool = drip
{routes}
"""
POOL = """
[pool {name}]
{backends}
health = off
eject_failures = 0
retry_attempts = 0
keepalive_timeout = 500ms
{rules}
"""


def pool(name, ports, rules=""):
    lines = "\n".join(f"backend = 127.0.0.1:{p}" for p in ports)
    return POOL.format(name=name, backends=lines, rules=rules)


def configs(ports, talk, drip):
    """Two that differ in whatever a reload can change under traffic."""
    one = SITE.format(level="info", form="json", listener="", routes="") + \
        pool("web", ports[:3]) + pool("talk", talk) + pool("drip", drip[:1])
    two = SITE.format(level="warn", form="combined",
                      listener="max_header_size = 64k\nidle_timeout = 50s\nbody_timeout = 7s",
                      routes="\n[route more]\npath = /bytes\npool = more") + \
        pool("web", ports[2:], "balance = least_connections\nresponse_timeout = 9s\n"
             "max_header_size = 8k\nkeepalive = 7") + \
        pool("talk", talk[1:]) + pool("drip", drip[1:]) + pool("more", ports[:1])
    return one, two


def echo(conn):
    conn.request()
    conn.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
    while True:
        conn.stream.need(bool)
        data, conn.stream.buf = conn.stream.buf, b""
        conn.send(data)


class Dripping:
    """A download that goes on, a numbered chunk at a time, until it is told to end."""

    def __init__(self):
        self.over = threading.Event()

    def __call__(self, conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for n in itertools.count():
            line = b"%08d\n" % n
            conn.send(b"%x\r\n%s\r\n" % (len(line), line))
            if self.over.wait(0.05):
                break
        conn.send(b"0\r\n\r\n")


def whole(body):
    """Whether no piece is missing, of at least two."""
    lines = body.split(b"\n")
    return len(lines) > 2 and lines[:-1] == [b"%08d" % n for n in range(len(lines) - 1)]


class Tunnel:
    """One that is used all the time; .count answers so far."""

    def __init__(self, lb):
        self.client, self.count = Client(lb.port), 0
        self.client.request(target="/talk", fields=["Connection: Upgrade", "Upgrade: x"])
        self.client.stream.need(lambda buf: buf.endswith(b"\r\n\r\n"))
        assert b" 101 " in self.client.stream.buf
        self.client.stream.buf = b""

    def use(self):
        frame = b"frame %d" % self.count
        self.client.send(frame).stream.need(lambda buf: buf == frame)
        self.client.stream.buf = b""
        self.count += 1


class State:
    """Descriptors and memory while nobody asks."""

    def __init__(self, lb, crowd, like=None):
        crowd.pause()
        until(lambda: scrape(lb)["evenkeel_connections"].total(side="backend") == LASTING,
              "connections to backends that are not kept", 20)
        self.files = steady_descriptors(lb)
        if like:
            until(lambda: lb.open_files() == like.files or crowd.failed, "the same descriptors", 20)
            self.files = lb.open_files()
        self.rss = lb.rss_bytes()
        crowd.go_on()


def press(report, folder, binary, reloads=RELOADS, seconds=SECONDS, memory=True):
    drip, servers, ends = Dripping(), [], []
    special = [Backend(echo), Backend(echo), Backend(drip), Backend(drip)]
    try:
        ports = [free_port() for _ in range(SERVERS)]
        for port in ports:
            servers.append(Process([tool("backend"), port]))
            get_ready(port)
        texts = configs(ports, *[[b.port for b in special[i:i + 2]] for i in (0, 2)])
        lb = proxy(folder, texts[0], binary=binary)
        ends.append(lb.kill)
        tunnels = [Tunnel(lb) for _ in range(TUNNELS)]
        slow = [Client(lb.port, deadline_s=60).request(target="/drip")
                for _ in range(DOWNLOADS)]
        with Crowd(lb.port, CLIENTS, RATE) as crowd:
            turn(report, lb, crowd, texts, tunnels, (reloads, seconds, memory))
            report.check("no request failed, no connection was reset",
                         crowd.done > 100 and not crowd.failed,
                         f"{crowd.done} requests {crowd.failed[:3] or ''}")
            crowd.failed.clear()
        drip.over.set()
        report.check("slow downloads are whole", all(whole(c.response().body) for c in slow))
        report.check("tunnels live", all(t.count == reloads for t in tunnels),
                     f"{len(tunnels)}, {reloads} frames each")
        for c in [t.client for t in tunnels] + slow:
            c.close()
        until(lambda: snapshots(lb) == 1, "one configuration")
        lb.stop()
    finally:
        drip.over.set()
        for end in [*ends, *(b.stop for b in special), *(s.end for s in servers)]:
            end()


def turn(report, lb, crowd, texts, tunnels, size):
    """The reloads themselves, evenly in the time, every seventh by HUP."""
    reloads, seconds, memory = size
    wrong, fell, most, took, settled = [], [], 0, [], None
    due, before = time.monotonic(), counters(lb)
    for n in range(1, reloads + 1):
        write(lb, texts[n % 2])
        start = time.monotonic()
        by_hup(lb) if n % 7 == 0 else wrong.extend(by_verb(lb))
        took.append(time.monotonic() - start)
        for t in tunnels:
            t.use()
        most, now = max(most, snapshots(lb)), counters(lb)
        fell, before = fell + list(never_fell(before, now).items()), now
        if n == SETTLED:
            settled, due = State(lb, crowd), time.monotonic() - n * seconds / reloads
        threading.Event().wait(max(0.0, due + n * seconds / reloads - time.monotonic()))
    got, done = counts(lb), State(lb, crowd, settled)
    report.check("reloads", not wrong and got == {"applied": reloads, "refused": 0},
                 f"{got}, at most {1000 * max(took):.0f} ms {wrong[:2] or ''}")
    report.check("counters never fell", not fell, f"{fell[:3] or ''}")
    report.check("configurations alive", most <= 3, f"at most {most}")
    report.check("descriptors", done.files == settled.files, f"{settled.files} and {done.files}")
    if memory:
        report.check("memory", done.rss <= settled.rss + GROWTH,
                     f"{settled.rss / MB:.1f} and {done.rss / MB:.1f} MB")


def by_hup(lb):
    before = counts(lb)["applied"]
    lb.signal(signal.SIGHUP)
    until(lambda: counts(lb)["applied"] > before, "the reload")


def by_verb(lb):
    r = ask(lb)
    return [] if r.returncode == 0 else [(r.returncode, r.stdout, r.stderr)]


def run(report, options):
    press(report, options.folder / "reload", release())
