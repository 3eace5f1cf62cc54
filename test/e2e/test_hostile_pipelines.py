"""Requests behind requests: order, desync, and early answers in between."""
import itertools

import pytest

from harness import Broken, Gate, until


def echo(conn):
    """Answers with target and body, so that a mixed-up answer shows."""
    while True:
        m = conn.request()
        conn.answer(m.target.encode() + b"|" + m.body)


def get(i):
    return b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % i


def test_thousands_in_one_connection(lb, backend, client):
    """All at once, the client not reading: bounded memory, order, a record each."""
    count = 3000
    proxy = lb([backend(echo), backend(echo)], workers=2)
    c = client(proxy, rcvbuf=4096)
    assert c.ask(target="/warm").status == 200
    start, data = proxy.rss_bytes(), b"".join(get(i) for i in range(count))
    c.sock.settimeout(0)
    sent, answers = 0, 0
    while answers < count:
        if sent < len(data):
            try:
                sent += c.sock.send(data[sent:sent + 65536])
            except BlockingIOError:
                pass
            c.sock.settimeout(c.stream.deadline_s)
        assert c.response().body == b"/%d|" % answers
        answers += 1
        c.sock.settimeout(0)
    assert proxy.rss_bytes() - start < 10 << 20
    records = proxy.access(count + 1)
    assert [r["target"] for r in records[1:]] == [f"/{i}" for i in range(count)]
    assert len({r["id"] for r in records}) == count + 1


def test_mixed_pipeline_keeps_its_bodies_apart(lb, backend, client):
    """Every pair of kinds follows every other; bodies that look like requests."""
    inner = get(666)
    kinds = [
        lambda i: (get(i), b""),
        lambda i: (b"POST /%d HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % (i, len(inner))
                   + inner, inner),
        lambda i: (b"PUT /%d HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n"
                   % (i, len(inner)) + inner + b"\r\n0\r\n\r\n", inner),
        lambda i: (b"DELETE /%d HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n" % i, b""),
        lambda i: (b"GET /%d HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc" % i, b"abc"),
        lambda i: (b"POST /%d HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                   b"1;x=\"q\"\r\na\r\n00\r\nX: GET / HTTP/1.1\r\n\r\n" % i, b"a"),
        lambda i: (b"\r\n" + get(i), b""),
    ]
    b = backend(echo)
    c, wants = client(lb([b])), []
    for i, (first, second) in enumerate(itertools.product(kinds, kinds)):
        for n, kind in ((2 * i, first), (2 * i + 1, second)):
            data, body = kind(n)
            wants.append(b"/%d|" % n + body)
            c.send(data)
    assert [c.response().body for _ in wants] == wants
    assert len(b.requests) == len(wants)


@pytest.mark.parametrize("bad", [
    b"GET / HTTP/1.1\r\n\r\n", b"\0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n",
    b"TRACE / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", b"X\n\n",
])
def test_nothing_behind_a_bad_one_is_served(lb, backend, client, bad):
    b = backend(echo)
    proxy = lb([b])
    c = client(proxy).send(get(1) + get(2) + bad + get(3) * 50)
    assert [c.response().body for _ in range(2)] == [b"/1|", b"/2|"]
    r = c.response()
    assert r.status in (400, 405)
    rest = c.stream.rest()
    if r.status == 400:
        assert "close" in r.tokens("connection") and rest == b""
        assert [m.target for m in b.requests] == ["/1", "/2"]
        assert len(proxy.access(3)) == 3


def test_nothing_behind_connection_close_is_served(lb, backend, client):
    b = backend(echo)
    proxy = lb([b])
    c = client(proxy)
    c.send(get(1) + b"GET /2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" + get(3) * 30)
    assert [c.response().body for _ in range(2)] == [b"/1|", b"/2|"]
    assert c.stream.rest() == b""
    client(proxy).ask(target="/4")
    assert [r["target"] for r in proxy.access(3)] == ["/1", "/2", "/4"]
    assert [m.target for m in b.requests] == ["/1", "/2", "/4"]


def test_http10_without_keepalive_ends_a_pipeline(lb, backend, client):
    b = backend(echo)
    c = client(lb([b])).send(b"GET /1 HTTP/1.0\r\n\r\n" + get(2))
    assert c.response().body == b"/1|"
    assert c.stream.rest() == b"" and len(b.requests) == 1


@pytest.mark.parametrize("close", [True, False])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_early_answer_then_the_body_looks_like_a_request(lb, backend, client, framing, close):
    """The backend answers before the upload; its rest is never taken as a request."""
    fields = ["Connection: close"] if close else []
    evil = b"GET /evil HTTP/1.1\r\nHost: h\r\n\r\n"

    def script(conn):
        while True:
            m = conn.head()
            conn.answer(b"early" if m.method == "POST" else b"x", "403 Forbidden", fields)
            if close:
                return
            conn.body(m)
    b = backend(script)
    proxy = lb([b])
    c = client(proxy)
    size = 40 * len(evil)
    if framing == "length":
        c.send(b"POST /up HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size)
    else:
        c.send(b"POST /up HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % size)
    r = c.response()
    assert r.status == 403 and r.body == b"early"
    try:
        for _ in range(40):
            c.send(evil)
        c.send((b"\r\n0\r\n\r\n" if framing == "chunked" else b"") + get(7))
    except OSError:
        pass  # closed on us: fine
    try:
        assert c.response().status == 403  # to /7, when the connection stayed
    except Broken:
        assert not c.stream.buf
    until(lambda: proxy.access(1), "a record")
    assert client(proxy).ask(target="/last").status == 403
    assert not [m.target for m in b.requests if m.target == "/evil"]
    assert not [x for x in proxy.access(2) if x["target"] == "/evil"]


def test_backend_that_answers_before_it_is_asked(lb, backend, client):
    """Bytes on a fresh connection before the request, and two answers for one request."""
    gate = Gate()

    def script(conn):
        if conn is conn.backend.conns[0]:
            conn.request()
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"
                      b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON")
            conn.closed()
            gate.open()
            return
        echo(conn)
    b = backend(script)
    proxy = lb([b])
    c = client(proxy)
    c.send(get(1) + get(2) + get(3))
    assert c.response().body == b"a"
    gate.wait()
    assert [c.response().body for _ in range(2)] == [b"/2|", b"/3|"]
    assert client(proxy).ask(target="/4").body == b"/4|"


def test_early_answer_in_a_pipeline_of_uploads(lb, backend, client):
    """Each answered before its body was read, the client sending all at once."""
    def script(conn):
        while True:
            m = conn.head()
            conn.answer(m.target.encode())
            conn.body(m)
    c = client(lb([backend(script)]))
    post = b"POST /%d HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n" + b"b" * 1000
    c.send(b"".join(post % i for i in range(50)))
    assert [c.response().body for _ in range(50)] == [b"/%d" % i for i in range(50)]
