"""Where messages end: no body where none may be, and truncation shows."""
import pytest

from harness import Broken, Gate

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def says(data, then="keep"):
    """A script that answers every request with those bytes."""
    def script(conn):
        while True:
            conn.request()
            conn.send(data)
            if then == "close":
                return
            if then == "reset":
                conn.reset()
                return
    return script


@pytest.mark.parametrize("method, head, body", [
    ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", None),
    ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", None),
    ("HEAD", b"HTTP/1.1 404 Not Found\r\n\r\n", None),
    ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", None),
    ("GET", b"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 5\r\n\r\n", None),
    ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
])
def test_responses_without_body(lb, backend, client, method, head, body):
    """Nothing of the sort eats into the next response."""
    c = client(lb([backend(says(head))]))
    for _ in range(3):
        r = c.ask(method)
        assert r.status == int(head.split()[1]) and r.body == (body or b"")
    assert not c.stream.buf


def test_head_keeps_content_length(lb, backend, client):
    c = client(lb([backend(says(b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n"))]))
    assert c.ask("HEAD").one("content-length") == "1234"


def test_chunked_response_to_http11(lb, backend, client):
    """Framed anew: no extension, no leading zero, and the connection stays."""
    data = CHUNKED + b"005;a=b\r\nhello\r\n1\r\n \r\n05\r\nworld\r\n000;x\r\n\r\n"
    c = client(lb([backend(says(data))]))
    for _ in range(3):
        r = c.ask()
        assert r.body == b"hello world" and r.framing == "chunked"


def test_chunked_response_to_http10(lb, backend, client):
    """HTTP/1.0 knows no chunks: the end of the connection ends the body."""
    c = client(lb([backend(says(CHUNKED + b"5\r\nhello\r\n0\r\n\r\n"))]))
    r = c.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").response()
    assert r.framing == "close" and r.body == b"hello"
    assert not r.has("transfer-encoding") and "keep-alive" not in r.tokens("connection")


def test_close_delimited_response(lb, backend, client):
    c = client(lb([backend(says(b"HTTP/1.1 200 OK\r\n\r\nhello", "close"))]))
    for _ in range(2):
        r = c.ask()
        assert r.body == b"hello"
        if r.framing == "close":
            assert c.at_end()
            return
        assert r.framing == "chunked"  # and then the connection can stay


def test_length_is_kept(lb, backend, client):
    c = client(lb([backend(says(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"))]))
    r = c.ask()
    assert r.framing == "length" and r.body == b"hello"


@pytest.mark.parametrize("data", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
    CHUNKED,
    CHUNKED + b"5\r\nhel",
    CHUNKED + b"5\r\nhello\r\n",
    CHUNKED + b"5\r\nhello\r\n0\r\n",
    CHUNKED + b"5\r\nhello\r\n0\r\nX-T: 1\r\n",
])
@pytest.mark.parametrize("then", ["close", "reset"])
def test_truncated_body_never_looks_complete(lb, backend, client, data, then):
    proxy = lb([backend(says(data, then))])
    c = client(proxy)
    c.request()
    try:
        r = c.response()
    except Broken:
        r = None
    # Before commit a 502 is as good: then nothing of the response went out.
    assert r is None or r.status == 502
    record = proxy.access(1)[0]
    assert record["end"] in ("backend_broke_off", "backend_failed")
    if r is None:
        assert record["end"] == "backend_broke_off"


def test_reset_in_a_close_delimited_body(lb, backend, client):
    """Only an orderly end ends such a body."""
    gate = Gate()

    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
        gate.wait()
        conn.reset()
    c = client(lb([backend(script)]))
    c.request()
    c.stream.need(lambda b: b"hello" in b)
    gate.open()
    with pytest.raises(Broken):
        c.response()


def test_truncated_body_to_http10_is_a_reset(lb, backend, client):
    """HTTP/1.0 has no other way to tell than a reset or a missing length."""
    data = CHUNKED + b"5\r\nhel"
    c = client(lb([backend(says(data, "close"))]))
    c.send(b"GET / HTTP/1.0\r\n\r\n")
    try:
        r = c.response()
    except Broken:
        return
    assert r.status == 502


@pytest.mark.parametrize("head", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    CHUNKED + b"5\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
])
def test_bytes_beyond_a_response_reach_nobody(lb, backend, client, head):
    """Response queue poisoning: the surplus closes the backend's connection."""
    evil = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL"
    b = backend(says(head + evil))
    proxy = lb([b])
    one, two = client(proxy), client(proxy)
    want = b"" if b"204" in head else b"hello"
    for c in (one, two, one, two):
        assert c.ask().body == want
    assert len(b.conns) == 4


def test_malformed_response_is_502(lb, backend, client):
    proxy = lb([backend(says(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n"
                             b"Content-Length: 2\r\n\r\nxx"))])
    r = client(proxy).ask()
    assert r.status == 502
    assert proxy.access(1)[0]["attempts"][0]["outcome"] == "bad_response"


def test_response_head_limits(lb, backend, client):
    """max_header_size and max_headers of the pool: 502, bad_response."""
    big = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-A: " + b"a" * 5000 + b"\r\n\r\n"
    many = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + b"X-A: a\r\n" * 30 + b"\r\n"
    for data in (big, many):
        proxy = lb([backend(says(data))], pool="max_header_size = 4k\nmax_headers = 20\n")
        assert client(proxy).ask().status == 502
        assert proxy.access(1)[0]["attempts"][0]["outcome"] == "bad_response"


def test_large_response_head_within_limits(lb, backend, client):
    data = (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: " + b"a" * 28000 + b"\r\n\r\nok")
    r = client(lb([backend(says(data))])).ask()
    assert r.body == b"ok" and len(r.one("x-a")) == 28000
