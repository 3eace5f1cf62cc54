"""Found by a reviewer: bodies and answers that stood still, were cut or got lost."""
import time

import pytest

from harness import Broken, Gate, until
from harness.backend import answer
from harness.freeze import arrived, cpu_s, reset_arrived, standing_still, unread

BUFFER = 32768 + 512  # where a connection's buffer ends


def head(size, first, fields=""):
    """A request head of exactly that many bytes."""
    start = f"{first} HTTP/1.1\r\nHost: h\r\n{fields}X: "
    return (start + "a" * (size - len(start) - 4) + "\r\n\r\n").encode()


def three_heads(end, length):
    """A pipeline of three; the head of the last, a POST, ends at that byte."""
    third = end // 3
    return (head(third, "GET /1") + head(third, "GET /2")
            + head(end - 2 * third, "POST /3", f"Content-Length: {length}\r\n"))


@pytest.mark.parametrize("end", [BUFFER, BUFFER - 1, BUFFER - 40])
def test_body_behind_a_head_at_the_end_of_the_buffer(lb, backend, client, end):
    """Its bytes need room that the heads before it had."""
    b = backend()
    proxy = lb([b], listener="body_timeout = 1s\n")
    c = client(proxy)
    assert c.ask().status == 200
    with standing_still(proxy):
        c.send(three_heads(end, 2000) + b"b" * 2000)
        arrived(c.sock)
    assert [c.response().status for _ in range(3)] == [200] * 3
    assert b.requests[3].body == b"b" * 2000


def test_such_a_body_gets_the_whole_buffer(lb, backend, client):
    """Not byte for byte through what little is left: no more work than elsewhere."""
    size, took = 300000, {}
    b = backend()
    proxy = lb([b])
    for end in (20000, BUFFER - 1):
        c = client(proxy)
        assert c.ask().status == 200
        with standing_still(proxy):
            c.send(three_heads(end, size) + b"b" * 20000)
            arrived(c.sock)
            before = cpu_s(proxy)
        c.send(b"b" * (size - 20000))
        assert [c.response().status for _ in range(3)] == [200] * 3
        took[end] = cpu_s(proxy) - before
    assert took[BUFFER - 1] < took[20000] + 0.5, took


@pytest.mark.parametrize("again", range(3))
def test_early_answer_survives_a_failed_send(lb, backend, client, again):
    """413 and a reset behind it; the proxy learns of the reset when it sends on."""
    gate = Gate()

    def script(conn):
        conn.head()
        gate.wait()
        conn.send(answer(b"too big", "413 Content Too Large", ("Connection: close",)))
        arrived(conn.sock)
        conn.sock.close()  # with bytes that it has not read
    b = backend(script)
    proxy = lb([b])
    c = client(proxy)
    c.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n" + b"z" * 1000)
    b.wait_requests(1)
    sock = b.conns[0].sock
    port = sock.getpeername()[1]
    c.send(b"z" * 1000)
    until(lambda: unread(sock) > 0, "bytes that the backend will not read")
    with standing_still(proxy):
        c.send(b"z" * 1000 * (again + 1))
        arrived(c.sock)
        gate.open()
        b.conns[0].ended.wait(10)
        reset_arrived(port, b.port)
    r = c.response()
    assert (r.status, r.body) == (413, b"too big")
    record = proxy.access(1)[0]
    assert (record["status"], record["end"]) == (413, "ok"), record


def test_cut_answer_without_a_length_ends_with_a_reset(lb, backend, client):
    """To a client of HTTP/1.0 an orderly end would say that it has it all."""
    def script(conn):
        conn.head()
        conn.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 1000)
        conn.closed()
    proxy = lb([backend(script)])
    c = client(proxy).send(b"POST / HTTP/1.0\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc")
    c.stream.need(lambda buf: buf.endswith(b"x" * 1000))
    c.half_close()
    assert c.stream.rest().endswith(b"x" * 1000) and c.stream.was_reset
    assert proxy.access(1)[0]["end"] == "client_gone"


def test_slow_reader_keeps_its_early_answer(lb, backend, client):
    """It uploads a little and reads late; longer than a closing connection is read."""
    size = 1500000

    def script(conn):
        conn.head()
        conn.send(answer(b"r" * size))
        conn.closed()
    b = backend(script)
    proxy = lb([b])
    c = client(proxy, rcvbuf=8192)
    c.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n" + b"u" * 1000)
    proxy.access(1)
    for _ in range(23):
        time.sleep(0.1)  # a client that is slow
        c.send(b"u" * 100)
    r = c.response()
    assert r.status == 200 and len(r.body) == size


def test_1xx_to_a_client_that_does_not_read(lb, backend, client, tmp_path):
    """They wait until there is room; nothing is left out and nothing is out of memory."""
    count, large = 100, b"a" * 18000
    hint = b"HTTP/1.1 103 Early Hints\r\nLink: " + large + b"\r\n\r\n"

    def script(conn):
        while True:
            conn.request()
            conn.send(hint + hint + answer(b"ok", fields=["X: " + large.decode()]))
    path = str(tmp_path / "u")
    proxy = lb([backend(script)], listener=f"bind = unix:{path}\n")
    c = client(path).send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n" * count)
    while len(c.stream.buf) < 200000:  # in small bites: the proxy waits for it all the time
        c.stream.buf += c.sock.recv(2000)
    for i in range(count):
        r = c.response()
        assert (r.status, r.body, len(r.interim)) == (200, b"ok", 2), i
    assert {(r["status"], r["end"]) for r in proxy.access(count)} == {(200, "ok")}


def test_refused_expectation_and_a_body_that_looks_like_a_request(lb, backend, client):
    """The body that was not wanted may come after all: it is never a request."""
    def script(conn):
        conn.head()
        conn.answer(b"no", "417 Expectation Failed")
        conn.closed()
    b = backend(script)
    proxy = lb([b])
    evil = b"GET /evil HTTP/1.1\r\nHost: h\r\n\r\n"
    c = client(proxy).send(b"POST /up HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                           b"Content-Length: %d\r\n\r\n" % (2 * len(evil)))
    assert c.response().status == 417
    try:
        c.send(evil + evil)
        with pytest.raises(Broken):
            c.response()
    except OSError:
        pass
    assert [r["target"] for r in proxy.access(1)] == ["/up"]
    assert [m.target for m in b.requests] == ["/up"]
