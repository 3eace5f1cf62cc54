"""The evenkeel process under test: its file, its ports, its end."""
import datetime
import json
import os
import pathlib
import re
import signal
import subprocess

from . import tls
from .wait import DEADLINE_S, until

ROOT = pathlib.Path(__file__).resolve().parents[3]
# What a sanitizer or a failed CHECK prints; none of it is ever fine.
REPORTS = re.compile(r"(ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:"
                     r"|LeakSanitizer|check failed:)")
LISTENING = re.compile(r'listening on ([^\s"]+)')
ADMIN = re.compile(r'admin on ([^\s"]+)')
READY = "evenkeel ready"
# PIPE_POOL_KEEP: free pipes that a worker keeps for the next large body.
PIPES_KEPT = 16


def build_of(kind=None):
    """The binary: EVENKEEL_BIN, or EVENKEEL_RELEASE_BIN for kind 'release'."""
    if kind == "release":
        path = os.environ.get("EVENKEEL_RELEASE_BIN", ROOT / "build/release/evenkeel")
    else:
        path = os.environ.get("EVENKEEL_BIN", ROOT / "build/debug/evenkeel")
    return pathlib.Path(path)


def ini(backends, pool="", listener="", top="", rest="", admin=False, workers=1):
    """
    The usual file: one listener on a free port, one pool.  backends:
    Backend objects, or texts such as "127.0.0.1:80 weight=2".  Checks are off
    unless `pool` speaks of them: they would be connections that tests count.
    """
    if not re.search(r"^health\b", pool, re.M):
        pool += "\nhealth = off\n"
    lines = [b if isinstance(b, str) else backend_text(b) for b in backends]
    parts = [f"[global]\nworkers = {workers}\nshutdown_timeout = 5s\n{top}"]
    if admin:
        parts.append("[admin]\nlisten = 127.0.0.1:0")
    parts.append(f"[listener main]\nbind = 127.0.0.1:0\n{listener}")
    parts.append("[pool web]\n" + "".join(f"backend = {b}\n" for b in lines) + pool)
    parts.append(rest)
    return "\n\n".join(p.strip() for p in parts) + "\n"


def backend_text(backend):
    if backend.port is None:
        return f"unix:{backend.address} name={backend.name}"
    return f"{backend.address} name={backend.name}"


def environment(more=None):
    env = {**os.environ, **(more or {})}
    env.setdefault("ASAN_OPTIONS", "detect_leaks=1:exitcode=99")
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    env.setdefault("TSAN_OPTIONS", "exitcode=66:second_deadlock_stack=1")
    return env


def files_of(pid):
    """(descriptors, those of pipes) of a process; a pipe has two."""
    folder, files, pipes = f"/proc/{pid}/fd", 0, 0
    for name in os.listdir(folder):
        try:
            pipe = os.readlink(f"{folder}/{name}").startswith("pipe:")
        except FileNotFoundError:  # it was closed meanwhile
            continue
        files, pipes = files + (not pipe), pipes + pipe
    return files, pipes


class Evenkeel:
    """A running `evenkeel run`; text: its whole configuration."""

    def __init__(self, folder, text, args=("run",), binary=None, prefix=(), env=None):
        self.folder = pathlib.Path(folder)
        self.binary = pathlib.Path(binary or build_of())
        self.control = self.folder / "ctl"
        self.access_path = self.folder / "access.log"
        self.file = self.folder / "lb.ini"
        self.stderr_path = self.folder / "stderr"
        self.env = environment(env)
        self.expected_exit = 0  # None: whatever
        self._places = None, {}
        self.file.write_text(self._complete(text))
        self.process = None
        tls.watch(self)
        self.process = self._spawn([*prefix, self.binary, "-c", self.file, *args])
        try:
            until(lambda: READY in self.stderr() or self.process.poll() is not None,
                  "evenkeel ready")
            assert self.process.poll() is None, f"it ended at once:\n{self.stderr()}"
            self.binds = LISTENING.findall(self.stderr())
            self.ports = [port_of(b) for b in self.binds]
        except AssertionError as e:
            self.kill()
            raise AssertionError(f"{e}\n{self.stderr()}") from None

    def _complete(self, text):
        """Every process has its own control socket; TLS as the mode has it."""
        text = tls.secure(text)
        assert len(str(self.control)) < 107, "a path too long for a unix socket"
        if re.search(r"^\s*control\s*=", text, re.M):
            return text
        line = f"[global]\ncontrol = {self.control}\n"
        return text.replace("[global]\n", line, 1) if "[global]" in text else line + text

    def _spawn(self, command):
        with open(self.stderr_path, "wb") as stderr, \
                open(self.folder / "stdout", "wb") as stdout:
            return subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL,
                                    stdout=stdout, stderr=stderr, env=self.env,
                                    cwd=self.folder)

    @property
    def port(self):
        return self.ports[0]

    @property
    def admin_port(self):
        return port_of(ADMIN.search(self.stderr()).group(1))

    @property
    def pid(self):
        return self.process.pid

    def stderr(self):
        return self.stderr_path.read_text(errors="replace")

    def told_places(self):
        """{place: whether clients speak TLS there}; from the log and the file."""
        try:
            now = self.stderr_path.stat().st_size, self.file.stat().st_mtime_ns
            if now != self._places[0] and self.file.is_file():
                text = self.file.read_text(errors="replace")
                self._places = now, tls.places(self.stderr(), text)
        except OSError:  # gone, or a test has put something else there
            return self._places[1]
        return self._places[1]

    def verb(self, *args, deadline_s=DEADLINE_S):
        """Runs another verb on the same file; -> CompletedProcess, text."""
        return subprocess.run([str(self.binary), "-c", str(self.file), *args],
                              capture_output=True, text=True, timeout=deadline_s,
                              env=environment(), cwd=self.folder, check=False)

    def access(self, count=None):
        """The json access records so far; waits for `count` when given."""
        def records():
            if not self.access_path.exists():
                return []
            lines = self.access_path.read_text(errors="replace").split("\n")[:-1]
            return [json.loads(line) for line in lines]
        if count is None:
            return records()
        return until(lambda: len(records()) >= count and records(),
                     lambda: f"{count} access records, there are {records()}")

    def said_at(self, text):
        """When the log said it first, as a Unix time; waits for it."""
        line = until(lambda: next((ln for ln in self.stderr().splitlines() if text in ln), None),
                     lambda: f"{text!r} in the log:\n{self.stderr()}")
        return datetime.datetime.fromisoformat(line.split()[0].replace("Z", "+00:00")).timestamp()

    def waiting(self):
        """Requests that wait for a backend, over all pools."""
        status = json.loads(self.verb("status", "--json").stdout)
        return sum(pool["waiting"] for pool in status["pools"])

    def open_files(self):
        """How many descriptors the process has, pipes left out."""
        return files_of(self.pid)[0]

    def few_pipes(self):
        """Whether it has no more pipes than workers at rest may keep."""
        # Two threads, at least, are not workers: the main one and the log's.
        workers = len(os.listdir(f"/proc/{self.pid}/task")) - 2
        return files_of(self.pid)[1] <= 2 * PIPES_KEPT * workers

    def rss_bytes(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as f:
            line = next(ln for ln in f if ln.startswith("VmRSS"))
        return int(line.split()[1]) * 1024

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, deadline_s=DEADLINE_S):
        """Waits for the end; -> exit code."""
        return self.process.wait(deadline_s)

    def stop(self, deadline_s=DEADLINE_S):
        """A clean stop: TERM, exit code 0, no report of a sanitizer."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                self.wait(deadline_s)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"no end {deadline_s:g} s after TERM:\n"
                                     f"{self.stderr()}") from None
        self.check_reports()
        assert self.expected_exit in (None, self.process.returncode), \
            f"exit code {self.process.returncode}\n{self.stderr()[-4000:]}"

    def check_reports(self):
        text = self.stderr()
        assert not REPORTS.search(text), text[-12000:]

    def kill(self):
        self.expected_exit = None
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def port_of(bind):
    """127.0.0.1:80 -> 80; a unix path has none."""
    return bind if bind.startswith("unix:") else int(bind.rsplit(":", 1)[1])
