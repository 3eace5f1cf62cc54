"""What the parts share: tools in C, an evenkeel to press on, samples of it, a report."""
import json
import pathlib
import re
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "test/e2e"))

from harness import Client, Evenkeel, build_of, metrics, until  # noqa: E402
from harness.proxy import files_of  # noqa: E402

OUT = ROOT / "build/soak"
BENCH = ROOT / "test/bench"
MB = 1 << 20
SOURCES = {
    "storm": [HERE / "storm.c", HERE / "wire.c"],
    "moody": [HERE / "moody.c", HERE / "wire.c"],
    "load": [BENCH / f for f in ("load.c", "latency.c", "response.c", "stream.c")],
    "backend": [BENCH / "backend.c"],
}
# Before what is timed, so that other work on this machine is not (without the
# right to it `nice` warns and goes on).
URGENT = ("nice", "-n", "-15")
HEADERS = [HERE / "wire.h", BENCH / "latency.h", BENCH / "response.h", BENCH / "stream.h"]


class Report:
    """Checks with their figures; one line each, at once."""

    def __init__(self):
        self.passed = self.failed = 0

    def note(self, text):
        print(f"       {text}", flush=True)

    def check(self, name, fact, figure=""):
        fact = bool(fact)
        self.passed += fact
        self.failed += not fact
        print(f"{'ok    ' if fact else 'FAILED'} {name}{': ' if figure else ''}{figure}",
              flush=True)
        return fact


class Skipped(Exception):
    """What a part needs is not there."""


def tool(name):
    """build/soak/NAME, compiled when its sources are newer."""
    OUT.mkdir(parents=True, exist_ok=True)
    made, sources = OUT / name, SOURCES[name]
    newest = max(f.stat().st_mtime for f in sources + HEADERS)
    if not made.exists() or made.stat().st_mtime < newest:
        with tempfile.TemporaryDirectory(dir=OUT) as folder:
            fresh = pathlib.Path(folder) / name
            subprocess.run(["cc", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE",
                            "-o", fresh, *sources, "-lpthread", "-lssl", "-lcrypto"],
                           check=True)
            fresh.rename(made)  # others may be about the same
    return made


def more_files():
    """As many open files as are allowed; -> how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class Process:
    """A helper process that is ended with the part; its output as text."""

    def __init__(self, args, **more):
        more.setdefault("stdout", subprocess.PIPE)
        self.run = subprocess.Popen([str(a) for a in args], text=True, **more)

    def line(self):
        return self.run.stdout.readline().strip()

    def result(self, deadline_s):
        """Its output when it has ended; AssertionError unless with exit code 0."""
        out, _ = self.run.communicate(timeout=deadline_s)
        assert self.run.returncode == 0, f"{self.run.args[0]}: exit {self.run.returncode}\n{out}"
        return out

    def end(self):
        if self.run.poll() is None:
            self.run.terminate()
            try:
                self.run.wait(10)
            except subprocess.TimeoutExpired:
                self.run.kill()
                self.run.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def started(args, **more):
    """A server that prints its port as its first line; -> (Process, port)."""
    p = Process(args, **more)
    return p, int(p.line())


def free_port():
    """A port nobody has now, for programs that cannot tell theirs."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def get_ready(port):
    """Waits until somebody listens there."""
    def listens():
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            return False
    until(listens, f"a server on port {port}")


def moody(prefix=()):
    return started([*prefix, tool("moody")])


def known(binary):
    """The options this evenkeel has, as "section.key"."""
    text = subprocess.run([binary, "-c", ROOT / "lb.ini", "config", "--defaults"],
                          capture_output=True, text=True, check=True).stdout
    found, section = set(), ""
    for line in text.splitlines():
        if m := re.match(r"\[(\w+)", line):
            section = m.group(1)
        elif m := re.match(r"(?:; )?(\w+) = ", line):
            found.add(f"{section}.{m.group(1)}")
    return found


def optional(binary, section, **options):
    """Lines for those of the options that this evenkeel has."""
    have = known(binary)
    return "".join(f"{k} = {v}\n" for k, v in options.items() if f"{section}.{k}" in have)


def passive(binary):
    """Pool lines for backends that only see what the part sends them."""
    return optional(binary, "pool", health="off", retry_attempts=0, eject_failures=0)


def plain_site(ports):
    """One listener and one pool of backends that only see what the part sends them."""
    backends = "\n".join(f"backend = 127.0.0.1:{port}" for port in ports)
    return f"""
[global]
workers = 2

[admin]
listen = 127.0.0.1:0

[listener main]
bind = 127.0.0.1:0

[pool web]
{backends}
{passive(release())}
"""


# --- looking at evenkeel -------------------------------------------------------------

def scrape(lb):
    with Client(lb.admin_port) as c:
        return metrics.parse(c.ask(target="/metrics").body.decode())


def gauges(lb):
    """Everything that must be 0 when nobody is there."""
    f = scrape(lb)
    return {"clients": f["evenkeel_connections"].total(side="client"),
            "backends": f["evenkeel_connections"].total(side="backend"),
            "inflight": f["evenkeel_backend_inflight"].total(),
            "queue": f["evenkeel_queue_length"].total()}


def at_rest(lb, deadline_s=30.0):
    """Waits until all gauges are 0; -> what they are in the end."""
    try:
        until(lambda: not any(gauges(lb).values()), "all gauges at 0", deadline_s, 0.05)
    except AssertionError:
        pass
    return gauges(lb)


def descriptors(pid):
    """How many, pipes left out: some are kept for the next large body."""
    return files_of(pid)[0]


def steady_descriptors(lb):
    """The same, once whatever was closed here is closed there."""
    seen = []

    def steady():
        seen.append(descriptors(lb.pid))
        return len(seen) > 5 and len(set(seen[-5:])) == 1
    until(steady, "a steady number of descriptors", 10.0, 0.05)
    return seen[-1]


def same_descriptors(lb, count, deadline_s=10.0):
    """
    Waits until there are so many, and no more pipes than are kept.  What is
    closed here, a scrape for one, is closed there a moment later.
    """
    try:
        until(lambda: descriptors(lb.pid) == count and lb.few_pipes(), "the descriptors",
              deadline_s)
    except AssertionError:
        return False
    return True


def anonymous_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(x.split()[1]) * 1024 for x in f if x.startswith("RssAnon"))


class Samples:
    """RSS and descriptors of a process, twice a second, in a thread of its own."""

    def __init__(self, lb):
        self.lb, self.rows, self._done = lb, [], threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while True:
            self.rows.append((time.monotonic(), self.lb.rss_bytes(),
                              sum(files_of(self.lb.pid))))
            if self._done.wait(0.5):
                return

    def peak_rss(self, since=0.0, till=float("inf")):
        return max((r for t, r, _ in self.rows if since <= t <= till), default=0)

    def peak_fds(self):
        return max(fds for _, _, fds in self.rows)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()


def load(port, path, seconds, connections=64, rate=0, prefix=()):
    """One run of the generator; its figures."""
    with Process([*prefix, tool("load"), port, path, "-c", connections, "-r", rate, "-w", 0,
                  "-d", int(seconds * 1000)]) as p:
        return json.loads(p.result(seconds + 60).splitlines()[-1])


def release():
    path = build_of("release")
    assert path.exists(), f"{path} is not built"
    return path


def proxy(folder, text, binary=None, prefix=()):
    """An evenkeel with that configuration in a folder of its own."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return Evenkeel(folder, text, binary=binary or release(), prefix=prefix)
