"""100-continue, other 1xx, and trailers."""
from harness import Gate

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
POST = (b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")


def interim_head(c):
    """The next head as bytes, without what follows it."""
    end = c.stream.need(lambda b: (b.find(b"\r\n\r\n") + 1) or None) + 3
    head, c.stream.buf = c.stream.buf[:end], c.stream.buf[end:]
    return head


def test_continue_comes_before_the_body_is_sent(lb, backend, client):
    def script(conn):
        request = conn.head()
        if "100-continue" in request.tokens("expect"):
            conn.send(CONTINUE)
        conn.answer(conn.body(request).body)
    c = client(lb([backend(script)]))
    c.send(POST)
    assert interim_head(c).startswith(b"HTTP/1.1 100 ")
    assert c.send(b"hello").response().body == b"hello"


def test_backend_refuses_what_is_expected(lb, backend, client):
    """A final answer instead of 100: the body need not be sent."""
    def script(conn):
        conn.head()
        conn.answer(b"no", "417 Expectation Failed", ["Connection: close"])
    c = client(lb([backend(script)], pool="response_timeout = 3s\n"))
    c.send(POST)
    r = c.response()
    assert r.status == 417 and r.body == b"no"


def test_client_that_does_not_wait_for_100(lb, backend, client):
    def script(conn):
        conn.answer(conn.request().body)
    c = client(lb([backend(script)]))
    assert c.send(POST + b"hello").response().body == b"hello"


def test_expect_of_http10_gets_no_100(lb, backend, client):
    def script(conn):
        request = conn.head()
        if "100-continue" in request.tokens("expect"):
            conn.send(CONTINUE)
        conn.answer(conn.body(request).body)
    c = client(lb([backend(script)]))
    c.send(b"POST / HTTP/1.0\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello")
    r = c.response()
    assert r.body == b"hello" and not r.interim


def test_103_is_passed_on_before_the_answer(lb, backend, client):
    gate = Gate()

    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 103 Early Hints\r\nLink: </s.css>; rel=preload\r\n\r\n")
        gate.wait()
        conn.answer(b"x")
    c = client(lb([backend(script)]))
    c.request()
    head = interim_head(c)
    assert head.startswith(b"HTTP/1.1 103 ") and b"rel=preload" in head
    gate.open()
    assert c.response().body == b"x"


def test_1xx_does_not_reach_an_http10_client(lb, backend, client):
    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        conn.answer(b"x")
    r = client(lb([backend(script)])).send(b"GET / HTTP/1.0\r\n\r\n").response()
    assert r.status == 200 and not r.interim and r.body == b"x"


def test_1xx_do_not_extend_the_response_timeout(lb, backend, client):
    def script(conn):
        conn.request()
        while not conn.stream.ended:
            conn.send(b"HTTP/1.1 102 Processing\r\n\r\n")
            conn.sock.settimeout(0.05)
            try:
                if not conn.sock.recv(1):
                    return
            except TimeoutError:
                pass
    r = client(lb([backend(script)], pool="response_timeout = 500ms\n")).ask()
    assert r.status == 504


def test_endless_1xx_are_cut(lb, backend, client):
    """All 1xx heads of one response together are at most 64k."""
    def script(conn):
        conn.request()
        for _ in range(200):
            conn.send(b"HTTP/1.1 103 Early Hints\r\nX: " + b"a" * 1000 + b"\r\n\r\n")
        conn.answer(b"x")
    proxy = lb([backend(script)])
    r = client(proxy).ask()
    assert r.status == 502
    assert proxy.access(1)[0]["attempts"][0]["outcome"] == "bad_response"


def test_101_without_upgrade_is_502(lb, backend, client):
    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
        conn.closed()
    assert client(lb([backend(script)])).ask().status == 502


def test_request_trailers_are_dropped(lb, backend, client):
    b = backend()
    c = client(lb([b]))
    c.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n"
           b"5\r\nhello\r\n0\r\nX-T: 1\r\nContent-Length: 9\r\n\r\n")
    r = c.response()
    if r.status == 400:  # a framing field in a trailer may be refused as well
        return
    assert r.status == 200
    assert b.requests[0].body == b"hello" and not b.requests[0].trailers
    assert not b.requests[0].has("x-t")


def test_plain_request_trailers_are_dropped(lb, backend, client):
    b = backend()
    c = client(lb([b]))
    c.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
           b"5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n")
    assert c.response().status == 200
    assert b.requests[0].body == b"hello" and not b.requests[0].trailers


def test_response_trailers_are_kept_in_their_section(lb, backend, client):
    def script(conn):
        while True:
            conn.request()
            conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                      b"5\r\nhello\r\n0\r\nX-Sum: abc\r\n\r\n")
    c = client(lb([backend(script)]))
    for _ in range(2):
        r = c.ask(fields=["TE: trailers", "Connection: TE"])
        assert r.body == b"hello"
        assert r.trailers == [("x-sum", "abc")] and not r.has("x-sum")


def test_bad_response_trailer_breaks_off(lb, backend, client):
    """Trailers are checked: what is malformed is not passed on as complete."""
    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                  b"5\r\nhello\r\n0\r\nX Sum: abc\r\n\r\n")
        conn.closed()
    c = client(lb([backend(script)]))
    c.request()
    data = c.stream.rest()
    assert b"X Sum" not in data and not data.endswith(b"0\r\n\r\n")
