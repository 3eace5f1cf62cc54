"""Found by a reviewer: what the other side does kept a gap from being one."""
import time

from harness import until
from harness.backend import answer

DRIPS = 60  # twenty times the gap that is allowed


def drip_until(ended, drip):
    """Drips, 50 ms apart, until that is so; -> how often."""
    for count in range(DRIPS):
        if ended():
            return count
        try:
            drip(count)
        except OSError:
            return count
        time.sleep(0.05)  # the pace of the drip
    return DRIPS


def test_1xx_of_the_backend_do_not_extend_the_body_timeout(lb, backend, client):
    """The client owes its body, whatever the backend says meanwhile."""
    drips = []

    def script(conn):
        conn.head()
        drips.append(drip_until(lambda: conn.backend.over,
                                lambda _: conn.send(b"HTTP/1.1 102 Processing\r\n\r\n")))
    b = backend(script)
    b.over = False
    proxy = lb([b], listener="body_timeout = 300ms\n")
    c = client(proxy).send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc")
    r = c.response()
    b.over = True
    assert r.status == 408 and 0 < len(r.interim) < DRIPS
    record = proxy.access(1)[0]
    assert (record["status"], record["end"]) == (408, "client_slow")


def next_request(c):
    """One more byte of a request that never ends."""
    return lambda count: c.send(b"E" if count else b"G")


def test_next_request_does_not_extend_the_stream_timeout(lb, backend, client):
    """The backend owes its answer, though the client talks on."""
    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
        conn.closed()
    proxy = lb([backend(script)], pool="stream_timeout = 300ms\n")
    c = client(proxy).request()
    c.stream.need(lambda buf: buf.endswith(b"abc"))
    assert 0 < drip_until(proxy.access, next_request(c)) < DRIPS
    assert proxy.access(1)[0]["end"] == "backend_slow"
    assert c.stream.rest().endswith(b"abc")


def test_next_request_does_not_extend_the_send_timeout(lb, backend, client):
    """A client that takes nothing is given up, though it talks on."""
    def script(conn):
        conn.request()
        conn.send(answer(b"x" * (32 << 20)))
    proxy = lb([backend(script)], listener="send_timeout = 300ms\n")
    c = client(proxy, rcvbuf=4096).request()
    assert 0 < drip_until(proxy.access, next_request(c)) < DRIPS
    record = proxy.access(1)[0]
    assert (record["status"], record["end"]) == (200, "client_slow")


EXPECT = b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"


def test_client_that_waits_for_100_is_not_blamed(lb, backend, client):
    """Its body is not late before the backend has asked for it."""
    def script(conn):
        message = conn.head()
        time.sleep(0.6)  # a backend that is slow
        conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        conn.answer(conn.body(message).body)
    proxy = lb([backend(script)], listener="body_timeout = 200ms\n")
    c = client(proxy).send(EXPECT)
    c.stream.need(lambda buf: buf.startswith(b"HTTP/1.1 100 ") or b"\r\n\r\n" in buf)
    assert c.send(b"abc").response().body == b"abc"


def test_backend_that_never_sends_100_is_blamed(lb, backend, client):
    def script(conn):
        conn.head()
        conn.closed()
    proxy = lb([backend(script)], listener="body_timeout = 200ms\n",
               pool="response_timeout = 400ms\n")
    assert client(proxy).send(EXPECT).response().status == 504
    record = proxy.access(1)[0]
    assert record["end"] == "backend_slow"
    assert [a["outcome"] for a in record["attempts"]] == ["timeout"]


def test_client_that_got_its_100_owes_the_body(lb, backend, client):
    def script(conn):
        conn.head()
        conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        conn.closed()
    proxy = lb([backend(script)], listener="body_timeout = 300ms\n")
    assert client(proxy).send(EXPECT).response().status == 408
    assert proxy.access(1)[0]["end"] == "client_slow"


def test_empty_line_behind_a_request_is_no_request(lb, backend, client):
    """The connection stays idle, under idle_timeout; the next request has its full time."""
    proxy = lb([backend()], listener="header_timeout = 300ms\nidle_timeout = 20s\n")
    c = client(proxy)
    assert c.ask("POST", body=b"x").status == 200
    c.send(b"\r\n")
    start = time.monotonic()
    until(lambda: time.monotonic() - start > 0.6, "longer than header_timeout")
    assert c.ask().status == 200
