"""
The rows of the table.  Each function measures one subject and yields Rows; the
table GROUPS names them for the command line, in the order of a full run.
"""
import contextlib
import dataclasses
import socket
import statistics
import time

import counts
import load
import servers
from load import MB
from servers import CORES

IDLE = 10000
EQUAL = "evenkeel, equal work"


@dataclasses.dataclass
class Row:
    what: str
    value: float
    unit: str = ""
    against: str = ""
    other: float = None      # the figure of `against`
    ratio: float = None
    must: float = None       # limits of the ratio, or of the value if there is none
    aim: float = None
    noise: float = None      # of the same ratio, evenkeel against itself
    at_least: bool = False   # else the limits are upper ones

    def verdict(self):
        if self.must is None:
            return ""
        figure = self.value if self.ratio is None else self.ratio
        sign = -1 if self.at_least else 1

        def within(limit):
            return sign * figure <= sign * limit
        if within(self.must):
            return "aim" if self.aim is not None and within(self.aim) else "must"
        return "missed by less than noise" if self.noise and within(
            self.must + sign * self.noise) else "MISSED"


class Bench:
    """What the rows share: how long, the backend, figures needed twice."""

    def __init__(self, quick, rounds):
        self.quick = quick
        self.seconds = 1 if quick else 2
        self.rounds = 1 if quick else rounds
        self.counted = 1000 if quick else 4000
        self.backend = None
        self.raw = {}        # everything measured, for the JSON file
        self._saturation = None

    @contextlib.contextmanager
    def proxies(self, *wanted):
        """Starts each (name, label, options), ends them all."""
        with contextlib.ExitStack() as stack:
            running = []
            for name, label, options in wanted:
                s = servers.proxy(name, self.backend.port, label, **options)
                stack.callback(s.stop)
                running.append(s)
            yield running

    def noise(self, measure, keys, **options):
        """A/A: evenkeel against evenkeel."""
        with self.proxies(("evenkeel", "a", options), ("evenkeel", "b", options)) as two:
            halves = load.rounds(two, measure, 1 if self.quick else 2)
        self.raw.setdefault("A/A", []).append(halves)
        return load.noise(halves, "a", "b", keys)

    def saturation(self):
        """(halves, noise) of requests a second; measured once."""
        if self._saturation is None:
            def measure(s):
                return load.saturate(s, self.seconds)
            noise = self.noise(measure, ["rps"])
            with self.proxies(*plain("evenkeel", "nginx", "haproxy", "floor")) as all_:
                halves = load.rounds(all_, measure, max(1, self.rounds // 2))
            self.raw["saturation"] = halves
            self._saturation = halves, noise
        return self._saturation

    def rate(self):
        """60 % of what the slowest can do."""
        halves, _ = self.saturation()
        return int(0.6 * min(load.value(halves, n, "rps")
                             for n in ("evenkeel", "nginx", "haproxy")))


def plain(*names):
    return [(n, n, {}) for n in names]


def better(halves, key, high):
    """Which of nginx and HAProxy does better."""
    return (max if high else min)(("nginx", "haproxy"),
                                  key=lambda n: load.value(halves, n, key))


def compared(what, unit, halves, key, other, noise, ours="evenkeel", **limits):
    return Row(what, load.value(halves, ours, key), unit, other, load.value(halves, other, key),
               load.ratio(halves, ours, other, key), noise=noise.get(key), **limits)


# --- rows ---------------------------------------------------------------------

def saturation(b):
    halves, noise = b.saturation()
    yield compared("requests/s at saturation, 64 connections", "1/s", halves, "rps",
                   better(halves, "rps", True), noise, must=1.0, aim=1.05, at_least=True)
    for other in ("nginx", "haproxy", "floor"):
        yield compared("requests/s, each", "1/s", halves, "rps", other, noise)


def counted_connections(b, measure):
    """`measure`, and the connections the backend got a thousand requests meanwhile."""
    def run(server):
        before = servers.accepted(b.backend)
        figures = measure(server)
        new = servers.accepted(b.backend) - before - 1
        figures["new_per_1000"] = 1000 * new / max(figures["done"], 1)
        return figures
    return run


def check_reuse(halves):
    """A proxy that opens connections to the backend was configured badly."""
    for name in ("evenkeel", "nginx", "haproxy"):
        new = halves[-1][name]["new_per_1000"]
        if new > 5:
            raise load.Wrong(f"{name} opened {new:.1f} backend connections per 1000 requests")
        yield Row(f"new backend connections per 1000 requests, {name}", new, must=5)


def request(b):
    """CPU and latency of keep-alive GETs of 1 KB at an equal offered rate."""
    rate = b.rate()
    measure = counted_connections(b, lambda s: load.at_rate(s, rate, b.seconds))
    noise = b.noise(measure, ["cpu_us", "p50_us", "p99_us"])
    wanted = plain("evenkeel", "nginx", "haproxy", "floor")
    wanted.append(("evenkeel", EQUAL, {"listener": servers.EQUAL_WORK}))
    with b.proxies(*wanted) as all_:
        halves = load.rounds(all_, measure, b.rounds)
    b.raw["request"] = {"rate": rate, "halves": halves}
    limits = {"nginx": (0.95, 0.90), "haproxy": (0.72, 0.66), "floor": (1.20, 1.12)}
    for ours in ("evenkeel", EQUAL):
        for other, (must, aim) in limits.items():
            yield compared(f"CPU per GET of 1 KB at {rate}/s, {ours}", "us", halves, "cpu_us",
                           other, noise, ours=ours, must=must, aim=aim)
    best = better(halves, "p99_us", False)
    yield compared(f"p99 at {rate}/s, open loop", "us", halves, "p99_us", best, noise,
                   must=1.1, aim=1.0)
    for other in ("nginx", "haproxy", "floor"):
        yield compared("p50 of these", "us", halves, "p50_us", other, noise)
    yield from check_reuse(halves)


def system_calls(b):
    for name in ("evenkeel", "nginx", "haproxy", "floor"):
        calls = counts.system_calls(counts.Subject(name, b.backend), b.counted)
        b.raw[f"system calls, {name}"] = calls
        ours = name == "evenkeel"
        yield Row(f"system calls per request, {name}", sum(c for c, _ in calls.values()),
                  must=4.35 if ours else None, aim=4.25 if ours else None)
        if ours:
            extra = sum(calls.get(c, (0, 0))[0] for c in ("epoll_ctl", "setsockopt"))
            errors = sum(e for _, e in calls.values())
            yield Row("epoll_ctl, setsockopt, errors per request", extra + errors,
                      must=0.02, aim=0.005)


def instructions(b):
    found = {n: counts.instructions(counts.Subject(n, b.backend), b.counted // 2)
             for n in ("evenkeel", "haproxy", "nginx", "floor")}
    b.raw["instructions"] = found
    ours = found.pop("evenkeel")
    for name, theirs in found.items():
        limited = {"must": 0.6, "aim": 0.4} if name == "haproxy" else {}
        yield Row("user instructions per request", ours, "", name, theirs, ours / theirs,
                  **limited)


def idle_memory(b):
    n = 1000 if b.quick else IDLE
    for name in ("evenkeel", "nginx", "haproxy"):
        with b.proxies((name, name, {})) as (s,):
            load.Idle(s, load.CONNECTIONS).end()
            before = s.memory("RssAnon")
            with load.Idle(s, n):
                each = (s.memory("RssAnon") - before) / n
        ours = name == "evenkeel"
        yield Row(f"user memory per idle client connection, {n} of them, {name}", each, "B",
                  must=700 if ours else None, aim=424 if ours else None)


def read_slowly(server, size):
    """A body through a reader slower than any proxy; the largest RSS on the way."""
    peak, got, block = 0, 0, bytearray(MB)
    with socket.create_connection(("127.0.0.1", server.port)) as s:
        s.sendall(b"GET /bytes/%d HTTP/1.1\r\nHost: x\r\n\r\n" % size)
        while got < size:
            n = s.recv_into(block)
            if n == 0:
                raise load.Wrong(f"{server.name}: the body ended after {got} bytes")
            if (got + n) // (16 * MB) != got // (16 * MB):
                peak = max(peak, server.memory())
            got += n
            time.sleep(n / (400 * MB))
    return peak


def body_memory(b):
    size = (128 if b.quick else 2048) * MB
    for name in ("evenkeel", "nginx", "haproxy"):
        with b.proxies((name, name, {})) as (s,):
            load.generate(s, seconds=0.3, rate=1000)
            before = s.memory()
            growth = (read_slowly(s, size) - before) / MB
        ours = name == "evenkeel"
        yield Row(f"RSS growth, body of {size // MB} MB to a slow reader, {name}", growth, "MB",
                  must=1 if ours else None, aim=1 if ours else None)


# Other ways to set them up for bodies: without limits, for comparison.
BODY_VARIANTS = [
    ("nginx", "nginx, default buffers", {"buffers": ""}),
    ("nginx", "nginx, 4 buffers of 256k",
     {"buffers": "proxy_buffers 4 256k; proxy_busy_buffers_size 512k;"}),
    ("haproxy", "haproxy, 64k buffers, no splice", {"body": "", "bufsize": 65536})]


def body_cpu(b):
    """Large bodies, framed by length and in chunks."""
    def measure(path):
        return lambda s: load.body(s, path, b.seconds)
    noise = b.noise(measure(f"/bytes/{16 * MB}"), ["cpu_ms_gb"])
    wanted = plain("evenkeel", "nginx", "haproxy", "floor") + BODY_VARIANTS
    limits = {"nginx": {"must": 0.8, "aim": 0.6}, "haproxy": {"must": 1.0, "aim": 0.9}}
    for path, text, limited, n in (("/bytes", "CPU per GB of body", limits, len(wanted)),
                                   ("/chunked", "CPU per GB of chunked body", {}, 4)):
        with b.proxies(*wanted[:n]) as all_:
            halves = load.rounds(all_, measure(f"{path}/{16 * MB}"), max(1, b.rounds // 2))
        b.raw[text] = halves
        for _, other, _ in wanted[1:n]:
            yield compared(text, "ms", halves, "cpu_ms_gb", other, noise,
                           **limited.get(other, {}))


def workers(b):
    """Two workers against one, all processes free to use all cores."""
    free = {"cores": CORES}
    wanted = [(name, f"{name} {n}", {"workers": n, **free})
              for name in ("evenkeel", "haproxy") for n in (1, 2)]

    def measure(s):
        return load.saturate(s, b.seconds, threads=min(2, len(CORES)), cores=CORES)
    with b.proxies(*wanted) as all_:
        halves = load.rounds(all_, measure, max(1, b.rounds // 2))
    b.raw["workers"] = halves
    ours = load.ratios(halves, "evenkeel 2", "evenkeel 1", "rps")
    theirs = load.ratios(halves, "haproxy 2", "haproxy 1", "rps")
    both = [o / t for o, t in zip(ours, theirs)]
    yield Row(f"two workers against one, requests/s on {len(CORES)} cores with the load",
              statistics.median(ours), "x", "haproxy", statistics.median(theirs),
              statistics.median(both), must=1.0, at_least=True,
              noise=(max(both) - min(both)) / 2)


def idle_latency(b):
    """Does a crowd of idle connections slow the busy ones?"""
    n = 1000 if b.quick else IDLE
    rate = b.rate()
    measure = counted_connections(b, lambda s: load.at_rate(s, rate, b.seconds))
    with b.proxies(("evenkeel", "crowded", {}), ("evenkeel", "empty", {})) as (crowded, empty):
        with load.Idle(crowded, n):
            halves = load.rounds([crowded, empty], measure, b.rounds)
    b.raw["idle latency"] = halves
    for key, what in (("p99_us", "p99"), ("cpu_us", "CPU per GET")):
        yield compared(f"{what} with {n} idle and 64 busy connections", "us", halves, key,
                       "empty", {}, ours="crowded")


def pick(b):
    few, many = counts.pick_instructions(2), counts.pick_instructions(100000)
    b.raw["pick"] = [few, many]
    yield Row("instructions per pick, 100,000 backends", many, "", "2 backends", few,
              many / few, must=1.0, aim=1.0)


GROUPS = {"saturation": saturation, "request": request, "system_calls": system_calls,
          "instructions": instructions, "idle_memory": idle_memory,
          "body_memory": body_memory, "body_cpu": body_cpu, "workers": workers,
          "idle_latency": idle_latency, "pick": pick}
