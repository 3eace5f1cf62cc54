"""What noise cannot touch: counted with N and with 2N requests, and subtracted."""
import dataclasses
import pathlib
import re
import subprocess
import time

import load
import servers
from servers import OUT


@dataclasses.dataclass
class Subject:
    """Requests through `name`, which is given `options`; `ask(server, n)` makes n of them."""
    name: str
    backend: servers.Server
    options: dict = dataclasses.field(default_factory=dict)
    ask: object = load.exactly

    def run(self, requests, prefix):
        """`requests` requests under `prefix`, and a clean end."""
        options = {**({"master": "off"} if self.name == "nginx" else {}), **self.options}
        server = servers.proxy(self.name, self.backend.port, label=f"{self.name}-counted",
                               prefix=prefix, **options)
        try:
            self.ask(server, requests)
        finally:
            server.stop()


def strace_table(text):
    """{call: (calls, errors)} of an `strace -c` summary."""
    rows = re.findall(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(\d+)?\s*(\w+)$", text, re.M)
    return {name: (int(calls), int(errors or 0)) for calls, errors, name in rows
            if name != "total"}


def strace(subject, requests):
    out = OUT / f"strace.{subject.name}.{requests}"
    out.unlink(missing_ok=True)
    subject.run(requests, ["strace", "-D", "-f", "-c", "-o", out])
    end = time.monotonic() + 10  # the tracer, a process of its own, writes last
    while not out.exists() or " total" not in out.read_text():
        if time.monotonic() > end:
            raise load.Wrong(f"no summary in {out}")
        time.sleep(0.05)
    return strace_table(out.read_text())


def system_calls(subject, requests):
    """{call: (calls, errors)} a request."""
    one = strace(subject, requests)
    two = strace(subject, 2 * requests)
    return {call: tuple((two.get(call, (0, 0))[i] - one.get(call, (0, 0))[i]) / requests
                        for i in (0, 1))
            for call in sorted(set(one) | set(two))}


def callgrind_total(pattern):
    files = list(pattern.parent.glob(pattern.name))
    totals = [re.search(r"^(?:summary|totals): (\d+)", f.read_text(), re.M) for f in files]
    if not files or None in totals:
        raise load.Wrong(f"no totals in {pattern}")
    return sum(int(m.group(1)) for m in totals)


def callgrind(name, requests, run):
    """Instructions of what `run`, given valgrind's command line, starts."""
    for old in OUT.glob(f"callgrind.{name}.{requests}.*"):
        old.unlink()
    run(["valgrind", "--tool=callgrind",
         f"--callgrind-out-file={OUT}/callgrind.{name}.{requests}.%p"])
    return callgrind_total(pathlib.Path(f"{OUT}/callgrind.{name}.{requests}.*"))


def instructions(subject, requests):
    """User instructions a request."""
    one, two = (callgrind(subject.name, n, lambda prefix, n=n: subject.run(n, prefix))
                for n in (requests, 2 * requests))
    return (two - one) / requests


def pick_instructions(backends, picks=20000):
    """Instructions of one choice among so many backends."""
    def run(n):
        return lambda prefix: subprocess.run(
            [*prefix, OUT / "pick", str(backends), str(n)], check=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    one, two = (callgrind(f"pick{backends}", n, run(n)) for n in (picks, 2 * picks))
    return (two - one) / picks
