"""Fields at every limit, nominated, repeated and odd: each in its order or gone."""
import pytest

HEAD_LIMIT = 2048


def filled(size, line=b"GET / HTTP/1.1\r\n", count=1):
    """A head of exactly `size` bytes, the last empty line included."""
    head = line + b"Host: h\r\n" + b"".join(b"X-%d: 1\r\n" % i for i in range(count - 1))
    pad = size - len(head) - len(b"X-Pad: \r\n\r\n")
    assert pad >= 0
    return head + b"X-Pad: " + b"p" * pad + b"\r\n\r\n"


@pytest.mark.parametrize("pieces", [1, 2, 0])
def test_head_size_is_exact(lb, backend, client, pieces):
    """At the limit it passes, one byte more is 431, however it arrives."""
    b = backend()
    proxy = lb([b], listener=f"max_header_size = {HEAD_LIMIT}\n")
    got = {}
    for size in (HEAD_LIMIT - 1, HEAD_LIMIT, HEAD_LIMIT + 1, HEAD_LIMIT + 2):
        data, c = filled(size), client(proxy)
        step = len(data) // pieces + 1 if pieces else 1
        try:
            for at in range(0, len(data), step):
                c.send(data[at:at + step])
        except OSError:
            pass  # it may refuse before the last byte
        got[size] = c.response().status
    assert got == {HEAD_LIMIT - 1: 200, HEAD_LIMIT: 200, HEAD_LIMIT + 1: 431,
                   HEAD_LIMIT + 2: 431}
    assert len(proxy.access(4)) == 4


def test_head_size_counts_each_head_of_a_pipeline(lb, backend, client):
    c = client(lb([backend()], listener=f"max_header_size = {HEAD_LIMIT}\n"))
    c.send(filled(HEAD_LIMIT) * 5 + filled(HEAD_LIMIT + 1) + filled(100))
    assert [c.response().status for _ in range(6)] == [200] * 5 + [431]
    assert c.stream.rest() == b""


@pytest.mark.parametrize("limit", [1, 2, 100, 1000])
def test_header_count_is_exact(lb, backend, client, limit):
    proxy = lb([backend()], listener=f"max_headers = {limit}\nmax_header_size = 32k\n")
    head = b"GET / HTTP/1.1\r\nHost: h\r\n"
    for extra, status in ((limit - 1, 200), (limit, 431)):
        data = head + b"X: 1\r\n" * extra + b"\r\n"
        assert client(proxy).send(data).response().status == status, extra


def test_request_line_limit_is_exact(lb, backend, client):
    """8192 bytes of request line, its CRLF not counted, or counted: but exactly one of them."""
    b = backend()
    proxy, got = lb([b]), []
    for size in range(8188, 8197):
        line = b"GET /" + b"a" * (size - len(b"GET / HTTP/1.1")) + b" HTTP/1.1"
        assert len(line) == size
        got.append(client(proxy).send(line + b"\r\nHost: h\r\n\r\n").response().status)
    assert got == sorted(got) and set(got) == {200, 414}
    assert got.index(414) in (8191 - 8188, 8193 - 8188), got


def test_one_field_as_large_as_the_head(lb, backend, client):
    """A value of 16 kB and a name of 8 kB come through byte for byte."""
    b = backend()
    c = client(lb([b]))
    for name, value in (("x", "v" * 16000), ("n" * 8000, "v" * 8000), ("n" * 16000, "")):
        assert c.ask(fields=[f"{name}:{value}"]).status == 200
        assert b.requests[-1].one(name) == value


def test_obs_text_and_white_space(lb, backend, client):
    b = backend()
    c = client(lb([b]))
    values = bytes(range(0x80, 0x100)).decode("latin-1")
    fields = [f"X-A: {values}", "X-B:\t \t in \t ner \t ", "X-C:", "X-D:   ", "x-e:\"\\,;=",
              "!#$%&'*+-.^`|~: t"]
    assert c.ask(fields=fields).status == 200
    seen = b.requests[0]
    assert seen.one("x-a") == values and seen.one("x-b") == "in \t ner"
    assert seen.one("x-c") == "" == seen.one("x-d") and seen.one("x-e") == "\"\\,;="
    assert seen.one("!#$%&'*+-.^`|~") == "t"


def test_repeated_fields_keep_number_and_order(lb, backend, client):
    b = backend()
    c = client(lb([b]))
    fields = [f"{'X-' if i % 2 else 'x-'}Same: {i % 7}" for i in range(60)]
    fields += ["Cookie: a", "Accept: x", "Cookie: b"]
    assert c.ask(fields=fields).status == 200
    seen = b.requests[0]
    assert seen.all("x-same") == [str(i % 7) for i in range(60)]
    assert seen.all("cookie") == ["a", "b"]


def test_connection_nominates_anything(lb, backend, client):
    """What it may not take away stays; what it may is gone, in any case and place."""
    b = backend()
    c = client(lb([b], listener="request_id = both\n"))
    fields = ["Connection: HOST, content-length , X-Forwarded-For,,via, x-request-id",
              "connection:\tx-a\t,\tX-B", "Connection: transfer-encoding, close-not, expect",
              "X-A: 1", "x-b: 2", "X-AB: 3", "Connection: , ,", "Cookie: c", "X-a: 4",
              "Connection: x-forwarded-proto, x-forwarded-host, authorization",
              "Authorization: z"]
    r = c.ask("POST", fields=fields, body=b"hello", host="h.test")
    seen = b.requests[0]
    assert r.status == 200 and seen.body == b"hello" and seen.one("host") == "h.test"
    assert not seen.has("x-a") and not seen.has("x-b") and seen.one("x-ab") == "3"
    for name in ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "via",
                 "x-request-id"):
        assert seen.has(name), name
    assert not seen.has("authorization") and seen.one("cookie") == "c"
    assert c.ask().status == 200  # no token of it was `close`


@pytest.mark.parametrize("line, stays", [
    ("Connection: close", False), ("Connection: CLOSE", False), ("Connection: x, Close", False),
    ("Connection: keep-alive, close", False), ("Connection: closed", True),
    ("Proxy-Connection: close", True), ("X: Connection: close", True),
])
def test_which_connection_value_closes(lb, backend, client, line, stays):
    c = client(lb([backend()]))
    r = c.ask(fields=[line])
    assert r.status == 200 and ("close" in r.tokens("connection")) == (not stays)
    if stays:
        assert c.ask().status == 200
    else:
        assert c.at_end()


def test_hop_by_hop_fields_are_gone(lb, backend, client):
    b = backend()
    lines = ["Connection: close-it", "Keep-Alive: 300", "Proxy-Connection: keep-alive",
             "TE: trailers, gzip", "Trailer: X-T", "Upgrade: h2c, websocket",
             "HTTP2-Settings: AAMAAABk", "Connection: Upgrade, HTTP2-Settings"]
    assert client(lb([b])).ask(fields=lines).status == 200
    seen = b.requests[0]
    for name in ("keep-alive", "proxy-connection", "http2-settings"):
        assert not seen.has(name), name
    assert seen.all("upgrade") == ["websocket"]  # written anew, and never h2c
    assert "close-it" not in seen.tokens("connection")
    assert "gzip" not in seen.tokens("te")


def test_a_hundred_set_cookies(lb, backend, client):
    def script(conn):
        while True:
            conn.request()
            conn.answer(b"x", fields=[f"Set-Cookie: n={i // 2}; Path=/" for i in range(100)])
    r = client(lb([backend(script)])).ask()
    assert r.all("set-cookie") == [f"n={i // 2}; Path=/" for i in range(100)]


LOOKALIKES = ["Content_Length: 3", "Transfer_Encoding: chunked", "transfer_encoding: identity",
              "Host_: x", "X_Forwarded_For: 6.6.6.6", "x-forwarded_for: 6.6.6.6",
              "X_Forwarded-Host: evil", "FORWARDED: for=6.6.6.6", "X_Request_Id: evil",
              "Connection_: x", "X-Forwarded-Proto: https", "X-Forwarded-Port: 1",
              "X_Forwarded_Anything: 1", "x_REQUEST-id: evil"]


@pytest.mark.plain_only("front: it expects http; test_tls_front.py has https")
def test_lookalikes_all_at_once(lb, backend, client):
    b = backend()
    r = client(lb([b])).ask("POST", fields=LOOKALIKES, body=b"12345")
    assert r.status == 200
    seen = b.requests[0]
    assert seen.body == b"12345"
    assert b"evil" not in seen.head and b"6.6.6.6" not in seen.head and b"https" not in seen.head
    for name in ("content_length", "transfer_encoding", "x_forwarded_for", "x_request_id"):
        assert not seen.has(name)
    assert seen.one("x-forwarded-proto") == "http"


def test_expect_variants(lb, backend, client):
    """100-continue works in any case; other expectations are refused or passed on."""
    def script(conn):
        while True:
            m = conn.head()
            if m.has("expect"):
                conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            conn.answer(conn.body(m).body)
    b = backend(script)
    proxy = lb([b])
    for value in ("100-continue", "100-CONTINUE", "100-Continue"):
        c = client(proxy)
        c.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: %s\r\n\r\n"
               % value.encode())
        c.stream.need(lambda s: b"100 Continue\r\n\r\n" in s)
        r = c.send(b"ok").response()
        assert r.status == 200 and r.body == b"ok" and [i.status for i in r.interim] == [100]
    for value in ("", "200-ok", "100-continue, x", "100-continue=1", "100"):
        r = client(proxy).ask("POST", fields=[f"Expect: {value}"], body=b"ok")
        assert r.status in (200, 400, 417) and (r.status != 200 or r.body == b"ok"), value
    r = client(proxy).ask("GET", fields=["Expect: 100-continue"])
    assert r.status == 200  # nothing to wait for
