"""
./dev chaos [--runs N] [--seconds S]: backends die all the time; does a client notice?

32 keep-alive connections send GETs at a constant rate through evenkeel, nginx
and HAProxy, one after another.  Behind each stand four backends; every second
one of them, by lot, is killed (SIGKILL) and started again half a second to
almost a second later.  The lots come from a seed: the same for all three.
"""
import argparse
import dataclasses
import json
import os
import pathlib
import random
import re
import shutil
import signal
import statistics
import string
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "bench"))

import space  # noqa: E402  (of test/bench)

ROOT = HERE.parents[1]
OUT = ROOT / "build" / "chaos"
DOCUMENT = ROOT / "docs" / "resilience.md"
BEGIN, END = "<!-- chaos: written by ./dev chaos -->\n", "<!-- end of chaos -->\n"
FILES = {"evenkeel": "evenkeel.ini", "nginx": "nginx.conf", "haproxy": "haproxy.cfg"}
LINES = {"evenkeel": "backend = 127.0.0.1:%d", "nginx": "        server 127.0.0.1:%d "
         "max_fails=1 fail_timeout=1s;", "haproxy": "    server s%d 127.0.0.1:%d"}
BACKENDS, CONNECTIONS = 4, 32
FULL_S = 60  # shorter runs do not go into the document
DELAY_US = 2000  # of a backend's answer
EVERY_S, DOWN_S = 1.0, (0.5, 0.9)
P99_FACTOR, P99_PLUS_US = 1.25, 2000


@dataclasses.dataclass(frozen=True)
class Kill:
    at_s: float
    victim: int
    down_s: float


def plan(seed, seconds):
    """Kill after kill; a backend is always up again before the next one dies."""
    lots = random.Random(seed)
    return [Kill(EVERY_S * i + lots.uniform(0, 0.1), lots.randrange(BACKENDS),
                 lots.uniform(*DOWN_S)) for i in range(1, int(seconds / EVERY_S))]


def ports():
    """Of backends: none that a connection's other end may get while one is down."""
    if os.environ.get(space.MARK):
        return [1100 + i for i in range(BACKENDS)]  # space.prepare() keeps clear of them
    return [space.free_port() for _ in range(BACKENDS)]


class Backends:
    """The four processes, each on a port of its own."""

    def __init__(self, servers):
        self.servers = servers
        self.ports = ports()
        self.processes = [None] * BACKENDS
        for i in range(BACKENDS):
            self.start(i)
        for port in self.ports:
            self._wait(port)

    def start(self, i):
        self.processes[i] = self.servers.spawn(
            [OUT / "backend", self.ports[i], DELAY_US], self.servers.LOAD_CORES)

    def _wait(self, port):
        end = time.monotonic() + 10
        while True:
            try:
                self.servers.get(port, "/")
                return
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)

    def kill(self, i):
        if self.processes[i]:
            if self.processes[i].poll() is not None:
                raise RuntimeError(f"backend {i} ended by itself")
            self.processes[i].kill()
            self.processes[i].wait()
            self.processes[i] = None

    def stop(self):
        for process in filter(None, self.processes):
            process.kill()
            process.wait()


def wreak(backends, kills):
    """Carries the plan out; -> kills done."""
    started = time.monotonic()
    for kill in kills:
        time.sleep(max(0, started + kill.at_s - time.monotonic()))
        backends.kill(kill.victim)
        time.sleep(kill.down_s)
        backends.start(kill.victim)
    return len(kills)


def configure(name, folder, port, ports):
    line = LINES[name]
    lines = [line % ((i, p) if line.count("%d") == 2 else p) for i, p in enumerate(ports)]
    text = string.Template((HERE / "conf" / FILES[name]).read_text()).substitute(
        dir=folder, port=port, backends="\n".join(lines),
        user="user root;" if os.geteuid() == 0 else "")
    path = folder / FILES[name]
    path.write_text(text)
    if name == "evenkeel":
        return [ROOT / "build/release/evenkeel", "-c", path, "run"]
    if name == "nginx":
        return ["nginx", "-p", folder, "-e", folder / "error.log", "-c", path]
    return ["haproxy", "-db", "-q", "-f", path]


def one(servers, name, given, seed):
    """One proxy, one run; -> figures."""
    folder = OUT / "run" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    backends, proxy = Backends(servers), None
    try:
        port = space.free_port()
        command = configure(name, folder, port, backends.ports)
        proxy = servers.Server(name, port, command, servers.PROXY_CORES, folder)
        return load(servers, proxy, backends, given, seed)
    finally:
        if proxy:
            proxy.stop()
        backends.stop()


def load(servers, proxy, backends, given, seed):
    args = [servers.OUT / "load", proxy.port, "/", "-c", CONNECTIONS, "-r", given.rate,
            "-w", 500, "-d", int(given.seconds * 1000)]
    with servers.spawn(args, servers.LOAD_CORES, stdout=subprocess.PIPE, text=True) as run:
        try:
            if run.stdout.readline() != "warm\n":
                raise RuntimeError(f"{proxy.name}: the generator failed")
            kills = wreak(backends, plan(seed, given.seconds))
            line = run.stdout.readline()
        except BaseException:
            run.kill()
            raise
    if not line:
        raise RuntimeError(f"{proxy.name}: the generator failed")
    figures = json.loads(line)
    figures["failed"] = figures["errors"]
    figures["kills"] = kills
    return figures


# --- the report ----------------------------------------------------------------

KEYS = ("done", "failed", "unsent", "p50_us", "p99_us", "p999_us", "max_us")


def median(runs, key):
    return statistics.median(r[key] for r in runs)


def verdict(results):
    """[(what, held)], of the runs of all three."""
    ours = results["evenkeel"]
    failed, late = (max(r[key] for r in ours) for key in ("failed", "unsent"))
    rows = [(f"evenkeel: no failed request in any run ({failed})", failed == 0),
            (f"evenkeel: none that was not answered in the end ({late})", late == 0)]
    others = [median(results[n], "p99_us") for n in results if n != "evenkeel"]
    if others:
        limit, p99 = P99_FACTOR * min(others) + P99_PLUS_US, median(ours, "p99_us")
        rows.append((f"evenkeel: p99 {p99 / 1000:.2f} ms ≤ 1.25 × the better of the others "
                     f"+ 2 ms = {limit / 1000:.2f} ms", p99 <= limit))
    return rows


def table(results):
    lines = ["| | requests answered | failed | not answered | p50 | p99 | p99.9 | longest |",
             "|---|---:|---:|---:|---:|---:|---:|---:|"]
    for name, runs in results.items():
        v = {k: median(runs, k) for k in KEYS}
        times = " | ".join(f"{v[k] / 1000:.2f} ms" for k in KEYS[3:])
        failed = f"{v['failed']:g}"
        if len(runs) > 1:
            failed += " (" + ", ".join(f"{r['failed']}" for r in runs) + ")"
        lines.append(f"| {name} | {v['done']:,.0f} | {failed} | {v['unsent']:g} | {times} |")
    return "\n".join(lines)


def document(about, given, results):
    kills = results["evenkeel"][0]["kills"]
    named = ("machine", "kernel", "load before", "evenkeel", "nginx", "haproxy")
    text = [f"Taken {about['date']} at commit `{about['commit']}`: {kills} kills in "
            f"{given.seconds:g} s, {given.rate} requests a second over {CONNECTIONS} "
            f"connections, {BACKENDS} backends that take {DELAY_US // 1000} ms; "
            f"median of {given.runs}.", "", "; ".join(f"{k}: {about[k]}" for k in named) + ".",
            "", table(results), ""]
    text += [f"- {what}: {'yes' if held else 'NO'}" for what, held in verdict(results)]
    whole = DOCUMENT.read_text(encoding="utf-8")
    head, rest = whole.split(BEGIN, 1)
    _, tail = rest.split(END, 1)
    DOCUMENT.write_text(head + BEGIN + "\n" + "\n".join(text) + "\n\n" + END + tail,
                        encoding="utf-8")


def compile_tools(servers):
    OUT.mkdir(parents=True, exist_ok=True)
    servers.OUT.mkdir(parents=True, exist_ok=True)
    bench, cc = HERE.parent / "bench", ["cc", "-O2", "-Wall", "-Wextra", "-D_GNU_SOURCE"]
    subprocess.run([*cc, "-pthread", "-o", OUT / "backend", HERE / "backend.c"], check=True)
    subprocess.run([*cc, "-I", bench, "-o", servers.OUT / "load", bench / "load.c",
                    bench / "latency.c", bench / "response.c", bench / "stream.c", "-lssl",
                    "-lcrypto"], check=True)


def arguments():
    parser = argparse.ArgumentParser(
        prog="./dev chaos", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1, help="median of so many (default 1)")
    parser.add_argument("--seconds", type=float, default=FULL_S,
                        help=f"of each run (default {FULL_S}); shorter ones do not go into "
                        f"{DOCUMENT.relative_to(ROOT)}")
    parser.add_argument("--rate", type=int, default=2000, help="requests a second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("proxies", nargs="*", metavar="PROXY", help=", ".join(FILES))
    given = parser.parse_args()
    given.proxies = given.proxies or list(FILES)
    if set(given.proxies) - set(FILES) or given.runs < 1 or given.seconds < 2:
        parser.error("unknown proxy, or less than one run or two seconds")
    return given


def show(name, figures):
    print(f"{name:9} {figures['done']:>8} answered {figures['failed']:>5} failed "
          f"{figures['unsent']:>5} not answered   "
          + "   ".join(f"{re.sub('_us', '', k)} {figures[k] / 1000:.2f} ms" for k in KEYS[3:]),
          flush=True)


def main():
    space.enter()
    space.prepare()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    given = arguments()
    import report
    import servers
    compile_tools(servers)
    about = report.surroundings()
    results = {name: [] for name in given.proxies}
    for i in range(given.runs):
        for name in given.proxies:
            results[name].append(one(servers, name, given, given.seed + i))
            show(name, results[name][-1])
    (OUT / "results.json").write_text(json.dumps({"about": about, "results": results}, indent=1))
    print("\n" + table(results) + "\n")
    if "evenkeel" not in results:
        return 0
    for what, held in verdict(results):
        print(("ok      " if held else "FAILED  ") + what)
    if len(results) == len(FILES) and given.seconds >= FULL_S:
        document(about, given, results)
        print(f"written: {DOCUMENT}")
    return 0 if all(held for _, held in verdict(results)) else 1


if __name__ == "__main__":
    sys.exit(main())
