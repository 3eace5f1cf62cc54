"""Misuse of the command line, of signals, of the control socket and of the admin pages."""
import json
import re
import signal
import socket
import subprocess

import pytest

from harness import Client, Gate, build_of, ini, metrics, until
from harness.proxy import environment

GOOD = "[listener a]\nbind = 127.0.0.1:0\n[pool p]\nbackend = 127.0.0.1:9\n"


def run(folder, *args, text=None):
    if text is not None:
        (folder / "lb.ini").write_text(text)
    return subprocess.run([str(build_of()), *args], capture_output=True, text=True, timeout=10,
                          cwd=folder, env=environment(), check=False)


@pytest.mark.parametrize("args", [
    ["-c", "lb.ini", "check", "check"], ["-c", "lb.ini", "-c", "lb.ini", "check", "x"],
    ["check", "--json"], ["status", "--defaults"], ["config", "--json"], ["config", "--demo"],
    ["run", "--json"], ["--control"], ["-c"], ["-x"], ["--"], [""], ["check", ""], ["-t", "run"],
    ["-tx"], ["--jsonx", "status"], ["reload", "x"], ["reload", "--json"], ["drain"],
    ["undrain", "x"], ["explain", "x"], ["top"], ["ps"], ["simulate", "x"], ["Check"],
    ["8080"], ["8080", "x"], ["8080", "3000", "x y"], ["80800", "3000"], ["8080", "99999"], ["8080", "0"], ["-1", "3000"],
    ["8080", "3000", "--json"], ["run", "8080", "3000"], ["8080", "3000", "3000"],
    ["8080", "127.0.0.1:"], [":", "3000"],
    ["8080", "3000 weight=0"]], ids=str)
def test_usage_errors_are_2_and_explained(tmp_path, args):
    """Nothing is started, nothing on stdout, and the message is one a human can use."""
    r = run(tmp_path, *args, text=GOOD)
    assert r.returncode == 2 and not r.stdout, r
    assert r.stderr.strip() and r.stderr.count("\n") < 40


def test_files_that_are_no_files(tmp_path):
    (tmp_path / "dir").mkdir()
    for name in ("dir", "none/lb.ini", "/dev/null", "x" * 300, ""):
        for verb in ("check", "run", "config"):
            r = run(tmp_path, "-c", name, verb)
            assert r.returncode == 2 and r.stderr.strip(), (name, verb, r)


def test_check_leaves_no_trace(tmp_path):
    """Neither a socket nor a log nor a bound port."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        text = GOOD.replace(":0", f":{s.getsockname()[1]}") + \
            f"[global]\ncontrol = {tmp_path}/ctl\naccess_log = {tmp_path}/access.log\n"
        for verb in ("check", "-t", "config"):
            assert run(tmp_path, "-c", "lb.ini", verb, text=text).returncode == 0
    assert not (tmp_path / "ctl").exists()
    assert [p.name for p in tmp_path.iterdir() if p.stat().st_size] == ["lb.ini"]


SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT]


@pytest.mark.parametrize("first", SIGNALS)
@pytest.mark.parametrize("second", SIGNALS)
def test_two_different_stops(lb, backend, client, first, second):
    """The first drains, the second ends at once, whichever they are."""
    gate = Gate()

    def script(conn):
        conn.request()
        gate.wait()
    b = backend(script)
    proxy = lb([b])
    c = client(proxy).request()
    b.wait_requests(1)
    proxy.signal(first)
    until(lambda: "stopping" in proxy.stderr(), "the first signal to be seen")
    assert proxy.process.poll() is None
    proxy.signal(second)
    proxy.wait()
    gate.open()
    c.stream.rest()
    assert len(proxy.access(1)) == 1 and proxy.access()[0]["end"] == "shutdown"


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE,
                                    signal.SIGCHLD, signal.SIGWINCH, signal.SIGCONT])
def test_other_signals_do_not_end_it(lb, backend, client, number):
    """They reload, reopen or do nothing; nothing may break by them."""
    proxy = lb([backend()])
    c = client(proxy)
    for _ in range(20):
        proxy.signal(number)
    for i in range(5):
        assert c.ask(target=f"/{i}").status == 200
    assert client(proxy).ask().status == 200 and proxy.process.poll() is None


def control(proxy):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(10)
    s.connect(str(proxy.control))
    return s


GARBAGE = [b"", b"\n", b"x", b"\0" * 1000, b"\xff" * 100000, b"status", b"status\n" * 10000,
           b"GET /status HTTP/1.1\r\nHost: h\r\n", b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
           b"GET /status HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n\r\n",
           b"POST /reload HTTP/1.1\r\nHost: h\r\n\r\n", b"stop\n", b"{\"verb\":\"status\"",
           b"{}" * 5000, b"\x00\x00\x00\xff", b"drain web/b0\n"]


@pytest.mark.parametrize("how", ["close", "half", "keep"])
def test_garbage_on_the_control_socket(lb, backend, client, how):
    proxy, kept = lb([backend()]), []
    for data in GARBAGE:
        s = control(proxy)
        try:
            s.sendall(data)
            if how == "half":
                s.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        (kept.append if how == "keep" else socket.socket.close)(s)
    r = proxy.verb("status", "--json")
    assert r.returncode == 0 and json.loads(r.stdout)["state"] == "running"
    assert client(proxy).ask().status == 200
    for s in kept:
        s.close()


def test_control_connections_that_say_nothing(lb, backend, client):
    """Two hundred of them keep neither verbs nor traffic nor a stop from working."""
    proxy = lb([backend()])
    silent = [control(proxy) for _ in range(200)]
    assert client(proxy).ask().status == 200
    assert proxy.verb("status").returncode == 0
    proxy.stop()
    for s in silent:
        s.close()


def test_too_many_control_connections_do_not_touch_traffic(lb, backend, client):
    """And when they are gone, verbs work again."""
    proxy, silent = lb([backend()]), []
    for _ in range(400):
        s = socket.socket(socket.AF_UNIX)
        s.setblocking(False)
        if s.connect_ex(str(proxy.control)) == 0:
            silent.append(s)
        else:
            s.close()  # the backlog is full
    for _ in range(5):
        assert client(proxy).ask().status == 200
    for s in silent:
        s.close()
    until(lambda: proxy.verb("status").returncode == 0, "an answer to status")


def test_control_path_of_somebody_else(evenkeel, backend, tmp_path):
    """A file that is no socket is not overwritten; one in no directory is an error."""
    precious = tmp_path / "precious"
    precious.write_text("data")
    for path in (precious, tmp_path / "no" / "ctl"):
        with pytest.raises(AssertionError, match="ended at once"):
            evenkeel(ini([backend()], top=f"control = {path}\n"))
    assert precious.read_text() == "data"


def test_control_of_the_wrong_process(lb, backend, tmp_path):
    """--control at a server that is none of ours: exit 1 soon, no hang, no raw output."""
    def liar(conn):
        conn.send(b"\x1b[2J\xff\x00garbage\n" * 100)
    b = backend(liar, address=str(tmp_path / "liar"))
    proxy = lb([backend()])
    r = proxy.verb("--control", b.address, "status")
    assert r.returncode == 1 and "\x1b" not in r.stdout + r.stderr
    assert proxy.verb("--control", str(tmp_path / "none"), "status").returncode == 1


ODD = [b"GET /metrics/ HTTP/1.1", b"GET /metrics?x=1 HTTP/1.1", b"GET //metrics HTTP/1.1",
       b"GET /../metrics HTTP/1.1", b"GET /%6detrics HTTP/1.1", b"GET http://h/metrics HTTP/1.1",
       b"OPTIONS * HTTP/1.1", b"PUT /status HTTP/1.1", b"TRACE / HTTP/1.1",
       b"GET /metrics HTTP/1.0",
       b"HEAD /metrics HTTP/1.1", b"CONNECT h:1 HTTP/1.1", b"POST /reload HTTP/1.1"]


def test_admin_takes_odd_requests(lb, backend, client):
    """Each is answered or refused; the pages keep working and change nothing."""
    proxy = lb([backend()], admin=True)
    for line in ODD:
        c = client(proxy.admin_port).send(line + b"\r\nHost: h\r\nConnection: close\r\n\r\n")
        rest = c.stream.rest()
        assert re.match(rb"HTTP/1\.[01] (200|204|400|404|405|301|308) ", rest), (line, rest[:100])
        if line.startswith(b"HEAD"):
            assert rest.endswith(b"\r\n\r\n") and rest.count(b"\r\n\r\n") == 1
    assert client(proxy).ask().status == 200


def test_admin_under_attack(lb, backend, client):
    """Endless heads, bodies, pipelines and silent connections: bounded and served."""
    proxy = lb([backend()], admin=True)
    silent = [client(proxy.admin_port) for _ in range(100)]
    for data in (b"GET /status HTTP/1.1\r\nX: " + b"x" * 1000000, b"G" * 1000000,
                 b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * 10000,
                 b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n" + b"b" * 1000000,
                 b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"):
        c = client(proxy.admin_port)
        try:
            c.send(data).half_close()
        except OSError:
            pass
        rest = c.stream.rest()
        assert rest == b"" or re.match(rb"HTTP/1\.1 4\d\d ", rest), rest[:100]
    c = client(proxy.admin_port)
    c.send(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n" * 300)
    assert [c.response().status for _ in range(300)] == [200] * 300
    start = proxy.rss_bytes()
    lazy = client(proxy.admin_port, rcvbuf=4096)
    try:
        lazy.sock.settimeout(0)
        lazy.sock.send(b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n" * 2000)
    except BlockingIOError:
        pass
    with Client(proxy.admin_port) as c:
        metrics.parse(c.ask(target="/metrics").body.decode())
    assert proxy.rss_bytes() - start < 4 << 20
    assert all(s.ask(target="/readyz").status == 200 for s in silent[:20])


def test_names_are_escaped_in_metrics_and_status(evenkeel, backend, client, tmp_path):
    """A unix path with quotes and backslashes as the backend's name."""
    b = backend(address=str(tmp_path / "q\"b\\s"))
    proxy = evenkeel(ini([f"unix:{b.address}"], admin=True))
    assert client(proxy).ask().status == 200
    with Client(proxy.admin_port) as c:
        families = metrics.parse(c.ask(target="/metrics").body.decode())
        assert families["evenkeel_backend_inflight"].samples
        json.loads(c.ask(target="/status").body)
