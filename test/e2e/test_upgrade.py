"""USR2: another process takes over, and nobody notices; sockets of systemd; stale files."""
import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from harness import Client, until
from harness.faults import Board, fault_build
from harness.proxy import build_of, ini

UPGRADED = re.compile(r"upgraded: process (\d+) \(version \S+\) has taken over")
PR_SET_CHILD_SUBREAPER = 36
DEADLINE_S = 30


@pytest.fixture(autouse=True)
def orphans_are_ours():
    """What a process leaves behind becomes a child of this one, and can be waited for."""
    assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


class Successor:
    """A process that took over; as subprocess.Popen, as far as Evenkeel needs it."""

    def __init__(self, pid):
        self.pid, self.returncode = pid, None

    def poll(self):
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout=DEADLINE_S):
        end = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(0.005)
        return self.returncode

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)


def usr2(proxy):
    """Sends it; -> the pid that took over, which `proxy` stands for from now on."""
    before = len(UPGRADED.findall(proxy.stderr()))
    proxy.signal(signal.SIGUSR2)
    found = until(lambda: UPGRADED.findall(proxy.stderr())[before:], lambda: proxy.stderr(),
                  deadline_s=DEADLINE_S)
    old, proxy.process = proxy.process, Successor(int(found[0]))
    return old


def upgrade(proxy):
    """One whole upgrade: the old process has ended."""
    old = usr2(proxy)
    assert old.wait(DEADLINE_S) == 0, proxy.stderr()


def refused_upgrade(proxy, said):
    """USR2 comes to nothing, for a reason that the log tells."""
    before = proxy.stderr().count(said)
    proxy.signal(signal.SIGUSR2)
    until(lambda: proxy.stderr().count(said) > before,
          lambda: f"{said!r}:\n{proxy.stderr()}", deadline_s=DEADLINE_S)
    assert proxy.process.poll() is None


def ask(to, **more):
    """One request on a connection of its own."""
    with Client(to) as c:
        return c.ask(**more)


class Load:
    """Threads that ask all the time; `failed` lists what they were not answered."""

    def __init__(self, port, threads=4):
        self.port, self.failed, self.answered = port, [], 0
        self.over = threading.Event()
        self.lock = threading.Lock()
        kinds = (self.fresh, self.kept)
        self.threads = [threading.Thread(target=kinds[i % 2]) for i in range(threads)]
        for t in self.threads:
            t.start()

    def note(self, error=None):
        with self.lock:
            if error is None:
                self.answered += 1
            else:
                self.failed.append(error)

    def ask(self, c):
        r = c.ask()
        if (r.status, r.body) != (200, b"x"):
            raise AssertionError((r.status, r.body))
        self.note()
        return "close" in r.tokens("connection")

    def fresh(self):
        """A connection for each request."""
        while not self.over.is_set():
            try:
                with Client(self.port) as c:
                    self.ask(c)
            except Exception as e:  # pylint: disable=broad-except
                self.note(e)

    def kept(self):
        """One connection, until it is told to close."""
        while not self.over.is_set():
            try:
                with Client(self.port) as c:
                    while not self.over.is_set() and not self.ask(c):
                        pass
            except Exception as e:  # pylint: disable=broad-except
                self.note(e)

    def more(self, n=50):
        """Waits for so many more answers."""
        until(lambda start=self.answered: self.answered >= start + n, "answers")

    def stop(self):
        self.over.set()
        for t in self.threads:
            t.join()
        assert self.failed == [], self.failed[:5]


@pytest.fixture
def load():
    made = []

    def make(port, **more):
        made.append(Load(port, **more))
        return made[-1]
    yield make
    for one in made:
        one.over.set()
        for t in one.threads:
            t.join()


@pytest.fixture
def x(backend):
    """A backend that answers x."""
    def script(conn):
        while True:
            conn.request()
            conn.answer(b"x")
    return backend(script)


def change(proxy, old, new):
    text = proxy.file.read_text()
    assert re.search(old, text)
    proxy.file.write_text(re.sub(old, new, text))


# ---- USR2 ----

@pytest.mark.threaded
def test_ten_upgrades_under_load_lose_nothing(lb, x, load):
    proxy = lb([x], workers=2)
    some = load(proxy.port)
    pids = {proxy.pid}
    for _ in range(10):
        some.more()
        upgrade(proxy)
        pids.add(proxy.pid)
    some.more()
    some.stop()
    assert len(pids) == 11
    assert proxy.verb("status").stdout.startswith("evenkeel ")


def test_another_number_of_workers_loses_nothing(lb, x, load):
    proxy = lb([x], workers=3)
    some = load(proxy.port, threads=6)
    for n in (1, 4, 2, 1, 3):
        change(proxy, r"workers = \d+", f"workers = {n}")
        upgrade(proxy)
        some.more()
        tasks = len(os.listdir(f"/proc/{proxy.pid}/task"))
        assert tasks >= n + 2
    some.stop()


def test_a_release_is_upgraded_under_load(lb, x, load, release_bin):
    proxy = lb([x], workers=2, binary=release_bin)
    some = load(proxy.port, threads=6)
    for n in (2, 4, 1, 2, 3, 1, 4, 2, 2, 2):
        change(proxy, r"workers = \d+", f"workers = {n}")
        some.more(100)
        upgrade(proxy)
    some.stop()


def test_a_request_in_flight_ends_in_the_old_process(lb, held, client):
    proxy = lb([held])
    c = client(proxy).request()
    held.wait_requests(1)
    old = usr2(proxy)
    d = client(proxy).request()
    held.wait_requests(2)
    assert old.poll() is None
    held.gate.open()
    r = c.response()
    assert r.body == b"x" and "close" in r.tokens("connection")
    assert old.wait(DEADLINE_S) == 0
    assert d.response().body == b"x"
    # Both wrote to the one access log.
    assert len(proxy.access(2)) == 2


def test_everything_is_taken_over(evenkeel, x, client, tmp_path):
    """Ports the kernel chose, unix sockets, admin page, control socket, pid file."""
    front, pid = tmp_path / "front", tmp_path / "pid"
    proxy = evenkeel(f"[global]\nworkers = 2\npid_file = {pid}\n[admin]\nlisten = 127.0.0.1:0\n"
                     f"[listener a]\nbind = 127.0.0.1:0\nbind = unix:{front}\n"
                     f"[listener b]\nbind = [::1]:0\nbind = 127.0.0.1:0\n"
                     f"[pool p]\nhealth = off\nbackend = {x.address}\n")
    places = [*proxy.binds, f"127.0.0.1:{proxy.admin_port}"]
    for _ in range(3):
        upgrade(proxy)
        assert int(pid.read_text()) == proxy.pid
        assert proxy.verb("status", "--json").returncode == 0
        assert os.stat(proxy.control).st_mode & 0o777 == 0o600
        for port in (proxy.ports[0], str(front), ("::1", proxy.ports[2]), proxy.ports[3]):
            assert ask(port).body == b"x"
        assert ask(proxy.admin_port, target="/readyz").status == 200
    said = re.findall(r"(?:listening|admin) on (\S+)", proxy.stderr())
    assert said == places * 4
    assert proxy.open_files() < 60
    proxy.stop()
    assert not pid.exists() and not front.exists() and not proxy.control.exists()
    assert [p.name for p in proxy.control.parent.iterdir() if p.is_socket()] == []


def test_drains_go_on(lb, x, backend):
    """Also of one that is not in the next configuration, and of one with an odd name."""
    proxy = lb([x, backend(), "unix:/nonexistent/b"], pool="retry_attempts = 0\n")
    for name in (x.name, "unix:/nonexistent/b"):
        assert proxy.verb("drain", f"web/{name}", "--wait", "0").returncode == 0
    upgrade(proxy)
    status = json.loads(proxy.verb("status", "--json").stdout)
    assert [b["state"] for b in status["pools"][0]["backends"]] == ["draining", "up", "draining"]
    change(proxy, "backend = unix:/nonexistent/b\n", "")
    upgrade(proxy)
    assert f"backend {x.name} is draining: it gets no new requests, asked for by " \
           "the process before this one" in proxy.stderr()
    status = json.loads(proxy.verb("status", "--json").stdout)
    states = {b["name"]: b["state"] for b in status["pools"][0]["backends"]}
    assert [n for n, state in states.items() if state == "draining"] == [x.name]


def test_binds_come_and_go(evenkeel, x, client, tmp_path, free_port):
    gone, new, file = free_port(), free_port(), tmp_path / "gone"
    proxy = evenkeel(f"[global]\nworkers = 2\n[listener a]\nbind = 127.0.0.1:0\n"
                     f"bind = 127.0.0.1:{gone}\nbind = unix:{file}\n"
                     f"[pool p]\nhealth = off\nbackend = {x.address}\n")
    assert ask(gone).body == b"x"
    change(proxy, f"bind = 127.0.0.1:{gone}\nbind = unix:{file}", f"bind = 127.0.0.1:{new}")
    upgrade(proxy)
    assert ask(new).body == b"x" and ask(proxy.port).body == b"x"
    # The new process writes its log beside the old one.
    until(lambda: f"no longer listening on 127.0.0.1:{gone}" in proxy.stderr(), proxy.stderr)
    assert not file.exists()
    with pytest.raises(ConnectionRefusedError):
        client(gone)


@pytest.mark.parametrize("change_to, said", [
    ("nonsense = 1\n[listener main]",
     "its configuration is refused; standard error and `evenkeel check` say why"),
    ("[admin]\nlisten = 127.0.0.1:{taken}\n[listener main]",
     "{file}:9: [admin] listen: 127.0.0.1:{taken}: Address already in use"),
])
@pytest.mark.plain_only("it counts the lines of its file")
def test_a_new_process_that_cannot_start_changes_nothing(lb, x, load, change_to, said):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        taken = s.getsockname()[1]
        proxy = lb([x], workers=2)
        some = load(proxy.port)
        good = proxy.file.read_text()
        change(proxy, r"\[listener main\]", change_to.format(taken=taken))
        for _ in range(2):
            refused_upgrade(proxy, "upgrade failed, this process goes on: " +
                            said.format(taken=taken, file=proxy.file))
            some.more()
        assert int(proxy.verb("status", "--json").returncode) == 0
    proxy.file.write_text(good)
    upgrade(proxy)
    some.more()
    some.stop()


def replaced(folder, text):
    """A script beside, in the place of a program that was replaced."""
    path = folder / "new"
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def own_binary(tmp_path):
    path = tmp_path / "evenkeel"
    shutil.copy(build_of(), path)
    return path


def test_a_new_program_that_fails_changes_nothing(lb, x, client, own_binary):
    proxy = lb([x], binary=own_binary)
    folder = own_binary.parent
    os.replace(replaced(folder, "exit 7"), own_binary)
    refused_upgrade(proxy, "the new process ended (exit code 7) before it served")
    os.replace(replaced(folder, "kill -SEGV $$"), own_binary)
    refused_upgrade(proxy, "the new process ended (signal 11) before it served")
    own_binary.write_text("#!/nonexistent\n")
    refused_upgrade(proxy, f"{own_binary}: No such file or directory")
    own_binary.unlink()
    refused_upgrade(proxy, f"{own_binary}: No such file or directory")
    assert ask(proxy.port).body == b"x"
    shutil.copy(build_of(), own_binary)
    upgrade(proxy)
    assert ask(proxy.port).body == b"x"
    assert os.readlink(f"/proc/{proxy.pid}/exe") == str(own_binary)


def test_one_that_took_the_paths_and_died_gives_them_back(lb, x, own_binary, tmp_path):
    """It had removed the control socket and written the pid file."""
    pid = tmp_path / "pid"
    proxy = lb([x], binary=own_binary, top=f"pid_file = {pid}\n")
    os.replace(replaced(own_binary.parent, f"echo 1 >{pid}; rm {proxy.control}; exit 1"), own_binary)
    refused_upgrade(proxy, "(exit code 1) before it served")
    until(lambda: proxy.control.exists() and int(pid.read_text() or 0) == proxy.pid, "the paths")
    shutil.copy(build_of(), proxy.folder / "verbs")
    proxy.binary = proxy.folder / "verbs"
    assert proxy.verb("status").returncode == 0


@pytest.fixture
def slow_start(own_binary, tmp_path):
    """A proxy whose next program starts when a file is there."""
    go = tmp_path / "go"

    def swap():
        real = own_binary.parent / "real"
        os.rename(own_binary, real)
        os.replace(replaced(own_binary.parent, f"echo begun >&2; until [ -e {go} ]; do read -t 0.01 <> <(:); "
                            f"done; exec {real} \"$@\""), own_binary)
        return go
    return swap


def test_only_one_upgrade_at_a_time(lb, x, own_binary, slow_start):
    proxy = lb([x], binary=own_binary)
    go = slow_start()
    proxy.signal(signal.SIGUSR2)
    until(lambda: "begun" in proxy.stderr(), "the new process")
    refused_upgrade(proxy, "no upgrade was started: an upgrade is under way already")
    go.touch()
    until(lambda: UPGRADED.search(proxy.stderr()), proxy.stderr)
    old, proxy.process = proxy.process, Successor(int(UPGRADED.search(proxy.stderr()).group(1)))
    assert old.wait(DEADLINE_S) == 0


def test_a_reload_during_an_upgrade_is_refused(lb, x, own_binary, slow_start):
    proxy = lb([x], binary=own_binary)
    go = slow_start()
    proxy.signal(signal.SIGUSR2)
    until(lambda: "begun" in proxy.stderr(), "the new process")
    proxy.signal(signal.SIGHUP)
    until(lambda: "reload refused: an upgrade is under way" in proxy.stderr(), proxy.stderr)
    # When nothing came of it a reload is possible again.
    child = int(pathlib.Path(f"/proc/{proxy.pid}/task/{proxy.pid}/children").read_text())
    os.kill(child, signal.SIGKILL)
    until(lambda: "upgrade failed" in proxy.stderr(), proxy.stderr)
    proxy.signal(signal.SIGHUP)
    until(lambda: "reload (SIGHUP) applied" in proxy.stderr(), proxy.stderr)
    go.touch()


@pytest.mark.plain_only("it adds sections to the file as it was written")
def test_what_a_reload_has_changed_is_handed_over(evenkeel, x, load, tmp_path, free_port):
    """Binds that came and went before the upgrade, among them a unix socket and all addresses."""
    one, two, file = free_port(), free_port(), tmp_path / "new"
    proxy = evenkeel(f"[global]\nworkers = 2\n[listener a]\nbind = 127.0.0.1:0\n"
                     f"bind = 127.0.0.1:{one}\n[pool p]\nhealth = off\nbackend = {x.address}\n")
    some = load(proxy.port)
    change(proxy, f"bind = 127.0.0.1:{one}\n", f"bind = *:{one}\nbind = unix:{file}\n"
           f"[admin]\nlisten = 127.0.0.1:{two}\n")
    assert proxy.verb("reload").returncode == 0
    for n in (3, 1):
        change(proxy, r"workers = \d", f"workers = {n}")
        upgrade(proxy)
        some.more()
        assert ask(one).body == ask(str(file)).body == b"x"
        assert ask(two, target="/readyz").status == 200
    # And a reload after it.
    change(proxy, f"bind = unix:{file}\n", "")
    assert proxy.verb("reload").returncode == 0
    assert not file.exists()
    some.stop()


def test_term_during_an_upgrade_stops_both(lb, x, own_binary, slow_start):
    proxy = lb([x], binary=own_binary)
    slow_start()
    proxy.signal(signal.SIGUSR2)
    until(lambda: "begun" in proxy.stderr(), "the new process")
    children = pathlib.Path(f"/proc/{proxy.pid}/task/{proxy.pid}/children").read_text().split()
    assert len(children) == 1
    proxy.signal(signal.SIGTERM)
    assert proxy.wait() == 0
    orphan = Successor(int(children[0]))
    try:
        orphan.wait()
    except ChildProcessError:
        pass  # its parent has waited for it
    assert not proxy.control.exists()


def test_signals_after_the_handover(lb, held, client):
    """The old process refuses USR2, and a TERM is its second."""
    proxy = lb([held])
    client(proxy).request()
    held.wait_requests(1)
    old = usr2(proxy)
    old.send_signal(signal.SIGUSR2)
    until(lambda: "another process has taken over from this one already" in proxy.stderr(),
          proxy.stderr)
    start = time.monotonic()
    old.send_signal(signal.SIGTERM)
    old.wait(DEADLINE_S)
    assert time.monotonic() - start < 2
    assert proxy.verb("status").returncode == 0


def test_the_end_of_the_new_one_is_told(lb, held, client):
    proxy = lb([held])
    client(proxy).request()
    held.wait_requests(1)
    old = usr2(proxy)
    os.kill(proxy.pid, signal.SIGKILL)
    until(lambda: "the process that took over has ended (signal 9)" in proxy.stderr(), proxy.stderr)
    held.gate.open()
    assert old.wait(DEADLINE_S) == 0
    proxy.process.returncode = 0


def test_the_new_one_may_end_before_the_old_one(lb, held, client):
    """Its end is its own: an exit code, not the signal of the one before."""
    proxy = lb([held])
    client(proxy).request()
    held.wait_requests(1)
    old = usr2(proxy)
    os.kill(proxy.pid, signal.SIGTERM)
    until(lambda: "the process that took over has ended" in proxy.stderr(), proxy.stderr)
    assert "the process that took over has ended (exit code 0)" in proxy.stderr()
    held.gate.open()
    assert old.wait(DEADLINE_S) == 0
    proxy.process.returncode = 0


def test_the_service_manager_is_told(lb, x, tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(tmp_path / "notify"))
        s.settimeout(DEADLINE_S)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        proxy = lb([x])
        assert s.recv(1000).startswith(b"READY=1\n")
        upgrade(proxy)
        assert s.recv(1000) == b"MAINPID=%d\nSTATUS=ready: upgraded" % proxy.pid
        proxy.stop()
        assert s.recv(1000).startswith(b"STOPPING=1\n")


def test_a_second_start_is_refused(lb, x):
    proxy = lb([x])
    again = proxy.verb("run")
    assert again.returncode == 1
    assert again.stderr == f"evenkeel: already running, pid {proxy.pid} " \
                           f"(control socket {proxy.control})\n"
    upgrade(proxy)
    assert f"already running, pid {proxy.pid} " in proxy.verb("run").stderr


@pytest.mark.skipif(not fault_build().exists(), reason=f"no {fault_build()}")
@pytest.mark.parametrize("kind", ["allocs", "calls"])
def test_want_during_an_upgrade_leaves_one_that_serves(evenkeel, x, tmp_path, kind):
    """The n-th allocation or call of the two processes fails: one of them serves on."""
    board = Board(tmp_path / "board")
    proxy = evenkeel(f"[global]\nworkers = 2\npid_file = {tmp_path}/pid\n[admin]\n"
                     f"listen = 127.0.0.1:0\n[listener l]\nbind = 127.0.0.1:0\n"
                     f"bind = unix:{tmp_path}/front\n[pool p]\nhealth = off\n"
                     f"backend = {x.address}\n", binary=fault_build(), env=board.env)
    board.ready()
    outcomes, nth = [], 0
    while len(outcomes) < 200:
        nth += 1 + nth // 12
        before = proxy.stderr()
        board.arm(kind, nth)
        proxy.signal(signal.SIGUSR2)
        said = until(lambda b=before: re.search(
            r"upgraded: process (\d+)|upgrade failed|no upgrade was started",
            proxy.stderr()[len(b):]), proxy.stderr, deadline_s=70)
        failed = board.failed(kind)
        board.disarm()
        outcomes.append(said.group(1) is not None)
        if said.group(1):
            old, proxy.process = proxy.process, Successor(int(said.group(1)))
            assert old.wait(DEADLINE_S) == 0, proxy.stderr()
        where = (kind, nth, board.last(kind), proxy.stderr()[-2000:])
        assert ask(proxy.port).body == ask(str(tmp_path / "front")).body == b"x", where
        until(lambda: proxy.verb("status").returncode == 0, where)
        assert int((tmp_path / "pid").read_text()) == proxy.pid, where
        if not failed:
            break
    assert True in outcomes and False in outcomes and outcomes[-1]


# ---- what a crash leaves ----

def test_a_crash_leaves_nothing_that_blocks(evenkeel, x, client, tmp_path):
    text = (f"[global]\npid_file = {tmp_path}/pid\ncontrol = {tmp_path}/c\n"
            f"[listener a]\nbind = unix:{tmp_path}/front\n"
            f"[pool p]\nhealth = off\nbackend = {x.address}\n")
    proxy = evenkeel(text)
    proxy.kill()
    assert {"pid", "c", "front"} <= {p.name for p in tmp_path.iterdir()}
    proxy = evenkeel(text)
    upgrade(proxy)
    os.kill(proxy.pid, signal.SIGKILL)
    proxy.process.wait()
    proxy.expected_exit = None
    proxy = evenkeel(text)
    assert ask(str(tmp_path / "front")).body == b"x"
    proxy.stop()
    assert {p.name for p in tmp_path.iterdir()} & {"pid", "c", "front", "c~"} == set()


# ---- socket activation ----

LAUNCHER = """
import os, socket, sys
n = int(sys.argv[1])
for i, fd in enumerate(map(int, sys.argv[2:2 + n])):
    os.dup2(fd, 100 + i)
for i in range(n):
    os.dup2(100 + i, 3 + i)
    os.close(100 + i)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(n), LISTEN_FDNAMES=":".join("s%d" % i for i in range(n)))
os.execv(sys.argv[2 + n], sys.argv[2 + n:])
"""


@pytest.fixture
def activated(cleanup, tmp_path):
    """activated(text, *sockets) -> Evenkeel that has them from a manager."""
    from harness import Evenkeel

    def make(text, *sockets):
        class Launched(Evenkeel):
            def _spawn(self, command):
                fds = [str(s.fileno()) for s in sockets]
                args = [sys.executable, "-c", LAUNCHER, str(len(fds)), *fds, *map(str, command)]
                with open(self.stderr_path, "wb") as stderr:
                    return subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=stderr,
                                            stderr=stderr, env=self.env, cwd=self.folder,
                                            pass_fds=[s.fileno() for s in sockets])
        folder = tmp_path / "activated"
        folder.mkdir(exist_ok=True)
        lb = Launched(folder, text)
        cleanup["proxy"].append(lb.stop)
        return lb
    return make


def tcp(host="127.0.0.1", family=socket.AF_INET):
    s = socket.socket(family)
    s.bind((host, 0))
    s.listen()
    return s


def unix(path):
    s = socket.socket(socket.AF_UNIX)
    s.bind(str(path))
    s.listen()
    return s


@pytest.mark.plain_only("front: the harness does not know which ports are given")
def test_sockets_of_systemd_are_used(activated, x, client, tmp_path, load):
    path = tmp_path / "front"
    with tcp() as a, unix(path) as b, tcp() as admin:
        port, admin_port = a.getsockname()[1], admin.getsockname()[1]
        early = client(port).request()  # before there is anybody
        proxy = activated(f"[global]\nworkers = 3\n[admin]\nlisten = 127.0.0.1:{admin_port}\n"
                          f"[listener l]\nbind = 127.0.0.1:{port}\nbind = unix:{path}\n"
                          f"[pool p]\nhealth = off\nbackend = {x.address}\n", a, b, admin)
        assert f"listening on 127.0.0.1:{port} (socket of systemd)" in proxy.stderr()
        assert early.response().body == b"x"
        early.close()
        some = load(port)
        for n in (1, 2, 4):
            change(proxy, r"workers = \d", f"workers = {n}")
            upgrade(proxy)
            some.more()
            assert ask(str(path)).body == b"x"
            assert ask(admin_port, target="/readyz").status == 200
        some.stop()
        proxy.stop()
        # Connections wait for the next start.
        late = client(port).request()
        assert path.exists()
        activated(proxy.file.read_text(), a, b, admin)
        assert late.response().body == b"x"


def test_one_socket_for_both_versions_of_ip(activated, x, client):
    with socket.socket(socket.AF_INET6) as s:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        s.bind(("::", 0))
        s.listen()
        port = s.getsockname()[1]
        proxy = activated(f"[listener l]\nbind = *:{port}\n[pool p]\nhealth = off\n"
                          f"backend = {x.address}\n", s)
        assert ask(port).body == b"x" and ask(("::1", port)).body == b"x"
        upgrade(proxy)
        assert ask(port).body == b"x" and ask(("::1", port)).body == b"x"


def test_a_socket_that_no_bind_names_is_told(activated, x, client, tmp_path):
    path = tmp_path / "other"
    with tcp() as a, unix(path) as b:
        proxy = activated(f"[listener l]\nbind = 127.0.0.1:{a.getsockname()[1]}\n[pool p]\n"
                          f"health = off\nbackend = {x.address}\n", a, b)
        assert f"systemd has passed the socket unix:{path} (s1), but no bind of the " \
               "configuration is that address: closed" in proxy.stderr()
        assert ask(proxy.port).body == b"x"
        assert path.exists()


def test_what_is_no_listening_socket_is_refused(activated, x):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        with pytest.raises(AssertionError, match="descriptor 3 was handed over, but is no stream"):
            activated(ini([x]), s)
