"""Heads that attackers send: refused as a whole, never repaired, one record each."""
import pytest

from harness import until


def refused(proxy, client, backend, data, follow=b""):
    """Sends data and more behind it; -> status.  The connection is closed after it."""
    c = client(proxy)
    c.send(data + follow)
    r = c.response()
    assert c.stream.rest() == b"", "bytes behind an error"
    c.close()
    assert not backend.requests, f"the backend got {backend.requests[0].head!r}"
    return r


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"


def post(*lines):
    return b"\r\n".join([b"POST / HTTP/1.1", b"Host: h", *lines, b"", b""])


CL, TE = b"Content-Length: 5", b"Transfer-Encoding: chunked"
AMBIGUOUS = [
    (post(CL, TE), 400), (post(TE, CL), 400), (post(b"Content-Length: 0", TE), 400),
    (post(CL, b"transfer-ENCODING: Chunked"), 400), (post(CL, b"Transfer-Encoding: identity"), 400),
    (post(CL, b"Transfer-Encoding:"), 400), (post(CL, CL), 400),
    (post(CL, b"Content-Length: 6"), 400), (post(CL, b"X: 1", b"content-length: 05"), 400),
    (post(b"Content-Length: 5, 5"), 400), (post(b"Content-Length: 5,"), 400),
    (post(b"Content-Length: +5"), 400), (post(b"Content-Length: -5"), 400),
    (post(b"Content-Length: 5.0"), 400), (post(b"Content-Length: 0x5"), 400),
    (post(b"Content-Length: 5e0"), 400), (post(b"Content-Length: 5 5"), 400),
    (post(b"Content-Length:"), 400), (post(b"Content-Length: \t "), 400),
    (post(b"Content-Length: \"5\""), 400), (post(b"Content-Length: \xb2"), 400),
    (post(b"Content-Length: 18446744073709551616"), 400),
    (post(b"Content-Length: 18446744073709551621"), 400),
    (post(b"Content-Length: " + b"9" * 200), 400),
    (post(b"Content-Length : 5"), 400), (post(b"Content-Length\t: 5"), 400),
    (post(b"Transfer-Encoding : chunked"), 400), (post(b"Transfer-Encoding:\x0bchunked"), 400),
    (post(b"Transfer-Encoding: chunked\x00"), 400), (post(b"Transfer-Encoding: chun\rked"), 400),
    (post(b"Transfer-Encoding: chunked\r\n\t, identity"), 400),
    (post(b" Transfer-Encoding: chunked"), 400),
    (post(b"X: 1\r\n\tTransfer-Encoding: chunked"), 400),
    (post(b"X: 1\nTransfer-Encoding: chunked"), 400),
    (post(b"X: 1\rTransfer-Encoding: chunked"), 400),
    (post(b"Transfer-Encoding: chunked, identity"), 501), (post(b"Transfer-Encoding: gzip"), 501),
    (post(b"Transfer-Encoding: gzip, chunked"), 501), (post(TE, TE), None),
    (post(b"Transfer-Encoding: chunked, chunked"), None),
    (post(TE, b"Transfer-Encoding: identity"), None),
    (post(b"Transfer-Encoding: \"chunked\""), None),
    (post(b"Transfer-Encoding: chunked;q=1"), None),
    (post(b"Transfer-Encoding: xchunked"), 501), (post(b"Transfer-Encoding: chunkedx"), 501),
    (post(b"Transfer-Encoding: chunke"), 501), (post(b"Transfer-Encoding: chunked\xa0"), None),
    (post(b"Transfer-Encoding:"), None),
    (post(TE).replace(b"HTTP/1.1", b"HTTP/1.0"), None),
    (post(b": 1"), 400), (post(b"\xffX: 1"), 400), (post(b"X\x00: 1"), 400),
    (post(b"X: \x7f"), 400),
    (post(b"X: \x01"), 400), (post(b"X"), 400), (post(b"X Y: 1"), 400), (post(b"X(: 1"), 400),
]


@pytest.mark.parametrize("split", [False, True])
def test_ambiguous_framing_is_refused(lb, backend, client, split):
    """Alone and with a request behind it; no part of it ever becomes a request."""
    b = backend()
    proxy, wrong = lb([b]), []
    for data, status in AMBIGUOUS:
        follow = b"" if split else b"0\r\n\r\n" + SMUGGLED
        r = refused(proxy, client, b, data, follow)
        want = (status,) if status else (400, 501)
        if r.status not in want:
            wrong.append(f"{data!r}: {r.status}, not {want}")
    assert not wrong, "\n".join(wrong)
    records = proxy.access(len(AMBIGUOUS))
    assert len(records) == len(AMBIGUOUS)
    assert {x["end"] for x in records} == {"client_bad"}
    assert all(x["why"] and not x["attempts"] for x in records)


LINES = [
    b"GET  / HTTP/1.1", b"GET /  HTTP/1.1", b" GET / HTTP/1.1", b"GET / HTTP/1.1 ",
    b"GET\t/ HTTP/1.1", b"GET / HTTP/1.1\t", b"GET / http/1.1", b"GET / HTTP/1.1x",
    b"GET / HTTP/01.1", b"GET / HTTP/1.01", b"GET / HTTP/1", b"GET / HTTP/", b"GET /",
    b"GET", b"GET / HTTP/1.1 HTTP/1.1", b"GET /a b HTTP/1.1", b"GET /\x00 HTTP/1.1",
    b"GET /\x7f HTTP/1.1", b"GET /\xe9 HTTP/1.1", b"GET /\x0b HTTP/1.1", b"GET \\ HTTP/1.1",
    b"GET x HTTP/1.1", b"GET * HTTP/1.1", b"POST * HTTP/1.1", b"G@T / HTTP/1.1",
    b"GE\x00T / HTTP/1.1", b"\xefGET / HTTP/1.1", b"GET / HTTP /1.1", b"GET / HTTP/1,1",
    b"GET / FTP/1.1", b"GET /#frag HTTP/1.1", b"GET ?x HTTP/1.1", b"OPTIONS ** HTTP/1.1",
    b"GET http:/// HTTP/1.1", b"GET http:// HTTP/1.1", b"GET http://:80/ HTTP/1.1",
    b"GET http://u@h/ HTTP/1.1", b"GET http://u:p@h/ HTTP/1.1", b"GET ftp://h/ HTTP/1.1",
    b"GET http:/h/ HTTP/1.1", b"GET http//h/ HTTP/1.1", b"GET http://h:99999/ HTTP/1.1",
    b"GET http://h:8a/ HTTP/1.1", b"GET http://h,i/ HTTP/1.1", b"GET http://[::1/ HTTP/1.1",
    b"GET http://h/#f HTTP/1.1", b"GET http://h\\i/ HTTP/1.1", b"GET javascript:1 HTTP/1.1",
]


def test_bad_request_lines(lb, backend, client):
    b = backend()
    proxy, wrong = lb([b]), []
    for line in LINES:
        try:
            r = refused(proxy, client, b, line + b"\r\nHost: h\r\n\r\n", SMUGGLED)
        except AssertionError as e:
            wrong.append(f"{line!r}: {str(e)[:200]}")
            b.requests.clear()
            continue
        if r.status not in (400, 505):
            wrong.append(f"{line!r}: {r.status}")
    assert not wrong, "\n".join(wrong)
    assert len(proxy.access(len(LINES))) == len(LINES)


HOSTS = [b"", b" ", b"a b", b"a,b", b"a/b", b"a?b", b"a#b", b"a@b", b"http://a", b"a:", b"a:b",
         b"a:99999", b"a:-1", b":80", b"[::1", b"::1", b"[::1]x", b"a\\b", b"a\"b", b"<a>",
         b"a\x80", b"a:80:80", b"[", b"a;b", b"a\tb", b"a%"]
# An empty Host and an empty port are allowed by RFC 9110 7.2 and RFC 3986 3.2.3.
HOSTS_EITHER = (b"", b" ", b"a:", b"a;b", b"a:99999")


def test_bad_hosts(lb, backend, client):
    b = backend()
    proxy, wrong = lb([b]), []
    for host in HOSTS:
        c = client(proxy)
        status = c.send(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n").response().status
        if status != 400 and host not in HOSTS_EITHER:
            wrong.append(f"{host!r}: {status}")
    for lines in (b"", b"Host: a\r\nHost: a\r\n", b"Host: a\r\nhost: b\r\n", b"Host : a\r\n",
                  b"H\xd6st: a\r\n"):
        status = client(proxy).send(b"GET / HTTP/1.1\r\n" + lines + b"\r\n").response().status
        if status != 400:
            wrong.append(f"{lines!r}: {status}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("target, host, path", [
    ("http://other.test/x", "other.test", "/x"), ("HTTP://other.test", "other.test", "/"),
    ("hTtPs://Other.test:444/", "Other.test:444", "/"), ("http://o?q", "o", "/?q"),
    ("http://o/?", "o", "/?"), ("http://o//a", "o", "//a"), ("http://[::1]:8/a", "[::1]:8", "/a"),
    ("http://o/http://p/", "o", "/http://p/"), ("http://o/a@b", "o", "/a@b"),
    ("http://o?u=a@b:1", "o", "/?u=a@b:1"),
])
def test_absolute_forms(lb, backend, client, target, host, path):
    """Host and X-Forwarded-Host from the authority, whatever the Host field said."""
    b = backend()
    assert client(lb([b])).ask(target=target, host="lie.test").status == 200
    seen = b.requests[0]
    assert (seen.target, seen.one("host")) == (path, host)
    assert seen.one("x-forwarded-host") == host


def test_options_absolute_without_path_is_asterisk(lb, backend, client):
    """RFC 9112 3.2.4: OPTIONS http://h goes on as `*`."""
    b = backend()
    assert client(lb([b])).ask("OPTIONS", "http://o.test:1").status == 200
    assert (b.requests[0].target, b.requests[0].one("host")) == ("*", "o.test:1")


ODD_METHODS = ["get", "G", "!#$%&'*+-.^_`|~09aZ", "M-SEARCH", "PRI", "GETT", "HEADER", "X" * 60]


def test_odd_methods_pass_and_have_a_body_in_the_answer(lb, backend, client):
    b = backend()
    c = client(lb([b]))
    for method in ODD_METHODS:
        assert c.ask(method).body == b"b0", method
    assert [r.method for r in b.requests] == ODD_METHODS


def test_trace_and_connect_in_any_dress(lb, backend, client):
    """Refused; methods are case-sensitive, so `trace` is another one."""
    b = backend()
    proxy = lb([b])
    for line in (b"TRACE / HTTP/1.1", b"TRACE http://h/ HTTP/1.1", b"CONNECT h:443 HTTP/1.1",
                 b"CONNECT h:443 HTTP/1.0", b"TRACE * HTTP/1.1"):
        r = client(proxy).send(line + b"\r\nHost: h:443\r\n\r\n").response()
        assert r.status in (405, 400), line
    assert not b.requests
    assert len(proxy.access(5)) == 5


def test_http2_preface_is_refused(lb, backend, client):
    b = backend()
    c = client(lb([b]))
    r = c.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0").response()
    assert r.status in (400, 505)
    assert c.stream.rest() == b"" and not b.requests


def test_tls_hello_and_binary_noise(lb, backend, client):
    b = backend()
    proxy = lb([b])
    noise = [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xaa" * 500, b"\xff" * 3000,
             b"\0" * 3000, b"\r\n" * 1, b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
             b"\r\n\r\n\0\r\nQUIT\n!\x11\x00\x0c" + b"\x01" * 12, b"SSH-2.0-x\r\n"]
    for data in noise:
        c = client(proxy)
        try:
            c.send(data).half_close()
        except OSError:
            pass
        rest = c.stream.rest()
        assert rest == b"" or rest.startswith(b"HTTP/1.1 4"), rest[:100]
        assert rest.count(b"HTTP/1.1 ") <= 1
    assert not b.requests
    until(lambda: client(proxy).ask().status == 200, "service as usual")
