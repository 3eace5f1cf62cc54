"""Either side ends at every byte of a message: nothing hangs, nothing is invented."""
import socket

import pytest

from harness import Broken, Client, until

REQUESTS = {
    "get": b"GET /whole HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n",
    "length": b"POST /whole HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
    "chunked": b"POST /whole HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
               b"5;a=b\r\nhello\r\n0\r\nX-T: 1\r\n\r\n",
}


def end_of(c, how):
    {"fin": c.close, "rst": c.reset, "half": c.half_close}[how]()


@pytest.mark.parametrize("how", ["fin", "rst", "half"])
@pytest.mark.parametrize("kind", REQUESTS)
def test_client_ends_at_each_byte(lb, backend, client, kind, how):
    """One record for each that sent a byte; the backend never sees a false end."""
    data = REQUESTS[kind]
    b = backend()
    proxy = lb([b])
    for cut in range(len(data)):
        c = Client(proxy.port)
        c.send(data[:cut])
        end_of(c, how)
        if how == "half":
            rest = c.stream.rest()
            assert rest.count(b"HTTP/1.1") <= 1 and b" 200 " not in rest
            c.close()
    assert client(proxy).ask(target="/last").body == b"b0"
    targets = until(lambda: settled(proxy, len(data)), lambda: f"records {proxy.access()}")
    assert len(targets) == len(data)  # none for 0 bytes, one for /last
    assert [m.target for m in b.requests if m.target != "/whole"] == ["/last"]
    whole = {m.body for m in b.requests if m.target == "/whole" and m.framing == "none"}
    assert whole <= {b""}
    until(lambda: all(c.ended.is_set() for c in b.conns if c.requests
                      and c.requests[-1].target != "/last"), "aborted attempts to end")
    for record in proxy.access():
        if record["target"] != "/last":
            assert record["end"] in ("client_gone", "client_bad"), record


def settled(proxy, count):
    """The targets, when there is a record for each; a reset may eat what was sent."""
    targets = [r["target"] for r in proxy.access()]
    return targets if len(targets) >= count else None


RESPONSES = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
               b"5;a=b\r\nhello\r\n0\r\nX-T: 1\r\n\r\n",
    "interim": b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
               b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "http10": b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
}


def cutter(data, how):
    """Answers /N with the first N bytes, then ends that way."""
    def script(conn):
        while True:
            cut = int(conn.request().target[1:])
            conn.send(data[:cut])
            if how == "rst":
                conn.reset()
            else:
                conn.half_close()
                conn.closed()
            return
    return script


@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("kind", RESPONSES)
def test_backend_ends_at_each_byte(lb, backend, client, kind, how):
    data = RESPONSES[kind]
    proxy = lb([backend(cutter(data, how))])
    head = data.index(b"\r\n\r\n", data.index(b" 200 ")) + 4
    for cut in range(len(data)):
        c = client(proxy).request(target=f"/{cut}")
        try:
            r = c.response()
        except Broken as e:
            assert cut >= head or how == "rst", f"{cut}: {e}"
            assert e.message is None or b"hello".startswith(e.message.body)
        else:
            # A reset may overtake a whole head, hence 502 behind it as well.
            assert r.status == 502 and (cut < head or how == "rst"), f"{cut}: {r}"
        c.close()
    if how == "fin":  # with a reset the last bytes may be lost, rightly
        assert client(proxy).ask(target=f"/{len(data)}").body == b"hello"
    records = proxy.access(len(data))
    for record in records[:len(data)]:
        cut = int(record["target"][1:])
        want = {"backend_failed", "backend_broke_off"} if how == "rst" else \
            {"backend_failed"} if cut < head else {"backend_broke_off"}
        assert record["end"] in want, record


def test_backend_ends_at_each_byte_of_a_reused_connection(lb, backend, client):
    """From the first byte on it is no stale connection any more: one attempt, 502."""
    data = RESPONSES["length"]
    head = data.index(b"\r\n\r\n") + 4

    def script(conn):
        conn.request()
        conn.answer(b"warm")
        cut = int(conn.request().target[1:])
        conn.send(data[:cut])
    b = backend(script)
    proxy = lb([b], pool="retry_attempts = 0\n")
    for cut in range(1, head):
        c = client(proxy)
        assert c.ask(target="/warm").body == b"warm"
        assert c.ask(target=f"/{cut}").status == 502, cut
    for record in proxy.access(2 * (head - 1)):
        assert len(record["attempts"]) == 1, record
    assert len(b.requests) == 2 * (head - 1)


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_client_ends_at_each_byte_of_a_response(lb, backend, client, how):
    """The client reads N bytes and leaves in the middle of a large answer."""
    def script(conn):
        while True:
            conn.request()
            conn.answer(b"d" * 3000000)
    b = backend(script)
    proxy = lb([b])
    for count in range(1, 60):
        c = client(proxy, rcvbuf=4096).request()
        c.stream.need(lambda buf, n=count: len(buf) >= n)
        end_of(c, how)
    records = proxy.access(59)
    assert len(records) == 59 and {r["end"] for r in records} == {"client_gone"}
    assert {r["status"] for r in records} == {200}
    until(lambda: all(c.ended.is_set() for c in b.conns), "backend connections to end")


def test_byte_by_byte_both_ways(lb, backend, client):
    """Every byte a write of its own, in requests and responses."""
    def script(conn):
        while True:
            conn.request()
            for byte in RESPONSES["chunked"]:
                conn.send(bytes([byte]))
    b = backend(script)
    c = client(lb([b]))
    for kind in ("get", "length", "chunked", "get"):
        for byte in REQUESTS[kind]:
            c.send(bytes([byte]))
        r = c.response()
        assert r.body == b"hello" and r.trailers == [("x-t", "1")]
    assert [m.body for m in b.requests] == [b"", b"hello", b"hello", b""]
    assert len(b.conns) == 1


def test_half_close_of_the_backend_behind_a_whole_answer(lb, backend, client):
    """The answer counts, the connection does not come back: its end came with it."""
    def script(conn):
        conn.request()
        conn.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        conn.answer(b"x")
        conn.half_close()
        conn.closed()
    b = backend(script)
    c = client(lb([b]))
    for _ in range(50):
        assert c.ask("POST", body=b"1").body == b"x"
    assert len(b.requests) == len(b.conns) == 50


def test_half_closed_pipeline_is_answered_whole(lb, backend, client):
    proxy = lb([backend()])
    c = client(proxy)
    c.send(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n" * 20 + b"GET /cut HTTP/1.1\r\nHo").half_close()
    assert [c.response().body for _ in range(20)] == [b"b0"] * 20
    rest = c.stream.rest()
    assert rest == b"" or rest.startswith(b"HTTP/1.1 400")
    assert len(proxy.access(21)) == 21
