"""Load, and what it cost the proxy: one measurement of one server."""
import json
import re
import statistics
import subprocess

import servers
from servers import LOAD_CORES, OUT

CONNECTIONS = 64
WARMUP_MS = 400
MB = 1 << 20


class Wrong(Exception):
    """A measurement that cannot be used."""


def generator(server, path, *options):
    """The command line of build/bench/load for it."""
    return [OUT / "load", server.port, path, *options, *(["-t"] if server.trust else [])]


def generate(server, path="/", seconds=3.0, rate=0, connections=CONNECTIONS, cores=None,
             flags=()):
    """
    One run of build/bench/load against `server`: its figures, with `cpu_ns`
    of the server between the end of the warm-up and the last answer.
    """
    args = generator(server, path, "-c", connections, "-r", rate,
                     "-w", WARMUP_MS, "-d", int(seconds * 1000), *flags)
    with servers.spawn(args, cores or LOAD_CORES, stdout=subprocess.PIPE, text=True) as run:
        if run.stdout.readline() != "warm\n":
            run.wait(10)
            raise Wrong(f"{server.name}: the generator failed at {path}")
        before = server.cpu_ns()
        figures = json.loads(run.stdout.readline())
        figures["cpu_ns"] = server.cpu_ns() - before
    if figures["errors"]:
        raise Wrong(f"{server.name}: {figures['errors']} errors at {path}")
    return figures


def at_rate(server, rate, seconds, **more):
    """Open loop.  CPU a request in us, latencies in us."""
    f = generate(server, rate=rate, seconds=seconds, **more)
    f["cpu_us"] = f["cpu_ns"] / 1000 / max(f["done"], 1)
    return f


def body(server, path, seconds):
    """Four connections, one large body after the other.  CPU in ms a GB."""
    f = generate(server, path=path, seconds=seconds, connections=4)
    f["cpu_ms_gb"] = f["cpu_ns"] / 1e6 / (f["bytes"] / 1e9)
    f["gb_s"] = f["bytes"] / 1e9 / seconds
    return f


def saturate(server, seconds, threads=1, cores=None):
    """wrk, closed loop: requests a second."""
    args = ["wrk", "-t", threads, "-c", CONNECTIONS, "-d", f"{max(1, round(seconds))}s",
            server.url()]
    with servers.spawn(args, cores or LOAD_CORES, stdout=subprocess.PIPE, text=True) as run:
        text = run.communicate(timeout=seconds + 30)[0]
    if "Non-2xx" in text or "Socket errors" in text:
        raise Wrong(f"{server.name}: {text}")
    return {"rps": float(re.search(r"Requests/sec:\s*([\d.]+)", text).group(1))}


def exactly(server, requests):
    """So many requests in a closed loop of 64 connections; all must succeed."""
    with servers.spawn(["h2load", "--h1", f"-n{requests}", f"-c{CONNECTIONS}", "-t1",
                        server.url()], LOAD_CORES, stdout=subprocess.PIPE, text=True) as run:
        text = run.communicate(timeout=280)[0]
    if f"{requests} succeeded" not in text:
        raise Wrong(text)


# How a connection begins: flags of the generator.
FULL, RESUMED = ("-1",), ("-R",)


def handshakes(server, kind, seconds, rate=0):
    """
    Connections with a handshake, one small GET and an orderly end: CPU of each
    in us, and how many a second.
    """
    f = generate(server, "/small", seconds, rate, flags=kind)
    if f["resumed"] != (f["done"] if kind == RESUMED else 0):
        raise Wrong(f"{server.name}: {f['resumed']} of {f['done']} resumed")
    f["cpu_us"] = f["cpu_ns"] / 1000 / max(f["done"], 1)
    f["rps"] = f["done"] / seconds
    return f


def exact_handshakes(server, kind, connections):
    """So many, one after the other on each of eight."""
    with servers.spawn(generator(server, "/small", "-c", 8, "-n", connections, *kind),
                       LOAD_CORES, stdout=subprocess.PIPE, text=True) as run:
        text = run.communicate(timeout=280)[0]
    if f'"done": {connections},' not in text or '"errors": 0,' not in text:
        raise Wrong(f"{server.name}: {text}")


class Idle:
    """Connections that have made one request each and now do nothing."""

    def __init__(self, server, connections):
        self.run = servers.spawn(generator(server, "/", "-H", "-c", connections), LOAD_CORES,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.run.stdout.readline() != "idle\n":
            self.end()
            raise Wrong(f"{server.name}: no {connections} idle connections")

    def end(self):
        self.run.stdin.close()
        self.run.wait(30)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


# --- rounds -------------------------------------------------------------------

def rounds(contenders, measure, count):
    """
    A B C, C B A, and so on: a list of {name: figures}, one for each half, so
    that those compared were measured close to each other.
    """
    halves = []
    for i in range(2 * count):
        order = contenders if i % 2 == 0 else contenders[::-1]
        halves.append({s.name: measure(s) for s in order})
    return halves


def ratios(halves, ours, other, key):
    return [h[ours][key] / max(h[other][key], 1e-9) for h in halves]


def ratio(halves, ours, other, key):
    return statistics.median(ratios(halves, ours, other, key))


def value(halves, name, key):
    return statistics.median(h[name][key] for h in halves)


def noise(halves, ours, other, keys):
    """Of A/A halves: the largest difference from 1 of each key's ratio."""
    return {k: max(abs(r - 1) for r in ratios(halves, ours, other, k)) for k in keys}
