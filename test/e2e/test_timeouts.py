"""Every wait has an end, and the right one is named."""
import socket
import time

import pytest

from harness import Broken, Gate, until


def stall(conn):
    """Reads a request and never answers."""
    conn.request()
    conn.closed()


@pytest.fixture
def full_backlog():
    """An address that neither accepts nor refuses: its queue is full."""
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    s.listen(0)
    fill = []
    for _ in range(4):
        c = socket.socket()
        c.setblocking(False)
        c.connect_ex(s.getsockname())
        fill.append(c)
    yield f"127.0.0.1:{s.getsockname()[1]}"
    for c in [*fill, s]:
        c.close()


def took(start):
    return time.monotonic() - start


def test_connect_timeout(lb, client, full_backlog):
    proxy = lb([full_backlog], pool="connect_timeout = 300ms\nretry_attempts = 0\n")
    start = time.monotonic()
    r = client(proxy).ask()
    assert r.status == 504 and 0.25 < took(start) < 3
    assert r.has("x-request-id")
    record = proxy.access(1)[0]
    assert [a["outcome"] for a in record["attempts"]] == ["connect_timeout"]
    assert record["end"] in ("backend_slow", "backend_failed")


def test_response_timeout(lb, backend, client):
    b = backend(stall)
    proxy = lb([b], pool="response_timeout = 300ms\nretry_attempts = 0\n")
    start = time.monotonic()
    r = client(proxy).ask()
    assert r.status == 504 and 0.25 < took(start) < 3
    record = proxy.access(1)[0]
    assert [a["outcome"] for a in record["attempts"]] == ["timeout"]
    assert record["end"] == "backend_slow"
    until(b.conns[0].ended.is_set, "the attempt's connection to be closed")


def test_response_timeout_bounds_a_dripping_head(lb, backend, client):
    """In total, not from byte to byte."""
    def drip(conn):
        conn.request()
        while not conn.stream.ended:
            conn.send(b"H" if conn.stream.buf else b"HTTP/1.1 200 OK\r\nX: ")
            conn.stream.buf = b"-"
            conn.sock.settimeout(0.05)
            try:
                if not conn.sock.recv(1):
                    return
            except TimeoutError:
                pass
    proxy = lb([backend(drip)], pool="response_timeout = 500ms\n")
    start = time.monotonic()
    assert client(proxy).ask().status == 504 and took(start) < 3


def test_connection_stays_after_504(lb, backend, client):
    def script(conn):
        while True:
            if conn.request().target == "/slow":
                conn.closed()
            conn.answer(b"x")
    c = client(lb([backend(script)], pool="response_timeout = 300ms\n"))
    r = c.ask(target="/slow")
    assert r.status == 504
    if "close" not in r.tokens("connection"):
        assert c.ask().status == 200


def test_request_timeout(lb, backend, client):
    """Everything until the response head, though the attempt may go on."""
    b = backend(stall)
    proxy = lb([b], pool="request_timeout = 300ms\nresponse_timeout = 20s\n")
    start = time.monotonic()
    assert client(proxy).ask().status == 504 and took(start) < 3
    assert proxy.access(1)[0]["end"] == "backend_slow"
    until(b.conns[0].ended.is_set, "the attempt's connection to be closed")


def test_request_timeout_stands_still_while_uploading(lb, backend, client):
    def script(conn):
        conn.answer(conn.request().body)
    proxy = lb([backend(script)], pool="request_timeout = 400ms\n")
    c = client(proxy)
    c.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\n")
    for i in range(8):  # the pace of a slow client, twice the limit in all
        time.sleep(0.1)
        c.send(b"%d" % i)
    assert c.response().body == b"01234567"


def test_header_timeout(lb, backend, client):
    proxy = lb([backend()], listener="header_timeout = 300ms\n")
    start = time.monotonic()
    r = client(proxy).send(b"GET / HTTP/1.1\r\nHost").response()
    assert r.status == 408 and took(start) < 3
    record = proxy.access(1)[0]
    assert (record["status"], record["end"]) == (408, "client_slow")


def test_header_timeout_is_in_total(lb, backend, client):
    proxy = lb([backend()], listener="header_timeout = 500ms\n")
    c = client(proxy)
    start = time.monotonic()
    c.sock.settimeout(0.05)
    c.send(b"GET / HTTP/1.1\r\nX: ")
    try:
        while took(start) < 5 and not c.stream.ended:
            c.sock.sendall(b"a")
            c.sock.settimeout(0.05)
            try:
                c.stream.buf += c.sock.recv(4096)
            except TimeoutError:
                continue
            break
    except OSError:
        pass
    assert took(start) < 4
    assert c.response().status == 408


def test_body_timeout(lb, backend, client):
    proxy = lb([backend()], listener="body_timeout = 300ms\n")
    c = client(proxy)
    c.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhe")
    r = c.response()
    assert r.status == 408
    c.at_end()
    record = proxy.access(1)[0]
    assert (record["status"], record["end"]) == (408, "client_slow")


def test_body_timeout_is_a_gap(lb, backend, client):
    b = backend()
    c = client(lb([b], listener="body_timeout = 600ms\n"))
    c.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\n")
    for _ in range(6):  # 1.2 s in all, each gap well under the limit
        time.sleep(0.2)
        c.send(b"x")
    assert c.response().status == 200


def big(conn):
    """32 MB, more than all buffers between a backend and a client."""
    conn.request()
    conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (32 << 20))
    for _ in range(32):
        conn.send(b"x" * (1 << 20))


def test_send_timeout(lb, backend, client):
    """A client that does not read is given up, and its attempt with it."""
    b = backend(big)
    proxy = lb([b], listener="send_timeout = 300ms\n")
    c = client(proxy, rcvbuf=65536)
    c.request()
    record = proxy.access(1)[0]
    assert record["end"] == "client_slow" and record["status"] == 200
    until(b.conns[0].ended.is_set, "the backend's connection to be closed")
    with pytest.raises(Broken):
        c.response()


def test_stream_timeout(lb, backend, client):
    """A response that stops in its body is broken off, not ended."""
    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        conn.closed()
    b = backend(script)
    proxy = lb([b], pool="stream_timeout = 300ms\n")
    c = client(proxy)
    start = time.monotonic()
    c.request()
    with pytest.raises(Broken):
        c.response()
    assert took(start) < 3
    assert proxy.access(1)[0]["end"] in ("backend_slow", "backend_broke_off")
    until(b.conns[0].ended.is_set, "the backend's connection to be closed")


def test_stream_timeout_is_a_gap(lb, backend, client):
    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
        for _ in range(6):
            time.sleep(0.2)
            conn.send(b"x")
    c = client(lb([backend(script)], pool="stream_timeout = 600ms\n"))
    assert c.ask().body == b"xxxxxx"


def test_a_slow_reader_does_not_trip_the_stream_timeout(lb, backend, client):
    """Backpressure is not the backend's fault."""
    proxy = lb([backend(big)], pool="stream_timeout = 300ms\n")
    c = client(proxy, rcvbuf=65536)
    c.request()
    time.sleep(0.9)
    assert len(c.response().body) == 32 << 20


def test_silent_connection_is_closed_without_a_record(lb, backend, client):
    gate = Gate()
    proxy = lb([backend()], listener="header_timeout = 300ms\nidle_timeout = 300ms\n")
    c = client(proxy)
    rest = c.stream.rest()
    assert rest == b"" or rest.startswith(b"HTTP/1.1 408 ")
    gate.open()
    assert client(proxy).ask().status == 200
    assert len(proxy.access(1)) == 1
