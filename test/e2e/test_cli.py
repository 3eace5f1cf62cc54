"""Verbs, exit codes, messages."""
import json
import os
import socket
import subprocess

import pytest

from harness import Client, build_of, ini, until
from harness.proxy import LISTENING, environment

pytestmark = pytest.mark.plain_only("no traffic")


def run(tmp_path, *args, text=None):
    """The binary on a file of that text; -> CompletedProcess."""
    command = [str(build_of())]
    if text is not None:
        (tmp_path / "lb.ini").write_text(text)
        command += ["-c", str(tmp_path / "lb.ini")]
    return subprocess.run([*command, *args], capture_output=True, text=True, timeout=10,
                          cwd=tmp_path, env=environment(), check=False)


GOOD = "[listener a]\nbind = 127.0.0.1:0\n[pool p]\nbackend = 127.0.0.1:9\n"


def test_help_and_version(tmp_path):
    for args in (["--help"], ["--version"]):
        r = run(tmp_path, *args)
        assert r.returncode == 0 and r.stdout.strip() and not r.stderr
    text = run(tmp_path, "--help").stdout
    for word in ("run", "check", "reload", "status", "config", "--demo", "-c"):
        assert word in text, word
    assert run(tmp_path, "--version").stdout.startswith("evenkeel ")


@pytest.mark.parametrize("args", [["nonsense"], ["--nonsense"], ["run", "extra"],
                                  ["check", "--demo"], ["-c"], ["status", "--yaml"]])
def test_usage_errors(tmp_path, args):
    r = run(tmp_path, *args)
    assert r.returncode == 2 and r.stderr.strip()


@pytest.mark.parametrize("verb", ["check", "-t"])
def test_check_good(tmp_path, verb):
    r = run(tmp_path, verb, text=GOOD)
    assert r.returncode == 0, r.stderr
    assert "p" in r.stdout  # the worst case of each pool


def test_check_warns_and_computes(tmp_path):
    """Two backends and the defaults: nothing to warn of. What defeats itself is said."""
    text = "[listener a]\nbind = 127.0.0.1:0\n[pool p]\nbackend = 127.0.0.1:8, 127.0.0.1:9\n"
    r = run(tmp_path, "check", text=text)
    assert r.returncode == 0 and r.stderr == ""
    for part in ("60 s", "2 retries", "1.2 times the requests", "3 times the connects",
                 "7.6 s", "5.4 s", "5 failed attempts"):
        assert part in r.stdout
    r = run(tmp_path, "check", text=text + "health = off\nrequest_timeout = 3s\n")
    assert r.returncode == 0
    assert "lb.ini:5: warning: [pool p] health: off" in r.stderr
    assert "lb.ini:6: warning: [pool p] request_timeout: 3s" in r.stderr


ERRORS = [  # text, line, parts of the message
    ("[pool p]\nbackend = 127.0.0.1:9\nconect_timeout = 1s\n", 5,
     ["[pool p]", "conect_timeout", "did you mean connect_timeout?"]),
    ("[pool p]\nbackend = 127.0.0.1:9\nconnect_timeout = 1\n", 5, ["connect_timeout", "1"]),
    ("[pool p]\nbackend = 127.0.0.1:9\nbackend = 127.0.0.1:99999\n", 5, ["99999"]),
    ("[pool p]\nbackend = 127.0.0.1:9 weight=0\n", 4, ["weight"]),
    ("[pool p]\n", 3, ["[pool p]", "backend"]),
    ("[pol p]\nbackend = 127.0.0.1:9\n", 3, ["pol", "did you mean pool?"]),
    ("[pool p]\nbackend = 127.0.0.1:9\n[pool p]\nbackend = 127.0.0.1:9\n", 5, ["p"]),
    ("[pool p]\nbackend = 127.0.0.1:9\nkeepalive = 1\nkeepalive = 2\n", 6, ["keepalive"]),
    ("[pool p]\nbackend = 127.0.0.1:9\n[route r]\npool = q\n", 6, ["q"]),
    ("[pool p]\nbackend = 127.0.0.1:9\n[global]\nworkers = 0\n", 6, ["workers", "256"]),
    ("[pool p]\nbackend = 127.0.0.1:9\n[global]\nlog_level = loud\n", 6,
     ["log_level", "loud", "debug"]),
    ("[pool p]\nbackend = 127.0.0.1:9\n[listener b]\nbind = 127.0.0.1:1\nbind = 127.0.0.1:1\n",
     7, ["bind"]),
]


@pytest.mark.parametrize("text, line, parts", ERRORS)
def test_check_errors_name_the_place(tmp_path, text, line, parts):
    r = run(tmp_path, "check", text="[listener a]\nbind = 127.0.0.1:0\n" + text)
    assert r.returncode == 2
    lines = (r.stdout + r.stderr).splitlines()
    hits = [m for m in lines if f"lb.ini:{line}:" in m]
    assert hits, lines
    for part in parts:
        assert any(part in m for m in hits), (part, hits)


def test_all_errors_in_one_pass(tmp_path):
    text = "[global]\nworkers = x\nlog_format = y\n[listener a]\nbind = z\n[pool p]\nbackend = 1\n"
    r = run(tmp_path, "check", text=text)
    assert r.returncode == 2
    for line in (2, 3, 5, 7):
        assert f"lb.ini:{line}:" in r.stdout + r.stderr


def test_run_refuses_a_bad_file(tmp_path):
    r = run(tmp_path, "run", text=GOOD + "nonsense = 1\n")
    assert r.returncode == 2 and "lb.ini:5:" in r.stderr


def test_missing_file(tmp_path):
    r = subprocess.run([build_of(), "-c", tmp_path / "none.ini", "check"], text=True,
                       capture_output=True, env=environment(), timeout=10, check=False)
    assert r.returncode == 2 and "none.ini" in r.stderr


def test_no_file_anywhere(tmp_path):
    if os.path.exists("/etc/evenkeel/lb.ini"):
        pytest.skip("this machine has one")
    r = subprocess.run([build_of()], text=True, capture_output=True, cwd=tmp_path,
                       env=environment(), timeout=10, check=False)
    assert r.returncode == 2
    assert "lb.ini" in r.stderr and "/etc/evenkeel/lb.ini" in r.stderr and "-c FILE" in r.stderr


def test_crlf_bom_and_comments_are_accepted(tmp_path):
    text = "\ufeff; first\r\n" + GOOD.replace("\n", " ; more\r\n") + "# end\r\n"
    assert run(tmp_path, "check", text=text).returncode == 0


def test_config_reads_back(tmp_path):
    """What `config` prints is a valid file that prints the same."""
    first = run(tmp_path, "config", text=GOOD + "connect_timeout = 1500ms\n")
    assert first.returncode == 0 and "connect_timeout = 1500ms" in first.stdout
    again = run(tmp_path, "config", text=first.stdout)
    assert again.returncode == 0 and again.stdout == first.stdout


def test_config_defaults(tmp_path):
    r = run(tmp_path, "config", "--defaults", text=GOOD)
    assert r.returncode == 0
    for line in ("header_timeout = 10s", "max_header_size = 16k", "keepalive = 64"):
        assert line in r.stdout
    assert run(tmp_path, "check", text=r.stdout).returncode == 0


def test_port_in_use(tmp_path):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        text = GOOD.replace(":0", f":{port}") + f"[global]\ncontrol = {tmp_path}/ctl\n"
        r = run(tmp_path, "run", text=text)
    assert r.returncode == 1
    assert f"127.0.0.1:{port}" in r.stderr and "in use" in r.stderr.lower()


def test_port_in_use_by_another_evenkeel(evenkeel, backend):
    """SO_REUSEPORT must not hide it."""
    b = backend()
    proxy = evenkeel(ini([b]))
    with pytest.raises(AssertionError, match="(?i)in use"):
        evenkeel(ini([b]).replace("bind = 127.0.0.1:0", f"bind = 127.0.0.1:{proxy.port}"))
    with Client(proxy.port) as c:
        assert c.ask().status == 200


def test_already_running(lb, backend):
    proxy = lb([backend()])
    r = proxy.verb("run")
    assert r.returncode == 1 and f"already running, pid {proxy.pid}" in r.stderr
    with Client(proxy.port) as c:
        assert c.ask().status == 200


def test_stale_control_socket_is_no_obstacle(lb, backend, evenkeel):
    """After a crash the path is still there, but nobody answers."""
    b = backend()
    proxy = lb([b])
    proxy.kill()
    assert proxy.control.exists()
    again = evenkeel(f"[global]\ncontrol = {proxy.control}\n[listener a]\n"
                     f"bind = 127.0.0.1:0\n[pool p]\nbackend = {b.address}\n")
    with Client(again.port) as c:
        assert c.ask().status == 200


def test_control_socket_is_private_and_removed(lb, backend):
    proxy = lb([backend()])
    assert proxy.control.stat().st_mode & 0o777 == 0o600
    proxy.stop()
    assert not proxy.control.exists()


def start_bare(tmp_path, args):
    """Runs the binary without the harness's file; -> (process, stderr path)."""
    err = tmp_path / "stderr"
    with open(err, "wb") as f:
        process = subprocess.Popen([str(build_of()), *args], stderr=f, cwd=tmp_path,
                                   stdout=subprocess.DEVNULL, env=environment())
    until(lambda: "evenkeel ready" in err.read_text() or process.poll() is not None, "ready")
    return process, err


def ends_well(process, err):
    process.terminate()
    assert process.wait(10) == 0, err.read_text()


def test_one_liner(tmp_path, backend, free_port):
    b, port = [backend(), backend()], free_port()
    process, err = start_bare(tmp_path, ["--control", str(tmp_path / "ctl"), str(port),
                                         str(b[0].port), str(b[1].port)])
    try:
        assert LISTENING.findall(err.read_text()) == [f"127.0.0.1:{port}"]
        with Client(port) as c:
            assert sorted(c.ask().body for _ in range(4)) == [b"b0", b"b0", b"b1", b"b1"]
    finally:
        ends_well(process, err)


def test_one_liner_on_all_addresses(tmp_path, backend, free_port):
    port = free_port()
    process, err = start_bare(tmp_path, ["--control", str(tmp_path / "ctl"), f":{port}",
                                         str(backend().port)])
    try:
        with Client(("127.0.0.2", port)) as c:
            assert c.ask().body == b"b0"
    finally:
        ends_well(process, err)


def test_demo_starts_the_missing_backends(evenkeel, backend, free_port):
    """Only where nobody listens; the real one stays itself."""
    real = backend(name="real")
    ports = [free_port(), free_port()]
    proxy = evenkeel(ini([real, *(f"127.0.0.1:{p}" for p in ports)]), args=("run", "--demo"))
    with Client(proxy.port) as c:
        answers = [c.ask() for _ in range(6)]
    assert [a.status for a in answers] == [200] * 6
    assert len({a.body for a in answers}) == 3
    assert sum(a.body == b"real" for a in answers) == 2
    for port in ports:
        with Client(port) as c:
            assert c.ask().status == 200


def test_without_demo_nobody_is_started(evenkeel, free_port):
    port = free_port()
    proxy = evenkeel(ini([f"127.0.0.1:{port}"]))
    with Client(proxy.port) as c:
        assert c.ask().status == 502


def test_log_as_json(evenkeel, backend):
    proxy = evenkeel(ini([backend(), backend()], top="log_format = json\n"))
    for line in proxy.stderr().splitlines():
        record = json.loads(line)
        assert {"time", "level", "message"} <= set(record)


def test_log_to_a_file(tmp_path, backend):
    text = ini([backend(), backend()], top=f"control = {tmp_path}/ctl\nlog = main.log\n")
    (tmp_path / "lb.ini").write_text(text)
    process = subprocess.Popen([build_of(), "-c", "lb.ini"], cwd=tmp_path, env=environment(),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    log = tmp_path / "main.log"
    until(lambda: log.exists() and "evenkeel ready" in log.read_text(), "the log to say ready")
    process.terminate()
    assert process.wait(10) == 0


def test_status_of_a_file_that_names_no_control_socket(tmp_path):
    """The default path is asked, and the message says which it is."""
    r = run(tmp_path, "status", text=GOOD)
    assert "evenkeel.sock" in r.stderr or r.returncode == 0
