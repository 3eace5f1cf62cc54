"""Responses of hostile backends: splitting, floods, false lengths, odd status lines."""
import pytest

from harness import Broken


def by_target(table):
    """A script that answers /N with the N-th entry, then closes unless told to keep."""
    def script(conn):
        while True:
            data, keep = table[int(conn.request().target[1:])]
            conn.send(data)
            if not keep:
                conn.half_close()
                conn.closed()
                return
    return script


HEAD = b"HTTP/1.1 200 OK\r\n"
BAD = [HEAD + line + b"\r\n\r\nhello" for line in (
    b"X: a\rInjected: 1", b"X: a\nInjected: 1", b"X: a\0b", b"X: a\x01", b"X: a\x7f", b"X a: 1",
    b"X : 1", b" X: 1", b"X", b": 1", b"X: 1\r\n folded", b"\xe9: 1", b"Content-Length: 5, 5",
    b"Content-Length: +5", b"Content-Length: 5\r\nContent-Length: 6", b"Content-Length: -1",
    b"Content-Length: 18446744073709551621", b"Content-Length: 0x5", b"Content-Length:",
    b"Content-Length: 5\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: gzip",
    b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding: chunked, gzip",
    b"Transfer-Encoding: xchunked", b"Transfer-Encoding : chunked",
    b"Transfer-Encoding:\x0bchunked", b"Content-Length : 5")]
BAD += [first + b"\r\nContent-Length: 0\r\n\r\n" for first in (
    b"HTTP/1.1 099 X", b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1 600 X",
    b"HTTP/1.1 -20 OK", b"HTTP/1.1 2a0 OK", b"HTTP/2.0 200 OK", b"HTTP/1.2x 200 OK",
    b"http/1.1 200 OK", b"HTTP/1.1  200 OK", b"HTTP/1.1\t200 OK", b" HTTP/1.1 200 OK",
    b"HTTP/1.1 200 O\0K", b"HTTP/1.1 200 O\rK", b"HTTP/1.1 200 O\x7fK", b"ICY 200 OK",
    b"HTTP/1.1", b"200 OK", b"HTTP/11 200 OK", b"HTTP/1.1 101 Switching",
    b"\r\n\r\nHTTP/1.1 200 OK", b"<html>", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked")]
# Status 600 and above can be passed on or refused: RFC 9110 15 has both.
EITHER = [b"HTTP/1.1 600 X"]


def test_malformed_heads_are_502_and_never_pass(lb, backend, client):
    proxy, wrong = lb([backend(by_target([(d, False) for d in BAD]))]), []
    c = client(proxy)
    for i, data in enumerate(BAD):
        r = c.ask(target=f"/{i}")
        if r.status != 502 and not any(data.startswith(e) for e in EITHER):
            wrong.append(f"{data!r}: {r.status} {r.fields}")
        assert not r.has("injected") and b"hello" not in r.body
    assert not wrong, "\n".join(wrong)
    records = proxy.access(len(BAD))
    assert len(records) == len(BAD)
    outcomes = {a["outcome"] for r in records if r["status"] == 502 for a in r["attempts"]}
    assert outcomes == {"bad_response"}


def test_reason_phrases(lb, backend, client):
    """Empty, missing its space, obs-text, a kilobyte: the status counts."""
    lines = [b"HTTP/1.1 200 ", b"HTTP/1.1 200", b"HTTP/1.1 299 \xe9\xff \t ok",
             b"HTTP/1.1 200 " + b"r" * 1000, b"HTTP/1.1 200 OK:  HTTP/1.1 500 x",
             b"HTTP/1.1 599 x", b"HTTP/1.1 226 IM Used"]
    table = [(line + b"\r\nContent-Length: 1\r\n\r\nx", True) for line in lines]
    proxy = lb([backend(by_target(table))])
    for i, line in enumerate(lines):
        r = client(proxy).ask(target=f"/{i}")
        assert (r.status == int(line[9:12]) and r.body == b"x") or \
            (line == b"HTTP/1.1 200" and r.status == 502), line


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("lines", [b"", b"Content-Length: 0\r\n", b"Content-Length: 7\r\n",
                                   b"Transfer-Encoding: chunked\r\n"])
def test_no_body_where_none_may_be(lb, backend, client, status, lines):
    """What follows a 204 or a 304 is never its body, nor anybody's answer."""
    data = b"HTTP/1.1 %d X\r\n" % status + lines + b"\r\n"
    poison = data + b"POISON!"
    b = backend(by_target([(data, True), (poison, True), (b"HTTP/1.1 200 OK\r\n"
                                                          b"Content-Length: 1\r\n\r\nx", True)]))
    proxy = lb([b])
    c = client(proxy)
    for target in ("/0", "/0", "/2", "/1", "/2", "/0", "/2"):
        r = c.ask(target=target)
        if r.status == 502:
            assert lines[:1] == b"T"  # a 204 with Transfer-Encoding may be refused
            return
        assert (r.status, r.body) == ((200, b"x") if target == "/2" else (status, b""))
        if r.status == 204:
            assert not r.has("content-length") or r.one("content-length") == "0"
            assert not r.has("transfer-encoding")
    assert not c.stream.buf


@pytest.mark.parametrize("lines", [b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n",
                                   b""])
def test_a_body_behind_head_reaches_nobody(lb, backend, client, lines):
    def script(conn):
        while True:
            m = conn.request()
            if m.method == "HEAD":
                conn.send(HEAD + lines + b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON")
            else:
                conn.answer(b"good")
    proxy = lb([backend(script)])
    c = client(proxy)
    for _ in range(5):
        assert c.ask("HEAD").status == 200
        assert c.ask().body == b"good"


def test_floods_of_1xx_are_cut(lb, backend, client):
    """Endless 1xx heads, large ones, small ones: bounded, and one record."""
    def script(conn):
        small = conn.request().target == "/small"
        flood = b"HTTP/1.1 103 X\r\n\r\n" * 100 if small else \
            b"HTTP/1.1 103 X\r\nL: " + b"l" * 30000 + b"\r\n\r\n"
        while True:
            conn.send(flood)
    proxy = lb([backend(script)], pool="retry_attempts = 0\n")
    for target in ("/small", "/large"):
        c = client(proxy).request(target=target)
        try:
            r = c.response()
            assert r.status == 502
            size = sum(len(i.head) + 4 for i in r.interim)
        except Broken:
            size = 0
        assert size <= 64 << 10
        c.close()
    records = proxy.access(2)
    assert [r["end"] for r in records] == ["backend_failed"] * 2
    assert {r["attempts"][0]["outcome"] for r in records} == {"bad_response"}


def test_a_thousand_1xx_before_an_answer_pass(lb, backend, client):
    """Within 64 kB they are passed on, in order, and the connection stays."""
    def script(conn):
        while True:
            conn.request()
            conn.send(b"".join(b"HTTP/1.1 103 E\r\nX: %d\r\n\r\n" % i for i in range(1000)))
            conn.answer(b"x")
    c = client(lb([backend(script)]))
    for _ in range(3):
        r = c.ask()
        assert r.body == b"x" and [i.one("x") for i in r.interim] == \
            [str(i) for i in range(1000)]


def test_1xx_fields_are_cleaned_too(lb, backend, client):
    """Hop-by-hop fields and framing of an interim head mean nothing and do not pass."""
    def script(conn):
        while True:
            conn.request()
            conn.send(b"HTTP/1.1 103 E\r\nConnection: x-hop, close\r\nX-Hop: 1\r\nLink: l\r\n"
                      b"Keep-Alive: 1\r\nProxy-Connection: x\r\n\r\n")
            conn.answer(b"x")
    c = client(lb([backend(script)]))
    for _ in range(3):
        r = c.ask()
        assert r.body == b"x" and not {"x-hop", "keep-alive", "proxy-connection"} & {
            n for i in r.interim for n, _ in i.fields}
        assert [i.one("link") for i in r.interim] == ["l"]


TRAILERS = [(b"X-T: ok", True), (b"X-T: a\r\nx-t: b", True), (b"X: \xe9", True),
            (b"X : 1", False), (b"X: a\0", False), (b"X", False), (b" X: 1", False),
            (b"X: 1\n", False), (b"X: 1\rY: 2", False), (b": 1", False), (b"X: 1\r\n f", False)]
FRAMING = [b"Content-Length: 9", b"Transfer-Encoding: chunked", b"Connection: close",
           b"Set-Cookie: stolen=1", b"Trailer: x", b"Host: evil", b"Upgrade: h2c",
           b"Keep-Alive: 1", b"TE: x", b"content_length: 9", b"X-Request-Id: evil"]


def test_response_trailers(lb, backend, client):
    table = [(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n" + t + b"\r\n\r\n", False)
             for t in [t for t, _ in TRAILERS] + FRAMING]
    proxy = lb([backend(by_target(table))])
    for i, (line, good) in enumerate(TRAILERS):
        try:
            r = client(proxy).ask(target=f"/{i}")
        except Broken:
            assert not good, line
        else:
            assert good and r.body == b"x" and r.trailers, line
    for i, line in enumerate(FRAMING, len(TRAILERS)):
        name = line.split(b":")[0].decode().lower()
        try:
            r = client(proxy).ask(target=f"/{i}")
        except Broken:
            continue  # refusing it is as good as dropping it
        assert r.body == b"x"
        if name in ("content-length", "transfer-encoding", "connection", "host", "keep-alive",
                    "upgrade", "te", "trailer"):
            assert name not in dict(r.trailers), line


def test_request_trailers_reach_nobody(lb, backend, client):
    b = backend()
    proxy = lb([b])
    head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
    for line, good in TRAILERS:
        count = len(b.requests)
        r = client(proxy).send(head + line + b"\r\n\r\n").response()
        assert r.status == (200 if good else 400), line
        if good:
            assert b.requests[count].body == b"x" and not b.requests[count].trailers
    for line in FRAMING:
        c = client(proxy).send(head + line + b"\r\n\r\n")
        r = c.response()
        assert r.status in (200, 400), line
        if r.status == 200:
            assert c.ask().status == 200
    assert all(not m.trailers for m in b.requests)
    assert b"evil" not in b"".join(m.head for m in b.requests)


def test_head_of_a_response_at_the_limits(lb, backend, client):
    """-1, 0 and +1 byte, and -1, 0 and +1 field."""
    def script(conn):
        while True:
            kind, n = conn.request().target[1:].split("/")
            base = HEAD + b"Content-Length: 1\r\n"
            if kind == "size":
                conn.send(base + b"P: " + b"p" * (int(n) - len(base) - 7) + b"\r\n\r\nx")
            else:
                conn.send(base + b"X: 1\r\n" * (int(n) - 1) + b"\r\nx")
    proxy = lb([backend(script)], pool="max_header_size = 1k\nmax_headers = 10\n")
    for target, status in (("size/1023", 200), ("size/1024", 200), ("size/1025", 502),
                           ("count/9", 200), ("count/10", 200), ("count/11", 502)):
        assert client(proxy).ask(target=f"/{target}").status == status, target
