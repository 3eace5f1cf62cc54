"""Connections are kept on both sides, and ended when they should be."""
import pytest

from harness import Client, Gate, until
from harness.backend import answer


def test_client_and_backend_connections_are_kept(lb, backend, client):
    b = backend()
    c = client(lb([b]))
    for _ in range(50):
        assert c.ask().status == 200
    assert len(b.conns) == 1


@pytest.mark.threaded
def test_backend_connections_outlive_clients(lb, backend):
    b = backend()
    proxy = lb([b], workers=2)
    for _ in range(60):
        with Client(proxy.port) as c:
            assert c.ask().body == b"b0"
    assert len(b.conns) <= 2  # one a worker


def test_pipelined_requests_are_answered_in_order(lb, backend, client):
    def echo(conn):
        while True:
            conn.answer(conn.request().target.encode())
    c = client(lb([backend(echo), backend(echo)]))
    c.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: lb.test\r\n\r\n" % i for i in range(30)))
    assert [c.response().body for _ in range(30)] == [b"/%d" % i for i in range(30)]


def test_pipelining_with_bodies(lb, backend, client):
    def echo(conn):
        while True:
            conn.answer(conn.request().body)
    c = client(lb([backend(echo)]))
    c.send(b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\none"
           b"POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n"
           b"POST /c HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nthree")
    assert [c.response().body for _ in range(3)] == [b"one", b"two", b"three"]


def test_connection_close_of_the_client(lb, backend, client):
    b = backend()
    c = client(lb([b]))
    r = c.ask(fields=["Connection: close"])
    assert r.status == 200 and "close" in r.tokens("connection")
    assert c.at_end()
    assert "close" not in b.requests[0].tokens("connection")  # the hop's own affair


def test_connection_close_of_the_backend(lb, backend, client):
    """The client's connection stays; the next request gets a fresh backend one."""
    def once(conn):
        conn.request()
        conn.answer(b"x", fields=["Connection: close"])
    b = backend(once)
    c = client(lb([b]))
    for _ in range(3):
        r = c.ask()
        assert r.body == b"x" and "close" not in r.tokens("connection")
    assert len(b.conns) == 3


def test_http10_client_without_keepalive(lb, backend, client):
    b = backend()
    c = client(lb([b]))
    r = c.send(b"GET / HTTP/1.0\r\nHost: h\r\n\r\n").response()
    assert r.status == 200 and r.body == b"b0"
    assert c.at_end()
    assert b.requests[0].minor == 1  # to the backend it is our own connection


def test_http10_client_with_keepalive(lb, backend, client):
    c = client(lb([backend()]))
    for _ in range(3):
        r = c.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").response()
        assert r.body == b"b0" and "keep-alive" in r.tokens("connection")


def test_http10_client_without_host(lb, backend, client):
    b = backend()
    c = client(lb([b]))
    assert c.send(b"GET /x HTTP/1.0\r\n\r\n").response().status == 200
    assert b.requests[0].target == "/x"


def test_http10_backend_is_not_reused(lb, backend, client):
    def old(conn):
        conn.request()
        conn.send(b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx")
    b = backend(old)
    c = client(lb([b]))
    for _ in range(2):
        assert c.ask().body == b"x"
    assert len(b.conns) == 2


def test_idle_timeout_closes_in_silence(lb, backend, client):
    c = client(lb([backend()], listener="idle_timeout = 300ms\n"))
    assert c.ask().status == 200
    assert c.at_end()


def test_keepalive_timeout_closes_idle_backend_connections(lb, backend, client):
    b = backend()
    c = client(lb([b], pool="keepalive_timeout = 300ms\n"))
    assert c.ask().status == 200
    until(b.conns[0].ended.is_set, "the idle backend connection to be closed")
    assert c.ask().status == 200
    assert len(b.conns) == 2


def test_keepalive_limits_idle_backend_connections(lb, backend, client):
    """Eight at once, but only two are kept (one worker, keepalive = 2)."""
    gate = Gate()

    def together(conn):
        while True:
            conn.request()
            gate.wait()
            conn.answer(b"x")
    b = backend(together)
    proxy = lb([b], pool="keepalive = 2\n")
    clients = [client(proxy).request() for _ in range(8)]
    b.wait_requests(8)
    gate.open()
    assert [c.response().body for c in clients] == [b"x"] * 8
    until(lambda: sum(c.ended.is_set() for c in b.conns) == 6, "six of eight closed")


def close_after(first):
    """A backend that closes its first connection when the second request comes."""
    def script(conn):
        is_first = conn is conn.backend.conns[0]
        while True:
            conn.request()
            if is_first and len(conn.requests) > first:
                return
            conn.answer(b"x")
    return script


def test_stale_connection_is_replaced_for_get(lb, backend, client):
    b = backend(close_after(1))
    proxy = lb([b])
    c = client(proxy)
    assert c.ask().body == b"x"
    assert c.ask().body == b"x"
    assert [len(conn.requests) for conn in b.conns] == [2, 1]
    record = proxy.access(2)[1]
    assert [a["outcome"] for a in record["attempts"]] == ["stale", "ok"]
    assert [a["reused"] for a in record["attempts"]] == [True, False]
    assert record["retries"] == 0 and record["end"] == "ok"


def test_stale_connection_is_not_resent_for_post(lb, backend, client):
    """The backend read the POST: it may have acted on it."""
    b = backend(close_after(1))
    proxy = lb([b])
    c = client(proxy)
    assert c.ask("POST", body=b"1").body == b"x"
    r = c.ask("POST", body=b"2")
    if len(b.conns[0].requests) == 2:
        assert r.status == 502 and len(b.requests) == 2
    else:  # it chose a fresh connection for the second POST: right as well
        assert r.body == b"x"


def test_second_stale_connection_counts_as_reset(lb, backend, client):
    """One replacement a request, and that goes to a fresh connection."""
    gate = Gate()

    def script(conn):
        conn.request()
        if conn.requests[0].target == "/warm":
            gate.wait()
            conn.answer(b"x")
            conn.request()
    b = backend(script)
    proxy = lb([b], pool="retry_attempts = 0\n")
    warm = [client(proxy).request(target="/warm") for _ in range(2)]
    b.wait_requests(2)
    gate.open()
    assert [c.response().body for c in warm] == [b"x", b"x"]
    assert client(proxy).ask(target="/now").status == 502
    assert sum(r.target == "/now" for r in b.requests) == 2


def test_backend_that_closes_idle_connections_disturbs_nobody(lb, backend, client):
    def closing(conn):
        conn.request()
        conn.answer(b"x")
    b = backend(closing)
    proxy = lb([b])
    c = client(proxy)
    for i in range(20):
        assert c.ask().body == b"x", i
    assert {a["outcome"] for r in proxy.access(20) for a in r["attempts"]} <= {"ok", "stale"}


def test_bytes_on_an_idle_backend_connection_reach_nobody(lb, backend, client):
    gate = Gate()

    def talkative(conn):
        conn.request()
        conn.answer(b"x")
        if conn is conn.backend.conns[0]:
            gate.wait()
            conn.send(answer(b"POISON"))
        conn.request()
        conn.answer(b"x")
    b = backend(talkative)
    proxy = lb([b])
    assert client(proxy).ask().body == b"x"
    gate.open()
    until(b.conns[0].ended.is_set, "the poisoned connection to be closed")
    assert client(proxy).ask().body == b"x"
    assert len(b.conns) == 2
