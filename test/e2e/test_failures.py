"""Backends and clients that go away."""
import contextlib
import signal

import pytest

from harness import Broken, Gate, until


@pytest.fixture
def dead(free_port):
    """An address where nobody listens."""
    return f"127.0.0.1:{free_port()}"


def test_refused_connection_is_502(lb, client, dead):
    proxy = lb([dead + " name=gone"], pool="retry_attempts = 0\n")
    c = client(proxy)
    r = c.ask()
    assert r.status == 502 and r.has("x-request-id")
    record = proxy.access(1)[0]
    assert record["end"] == "backend_failed" and record["status"] == 502
    assert [(a["backend"], a["outcome"]) for a in record["attempts"]] == \
        [("gone", "connect_refused")]


def test_client_connection_survives_a_502(lb, client, dead):
    c = client(lb([dead]))
    for _ in range(3):
        r = c.ask()
        assert r.status == 502 and "close" not in r.tokens("connection")


def test_502_for_a_request_with_body(lb, client, dead):
    """What was not read of the body must not become the next request."""
    proxy = lb([dead])
    c = client(proxy)
    c.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 28\r\n\r\nGET /evil HTTP/1.1\r\nHost: h\r\n")
    assert c.response().status == 502
    c.half_close().stream.rest()
    assert len(proxy.access(1)) == 1


@pytest.mark.parametrize("how", ["close", "reset"])
def test_end_without_answer_is_502(lb, backend, client, how):
    def script(conn):
        conn.request()
        getattr(conn, how)()
    proxy = lb([backend(script)], pool="retry_attempts = 0\n")
    assert client(proxy).ask().status == 502
    record = proxy.access(1)[0]
    assert [a["outcome"] for a in record["attempts"]] == ["reset"]
    assert record["end"] == "backend_failed"


def test_end_in_the_head_is_502(lb, backend, client):
    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Le")
    assert client(lb([backend(script)])).ask().status == 502


def test_client_abort_cancels_the_attempt(lb, backend, client):
    def script(conn):
        conn.request()
        assert conn.closed()
    b = backend(script)
    proxy = lb([b])
    c = client(proxy).request()
    b.wait_requests(1)
    c.reset()
    until(b.conns[0].ended.is_set, "the backend to see the end")
    record = proxy.access(1)[0]
    assert (record["status"], record["end"]) == (499, "client_gone")
    assert [a["outcome"] for a in record["attempts"]] == ["cancelled"]


def test_client_abort_in_the_response(lb, backend, client):
    gate = Gate()

    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
        gate.wait()
        assert conn.closed()
    b = backend(script)
    proxy = lb([b])
    c = client(proxy).request()
    c.stream.need(lambda buf: b"hello" in buf)
    gate.open()
    c.reset()
    until(b.conns[0].ended.is_set, "the backend to see the end")
    assert proxy.access(1)[0]["end"] == "client_gone"


def test_client_abort_in_the_upload(lb, backend, client):
    """The backend must not take the part for the whole."""
    def script(conn):
        conn.request()
        raise AssertionError("half a body came through as a whole one")
    b = backend(script)
    proxy = lb([b])
    c = client(proxy)
    c.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    b.wait_requests(1)
    c.close()
    until(b.conns[0].ended.is_set, "the backend to see the end")
    record = proxy.access(1)[0]  # it left, or it ended its body too early
    assert (record["status"], record["end"]) in ((499, "client_gone"), (400, "client_bad"))


def test_half_close_after_a_whole_request_gets_its_answer(lb, held, client):
    c = client(lb([held])).request().half_close()
    held.wait_requests(1)
    held.gate.open()
    assert c.response().body == b"x"
    assert c.at_end()


def test_half_close_in_a_body_never_looks_complete(lb, backend, client):
    def script(conn):
        conn.request()
        raise AssertionError("half a body came through as a whole one")
    b = backend(script)
    c = client(lb([b]))
    c.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhel").half_close()
    rest = c.stream.rest()
    assert rest == b"" or rest.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 408 "))


def test_one_dead_backend_of_two(lb, backend, client, dead):
    """Without retries and ejection: the dead one's share gets 502, nobody else."""
    proxy = lb([backend(), dead], pool="retry_attempts = 0\neject_failures = 0\n")
    c = client(proxy)
    statuses = [c.ask().status for _ in range(20)]
    assert sorted(statuses) == [200] * 10 + [502] * 10


@contextlib.contextmanager
def standing_still(proxy):
    """What happens meanwhile reaches the process as one event."""
    proxy.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        proxy.signal(signal.SIGCONT)


@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 200 OK\r\nConte",
                                  b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"])
def test_reset_right_behind_the_data(lb, backend, client, part):
    """One readiness event for both: the reset must not be overlooked."""
    gate = Gate()

    def script(conn):
        conn.request()
        gate.wait()
        conn.send(part)
        conn.reset()
    b = backend(script)
    proxy = lb([b])
    c = client(proxy).request()
    b.wait_requests(1)
    with standing_still(proxy):
        gate.open()
        until(b.conns[0].ended.is_set, "the backend to have reset")
    try:
        assert c.response().status == 502
    except Broken:
        assert b"Length" in part
    assert proxy.access(1)[0]["end"] in ("backend_failed", "backend_broke_off")


def test_client_resets_right_behind_its_request(lb, backend, client):
    def script(conn):
        conn.request()
        conn.closed(30)
    b = backend(script)
    proxy = lb([b])
    warm = client(proxy)
    warm.send(b"GET /a HTTP/1.1\r\n")
    with standing_still(proxy):
        warm.send(b"Host: h\r\n\r\n").reset()
    record = proxy.access(1)[0]
    assert (record["status"], record["end"]) == (499, "client_gone")


def test_many_clients_abort(lb, backend, client):
    """Nothing leaks and nothing is disturbed (the sanitizers look on)."""
    gate = Gate()

    def script(conn):
        while True:
            if conn.request().target == "/wait":
                gate.wait()
            conn.answer(b"x")
    b = backend(script)
    proxy = lb([b])
    clients = [client(proxy).request(target="/wait") for _ in range(50)]
    b.wait_requests(50)
    for i, c in enumerate(clients):
        (c.reset if i % 2 else c.close)()
    assert {r["end"] for r in proxy.access(25)} == {"client_gone"}
    gate.open()  # a mere end of sending may be half a close: those get answers
    assert len(proxy.access(50)) == 50
    assert client(proxy).ask().body == b"x"


def test_errors_made_here_say_so(lb, backend, client, dead):
    """RFC 9209: Proxy-Status tells our errors from the backend's."""
    def script(conn):
        conn.request()
        conn.answer(b"", "503 Service Unavailable", ["Connection: close"])
    bad = client(lb([dead])).send(b"GET / HTTP/1.1\r\nbad\r\n\r\n").response()
    refused = client(lb([dead])).ask()
    passed = client(lb([backend(script)])).ask()
    assert (bad.status, refused.status, passed.status) == (400, 502, 503)
    assert "evenkeel" in bad.one("proxy-status") and "evenkeel" in refused.one("proxy-status")
    assert not passed.has("proxy-status")
