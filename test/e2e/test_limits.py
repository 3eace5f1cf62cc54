"""What is refused, with which status, and that the connection ends then."""
import pytest

GET = b"GET / HTTP/1.1\r\nHost: h\r\n"


def refused(proxy, c, status, end="client_bad", target=None):
    """The answer is ours, says so, closes, and is in the log."""
    r = c.response()
    assert r.status == status
    assert r.has("x-request-id")
    assert "close" in r.tokens("connection")
    c.at_end()
    record = proxy.access(1)[0]
    assert (record["status"], record["end"], record["attempts"]) == (status, end, [])
    assert record["id"] == r.one("x-request-id") and record["why"]
    return record


@pytest.mark.parametrize("data", [
    GET + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    GET + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    GET + b"Content-Length: 3, 4\r\n\r\nabc",
    GET + b"Content-Length: +3\r\n\r\nabc",
    GET + b"Content-Length: 99999999999999999999\r\n\r\n",
    GET + b"X-A : b\r\n\r\n",
    GET + b"X-A: b\r\n folded\r\n\r\n",
    GET + b"X-A: \0\r\n\r\n",
    GET + b": b\r\n\r\n",
    GET + b"no colon\r\n\r\n",
    GET + b"Host: again\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    b"GET / HTTP/1.1\nHost: h\n\n",
    b"GET /\r/ HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET /#x HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET x HTTP/1.1\r\nHost: h\r\n\r\n",
    b"G@T / HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET / HTTP/1.1 \r\nHost: h\r\n\r\n",
    b"GET /\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
])
def test_400(lb, backend, client, data):
    b = backend()
    proxy = lb([b])
    refused(proxy, client(proxy).send(data), 400)
    assert not b.requests


def test_400_after_good_requests(lb, backend, client):
    proxy = lb([backend()])
    c = client(proxy)
    c.send(GET + b"\r\n" + GET + b"\r\n" + GET + b"Bad Name: 1\r\n\r\n" + GET + b"\r\n")
    assert [c.response().status for _ in range(3)] == [200, 200, 400]
    c.at_end()


@pytest.mark.parametrize("data, status", [
    (GET + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    (b"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505),
])
def test_501_and_505(lb, backend, client, data, status):
    proxy = lb([backend()])
    r = client(proxy).send(data).response()
    assert r.status in (status, 400)


@pytest.mark.parametrize("line", [b"CONNECT h:80", b"TRACE /"])
def test_405(lb, backend, client, line):
    b = backend()
    proxy = lb([b])
    r = client(proxy).send(line + b" HTTP/1.1\r\nHost: h:80\r\n\r\n").response()
    assert r.status == 405 and r.has("allow")
    assert not b.requests


def test_413_by_length(lb, backend, client):
    b = backend()
    proxy = lb([b], listener="max_body_size = 10\n")
    refused(proxy, client(proxy).send(
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\nhello world"), 413)
    assert not b.requests


def test_413_while_chunks_come(lb, backend, client):
    """The backend never sees the body as complete."""
    def script(conn):
        conn.request()
        raise AssertionError("a body beyond max_body_size came through whole")
    proxy = lb([backend(script)], listener="max_body_size = 10\n")
    c = client(proxy)
    c.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n")
    c.send(b"6\r\nworld!\r\n0\r\n\r\n")
    assert c.response().status == 413
    assert proxy.access(1)[0]["end"] == "client_bad"


def test_max_body_size_is_reachable(lb, backend, client):
    b = backend()
    c = client(lb([b], listener="max_body_size = 11\n"))
    assert c.ask("POST", body=b"hello world").status == 200
    c.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
           b"6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n")
    assert c.response().status == 200
    assert [r.body for r in b.requests] == [b"hello world"] * 2


def test_413_is_readable_while_the_client_sends(lb, backend, client):
    """Lingering close: no reset before the client could read the answer."""
    proxy = lb([backend()], listener="max_body_size = 1k\n")
    c = client(proxy)
    c.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3000000\r\n\r\n")
    try:
        for _ in range(30):
            c.send(b"x" * 100000)
    except OSError:
        pass
    assert c.response().status == 413


def test_414(lb, backend, client):
    proxy = lb([backend()])
    refused(proxy, client(proxy).send(b"GET /" + b"a" * 8200 + b" HTTP/1.1\r\nHost: h\r\n\r\n"),
            414)


def test_414_without_an_end(lb, backend, client):
    proxy = lb([backend()])
    assert client(proxy).send(b"GET /" + b"a" * 9000).response().status == 414


def test_long_request_line_passes(lb, backend, client):
    b = backend()
    assert client(lb([b])).ask(target="/" + "a" * 8100).status == 200
    assert len(b.requests[0].target) == 8101


def test_431_by_size(lb, backend, client):
    proxy = lb([backend()], listener="max_header_size = 2k\n")
    refused(proxy, client(proxy).send(GET + b"X-A: " + b"a" * 2048 + b"\r\n\r\n"), 431)


def test_431_without_an_end(lb, backend, client):
    proxy = lb([backend()])
    assert client(proxy).send(GET + b"X-A: " + b"a" * 17000).response().status == 431


def test_431_by_count(lb, backend, client):
    proxy = lb([backend()], listener="max_headers = 20\n")
    refused(proxy, client(proxy).send(GET + b"X-A: a\r\n" * 20 + b"\r\n"), 431)


def test_headers_up_to_the_limits_pass(lb, backend, client):
    b = backend()
    c = client(lb([b], listener="max_headers = 20\n"))
    assert c.send(GET + b"X-A: a\r\n" * 19 + b"\r\n").response().status == 200
    assert len(b.requests[0].all("x-a")) == 19
    head = GET + b"X-B: " + b"b" * 16000 + b"\r\n\r\n"
    assert c.send(head).response().status == 200


@pytest.mark.parametrize("chunk", [
    b"0x5\r\nhello\r\n0\r\n\r\n", b"5\nhello\n0\n\n", b"5 \r\nhello\r\n0\r\n\r\n",
    b"FFFFFFFFFFFFFFFFF\r\n", b"-5\r\n", b"\r\n", b"5\r\nhelloX\r\n", b"5;" + b"a" * 70000,
])
def test_bad_chunks_never_look_complete(lb, backend, client, chunk):
    def script(conn):
        conn.request()
        raise AssertionError(f"chunk {chunk[:20]!r} came through")
    proxy = lb([backend(script)])
    c = client(proxy)
    c.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
    try:
        c.send(chunk)
    except OSError:
        pass
    assert c.response().status in (400, 413)
    assert proxy.access(1)[0]["end"] == "client_bad"
