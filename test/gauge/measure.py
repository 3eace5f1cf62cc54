"""
What one keep-alive request costs, by counting: each run is made with N and
with 2N requests, and the difference is divided by N, so that start, end and
the opening of connections drop out.  Noise of the machine cannot touch it.
"""
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test" / "e2e"))

from harness import Client, Evenkeel, build_of, ini, until  # noqa: E402

OUT = ROOT / "build" / "gauge"
CONNECTIONS = 64


def compile_tools():
    """The C helpers, built when they are older than their source."""
    OUT.mkdir(parents=True, exist_ok=True)
    here = ROOT / "test" / "gauge"
    for source, target, flags in (("backend.c", "backend", []), ("checks.c", "checks", []),
                                  ("mallocs.c", "mallocs.so", ["-shared", "-fPIC"])):
        subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-D_GNU_SOURCE", *flags,
                        "-o", OUT / target, here / source], check=True)


class PreparedBackend:
    """The C backend, on a port that nobody had."""

    def __init__(self, port):
        self.port = port
        self.process = subprocess.Popen([OUT / "backend", str(port)])
        until(self.answers, "the prepared backend to answer")

    def answers(self):
        try:
            with Client(self.port) as c:
                return c.ask().status == 200
        except OSError:
            return False

    def stop(self):
        self.process.kill()
        self.process.wait()


def load(port, requests):
    """A closed loop of 64 connections; every request must succeed."""
    run = subprocess.run(["h2load", "--h1", f"-n{requests}", f"-c{CONNECTIONS}", "-t1",
                          f"http://127.0.0.1:{port}/gauge"],
                         capture_output=True, text=True, timeout=280, check=True)
    assert f"{requests} succeeded" in run.stdout, run.stdout


def run_once(folder, backend, requests, prefix):
    """One evenkeel under `prefix`, `requests` requests, a clean end."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    text = ini([f"127.0.0.1:{backend.port}"], pool="keepalive = 256\n")
    lb = Evenkeel(folder, text, binary=build_of("release"), prefix=prefix)
    try:
        load(lb.port, requests)
        lb.stop(60)
    finally:
        lb.kill()


def strace_table(path):
    """{call: (calls, errors)} of an `strace -c` summary."""
    table = {}
    for line in path.read_text().splitlines():
        m = re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(\d+)?\s*(\w+)$", line)
        if m:
            table[m.group(3)] = (int(m.group(1)), int(m.group(2) or 0))
    return table


def system_calls(backend, requests):
    """{name: per request} for the interesting groups."""
    tables = []
    for n in (requests, 2 * requests):
        out = OUT / f"strace.{n}"
        out.unlink(missing_ok=True)
        run_once(OUT / "lb", backend, n, ["strace", "-D", "-f", "-c", "-o", out])
        until(lambda: out.exists() and " total" in out.read_text(), "strace's summary")
        tables.append(strace_table(out))
    one, two = tables

    def per_request(names, column):
        return sum(two.get(n, (0, 0))[column] - one.get(n, (0, 0))[column]
                   for n in names) / requests
    names = (set(one) | set(two)) - {"total"}
    return {
        "system calls": per_request(names, 0),
        "epoll_ctl": per_request(["epoll_ctl"], 0),
        "EAGAIN and other errors": per_request(names, 1),
        "setsockopt": per_request(["setsockopt"], 0),
        "brk, mmap, munmap": per_request(["brk", "mmap", "munmap"], 0),
    }, {n: per_request([n], 0) for n in names}


def instructions(backend, requests):
    counts = []
    for n in (requests, 2 * requests):
        out = OUT / f"callgrind.{n}"
        run_once(OUT / "lb", backend, n,
                 ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"])
        counts.append(int(re.search(r"^(?:summary|totals): (\d+)", out.read_text(),
                                    re.M).group(1)))
    return (counts[1] - counts[0]) / requests


def allocations(backend, requests):
    counts = []
    for n in (requests, 2 * requests):
        out = OUT / f"mallocs.{n}"
        run_once(OUT / "lb", backend, n,
                 ["env", f"LD_PRELOAD={OUT}/mallocs.so", f"MALLOCS_FILE={out}"])
        counts.append(int(out.read_text()))
    return (counts[1] - counts[0]) / requests
