"""user, group, pid_file: who evenkeel becomes, and what it keeps."""
import os
import pathlib
import pwd
import signal
import socket
import subprocess

import pytest

from harness import until
from harness.proxy import build_of

pytestmark = pytest.mark.plain_only("the usual key is root's own; test_tls_reload.py has others")

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
NOBODY = pwd.getpwnam("nobody")


@pytest.fixture
def folder(tmp_path):
    """Where nobody may write, and get to."""
    at = tmp_path
    while at != pathlib.Path(at.root):
        if at.stat().st_uid == os.geteuid():
            at.chmod(at.stat().st_mode | 0o055)
        at = at.parent
    made = tmp_path / "run"
    made.mkdir()
    os.chown(made, NOBODY.pw_uid, NOBODY.pw_gid)
    return made


def status_of(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {k: v.split() for k, _, v in (line.partition(":") for line in lines)}


def check(tmp_path, text):
    """-> exit code and standard error of `evenkeel check`."""
    path = tmp_path / "check.ini"
    path.write_text(text + "[listener l]\nbind = 127.0.0.1:0\n[pool p]\nhealth = off\n"
                           "backend = 127.0.0.1:1\nbackend = 127.0.0.1:2\n")
    run = subprocess.run([build_of(), "-c", path,
                          "check"], capture_output=True, text=True, timeout=30, check=False)
    return run.returncode, run.stderr


def in_use(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


@root_only
def test_becomes_nobody_and_still_binds_low_ports(evenkeel, backend, client, folder):
    low = next(p for p in range(1023, 600, -1) if not in_use(p))
    proxy = evenkeel(f"[global]\nuser = nobody\ncontrol = {folder}/c\npid_file = {folder}/pid\n"
                     f"access_log = {folder}/access\n"
                     f"[listener l]\nbind = 127.0.0.1:0\nbind = 127.0.0.1:{low}\n"
                     f"[pool p]\nhealth = off\nbackend = {backend().address}\n")
    assert client(low).ask().status == 200
    pid = int((folder / "pid").read_text())
    s = status_of(pid)
    assert set(s["Uid"]) == {str(NOBODY.pw_uid)} and set(s["Gid"]) == {str(NOBODY.pw_gid)}
    assert s["NoNewPrivs"] == ["1"]
    bind_alone = f"{1 << 10:016x}"
    assert s["CapPrm"] == s["CapEff"] == s["CapAmb"] == [bind_alone]
    assert (folder / "access").stat().st_uid == NOBODY.pw_uid
    assert (folder / "c").stat().st_mode & 0o777 == 0o600
    proxy.stop()
    assert not (folder / "pid").exists() and not (folder / "c").exists()


@root_only
@pytest.mark.parametrize("keys, said", [
    ("user = no-such-user\n", "user: there is no user no-such-user"),
    ("group = no-such-group\n", "group: there is no group no-such-group"),
    ("user = nobody\ncontrol = /run/x.sock\n", "control: /run: Permission denied (as user nobody)"),
    ("user = nobody\ncontrol = /tmp/x.sock\nlog = /root/e.log\n",
     "log: /root/e.log: Permission denied (as user nobody)"),
    ("user = nobody\ncontrol = /tmp/x.sock\naccess_log = /root/a.log\n",
     "access_log: /root/a.log: Permission denied"),
    ("user = nobody\ncontrol = /tmp/x.sock\npid_file = /run/e.pid\n",
     "pid_file: /run: Permission denied"),
])
def test_check_names_what_that_user_cannot_open(tmp_path, keys, said):
    code, err = check(tmp_path, "[global]\n" + keys)
    assert code == 2 and said in err
    assert len(err.splitlines()) == 1


def test_a_stale_pid_file_is_no_obstacle(evenkeel, backend, tmp_path):
    path = tmp_path / "pid"
    path.write_text("1\n")
    proxy = evenkeel(f"[global]\npid_file = {path}\n[listener l]\nbind = 127.0.0.1:0\n"
                     f"[pool p]\nhealth = off\nbackend = {backend().address}\n")
    assert int(path.read_text()) == proxy.process.pid
    path.write_text("1\n")  # somebody else's by now: left alone
    proxy.stop()
    assert path.read_text() == "1\n"


@root_only
def test_an_upgrade_keeps_the_right_to_low_ports(evenkeel, backend, client, folder):
    """By that user, who binds another low port then."""
    low, lower = [p for p in range(1023, 600, -1) if not in_use(p)][:2]
    proxy = evenkeel(f"[global]\nuser = nobody\ncontrol = {folder}/c\npid_file = {folder}/pid\n"
                     f"[listener l]\nbind = 127.0.0.1:{low}\n"
                     f"[pool p]\nhealth = off\nbackend = {backend().address}\n")
    text = proxy.file.read_text().replace(f"bind = 127.0.0.1:{low}\n", f"bind = 127.0.0.1:{low}\n"
                                          f"bind = 127.0.0.1:{lower}\n")
    proxy.file.write_text(text.replace("[global]\n", "[global]\nworkers = 3\n"))
    old = proxy.pid
    proxy.signal(signal.SIGUSR2)
    until(lambda: "has taken over" in proxy.stderr(), proxy.stderr)
    assert proxy.wait() == 0
    pid = int((folder / "pid").read_text())
    try:
        assert pid != old
        assert client(low).ask().status == client(lower).ask().status == 200
        s = status_of(pid)
        assert set(s["Uid"]) == {str(NOBODY.pw_uid)} and s["NoNewPrivs"] == ["1"]
        assert s["CapPrm"] == s["CapEff"] == s["CapAmb"] == [f"{1 << 10:016x}"]
    finally:
        os.kill(pid, signal.SIGTERM)
    until(lambda: not (folder / "pid").exists() and not (folder / "c").exists(), "its end")


@root_only
def test_as_an_ordinary_user_on_port_443(evenkeel, backend, client, folder):
    """A reload with a new bind and a new log, USR1 and USR2: all as nobody."""
    host = "127.{}.{}.{}".format(*(1 + b % 250 for b in os.urandom(3)))
    server = backend()

    def text(log, more=""):
        return (f"[global]\nuser = nobody\ncontrol = {folder}/c\npid_file = {folder}/pid\n"
                f"access_log = {folder}/{log}\n[listener l]\nbind = 127.0.0.1:0\n"
                f"bind = {host}:443\n{more}"
                f"[pool p]\nhealth = off\nbackend = {server.address}\n")

    def of_nobody(name):
        return (folder / name).stat().st_uid == NOBODY.pw_uid
    proxy = evenkeel(text("a.log"))
    assert client((host, 443)).ask().status == 200
    proxy.file.write_text(text("b.log", f"bind = {host}:444\n"))
    proxy.signal(signal.SIGHUP)
    until(lambda: "generation 2 is in force" in proxy.stderr(), proxy.stderr)
    assert client((host, 443)).ask().status == client((host, 444)).ask().status == 200
    assert of_nobody("b.log")
    (folder / "b.log").rename(folder / "b.log.1")
    proxy.signal(signal.SIGUSR1)
    until(lambda: (folder / "b.log").exists(), "the log to be opened anew")
    assert client((host, 443)).ask().status == 200
    until(lambda: (folder / "b.log").read_text().endswith("\n"), "the record")
    assert of_nobody("b.log")
    proxy.signal(signal.SIGUSR2)
    until(lambda: "has taken over" in proxy.stderr(), proxy.stderr)
    assert proxy.wait() == 0
    pid = int((folder / "pid").read_text())
    try:
        assert client((host, 443)).ask().status == client((host, 444)).ask().status == 200
        assert set(status_of(pid)["Uid"]) == {str(NOBODY.pw_uid)}
    finally:
        os.kill(pid, signal.SIGTERM)
    until(lambda: not (folder / "pid").exists(), "its end")
