"""Logs in odd places, stops at odd moments, routes with odd paths, POST and stale connections."""
import os
import signal
import socket

import pytest

from harness import Broken, Gate, ini, until

ROUTES = """[pool api]
backend = {}
[route dotted]
host = api.test
pool = api
[route star]
host = *.wild.test
pool = api
[route path]
path = /api, /deep/er
pool = api
"""


@pytest.mark.parametrize("hosts, want", [
    (["api.test", "API.Test", "api.test:8080", "api.test:80", "a.wild.test", "a.b.WILD.test:1",
      "api.test."], "api"),
    (["api.test.evil", "xapi.test", "wild.test", "notwild.test", ".wild.test.x", "api.tes",
      "api.test.:"], "web"),
])
def test_routes_by_odd_hosts(evenkeel, backend, client, hosts, want):
    web, api = backend(name="web"), backend(name="api")
    c = client(evenkeel(ini([web], listener="pool = web\n", rest=ROUTES.format(api.address))))
    wrong = []
    for host in hosts:
        r = c.ask(host=host)
        if r.status == 400:  # a final dot or an empty port may be refused, not misrouted
            c = client(c.sock.getpeername()[1])
            continue
        if r.body.decode() != want and not host.endswith((".", ".:")):
            wrong.append((host, r.body))
    assert not wrong


@pytest.mark.parametrize("targets, want", [
    (["/api", "/api/", "/api?x", "/api/x/y", "/deep/er", "/deep/er/", "/api/../web", "/api//",
      "/deep/er?/x", "http://x/api"], "api"),
    (["/", "/apix", "/API", "/ap", "/api%2Fx", "/%61pi", "//api", "/./api", "/deep", "/deep/",
      "/deep/err", "/x/../api", "/?/api", "/api;x", "http://x/?/api"], "web"),
])
def test_routes_by_odd_paths(evenkeel, backend, client, targets, want):
    """A prefix on a segment boundary of the bytes as they are; what is forwarded is the same."""
    web, api = backend(name="web"), backend(name="api")
    c = client(evenkeel(ini([web], listener="pool = web\n", rest=ROUTES.format(api.address))))
    for target in targets:
        assert c.ask(target=target, host="other").body.decode() == want, target
    sent = [m.target for m in (api if want == "api" else web).requests]
    assert sent == [t.replace("http://x", "") for t in targets]


def test_access_log_on_a_full_device(evenkeel, backend, client):
    """Serving goes first."""
    proxy = evenkeel(ini([backend()], top="access_log = /dev/full\n"))
    c = client(proxy)
    assert all(c.ask().status == 200 for _ in range(200))
    c.close()
    proxy.stop()


def test_access_log_that_cannot_be_opened(evenkeel, backend, tmp_path):
    (tmp_path / "dir").mkdir()
    for path in (tmp_path / "dir", tmp_path / "no" / "access.log"):
        with pytest.raises(AssertionError, match="(?s)ended at once.*access_log|" + str(path)):
            evenkeel(ini([backend()], top=f"access_log = {path}\n"))


def test_access_log_is_a_pipe_nobody_reads(evenkeel, backend, client, tmp_path):
    """A reader that stopped holds up no request; when it reads on, lines are whole."""
    pipe, data = tmp_path / "pipe", b""
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        proxy = evenkeel(ini([backend()], top=f"access_log = {pipe}\n"))
        c = client(proxy)
        for _ in range(50):
            assert c.ask(target="/" + "x" * 4000).status == 200
        os.set_blocking(reader, True)
        while data.count(b"\n") < 50:
            data += os.read(reader, 65536)
    finally:
        os.close(reader)
    assert all(line.count(b"/xxx") == 1 and b'" 200 2 "' in line for line in data.splitlines())


def refused(port):
    try:
        socket.create_connection(("127.0.0.1", port), 10).close()
    except ConnectionRefusedError:
        return True
    return False


def test_stop_in_the_middle_of_a_pipeline(lb, backend, client):
    """What is in flight is answered and says close; what is behind it is not begun."""
    gate = Gate()

    def script(conn):
        while True:
            m = conn.request()
            gate.wait()
            conn.answer(m.target.encode())
    b = backend(script)
    proxy = lb([b])
    c = client(proxy).send(b"".join(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % i for i in range(9)))
    b.wait_requests(1)
    proxy.signal(signal.SIGTERM)
    until(lambda: "stopping" in proxy.stderr(), "the signal to be seen")
    until(lambda: refused(proxy.port), "new connections to be refused")
    gate.open()
    answers = []
    try:
        while True:
            answers.append(c.response())
    except Broken:
        c.close()
    assert answers and [r.body for r in answers] == [b"/%d" % i for i in range(len(answers))]
    assert "close" in answers[-1].tokens("connection")
    assert proxy.wait() == 0
    assert len(proxy.access()) == len(b.requests) == len(answers)


def test_stop_while_heads_and_uploads_are_half_sent(lb, backend, client):
    """An upload may finish; half a head does not hold the stop for its whole time."""
    b = backend()
    proxy = lb([b])
    half = [client(proxy).send(b"GET / HTTP/1.1\r\nHo") for _ in range(5)]
    up = client(proxy).send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab")
    b.wait_conns(1)
    proxy.signal(signal.SIGTERM)
    until(lambda: "stopping" in proxy.stderr(), "the signal to be seen")
    up.send(b"cd")
    assert up.response().status == 200
    up.close()
    for c in half:
        try:
            c.send(b"st: h\r\n\r\n")
            assert c.response().status in (200, 503)
        except (Broken, OSError):
            pass
        c.close()
    assert proxy.wait() == 0
    assert {r["end"] for r in proxy.access()} <= {"ok", "shutdown", "client_gone"}


def test_post_does_not_trust_what_a_backend_announced(lb, backend, client):
    """Keep-Alive: timeout=1 is too close to now for a POST on a reused connection, or served."""
    def script(conn):
        while True:
            conn.request()
            conn.answer(b"x", fields=["Keep-Alive: timeout=1"])
    b = backend(script)
    proxy = lb([b])
    c = client(proxy)
    for _ in range(5):
        assert c.ask().body == b"x"
        assert c.ask("POST", body=b"1").body == b"x"
    assert all(a["outcome"] == "ok" for r in proxy.access(10) for a in r["attempts"])


@pytest.mark.parametrize("value", ["timeout=99999999999999999999", "timeout=-1", "timeout", "x",
                                   "timeout=0", "timeout=1.5", ", , timeout=5;max=0", "max=0"])
def test_odd_keep_alive_fields(lb, backend, client, value):
    def script(conn):
        while True:
            conn.request()
            conn.answer(b"x", fields=[f"Keep-Alive: {value}", "Connection: keep-alive"])
    c = client(lb([backend(script)]))
    for method in ("GET", "POST", "GET", "POST", "POST"):
        r = c.ask(method, body=b"b" if method == "POST" else None)
        assert r.body == b"x" and not r.has("keep-alive")
