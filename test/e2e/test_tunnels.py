"""Upgrade: a tunnel after 101, never before, with half-close and idle rules."""
import hashlib
import random
import threading
import time

import pytest

from harness import Gate, until

ASK = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x"]
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def echo(conn):
    """Answers 101 and then sends back whatever comes, until the other side ends."""
    conn.request()
    conn.send(SWITCH)
    while True:
        conn.stream.need(bool)
        data, conn.stream.buf = conn.stream.buf, b""
        conn.send(data)


def opened(c):
    c.request(fields=ASK)
    c.stream.need(lambda buf: b"\r\n\r\n" in buf)
    head, c.stream.buf = c.stream.buf.split(b"\r\n\r\n", 1)
    return head.decode().lower()


def test_frames_go_both_ways(lb, backend, client):
    b = backend(echo)
    proxy = lb([b])
    c = client(proxy)
    head = opened(c)
    assert head.startswith("http/1.1 101 ") and "upgrade: websocket" in head
    assert "connection: upgrade" in head
    r = b.requests[0]
    assert r.one("upgrade") == "websocket" and r.one("connection").lower() == "upgrade"
    for i in range(200):
        frame = b"frame %d " % i * (i + 1)
        c.send(frame)
        c.stream.need(lambda buf, n=len(frame): len(buf) >= n)
        assert c.stream.buf == frame
        c.stream.buf = b""
    c.close()
    record = proxy.access(1)[0]
    assert record["status"] == 101 and record["end"] in ("ok", "client_gone")


def test_a_lot_both_ways_at_once(lb, backend, client):
    c = client(lb([backend(echo)]), deadline_s=30)
    opened(c)
    data, got = random.Random(1).randbytes(8 << 20), hashlib.sha256()
    sender = threading.Thread(target=lambda: c.sock.sendall(data))
    sender.start()
    left = len(data)
    while left:
        more = c.sock.recv(1 << 18)
        assert more
        got.update(more)
        left -= len(more)
    sender.join()
    assert got.digest() == hashlib.sha256(data).digest()


def test_early_frames_follow_the_head(lb, backend, client):
    """What the client sends behind its request belongs to the tunnel."""
    c = client(lb([backend(echo)]))
    c.send(b"GET / HTTP/1.1\r\nHost: h\r\n" + "\r\n".join(ASK).encode() + b"\r\n\r\nearly")
    c.stream.need(lambda buf: buf.endswith(b"early"))


def test_half_close_of_the_client(lb, backend, client):
    def script(conn):
        conn.request()
        conn.send(SWITCH)
        conn.stream.need(lambda buf: buf == b"question")
        conn.closed()
        conn.send(b"answer after the end")
    proxy = lb([backend(script)])
    c = client(proxy)
    opened(c)
    c.send(b"question").half_close()
    assert c.stream.rest() == b"answer after the end"
    assert proxy.access(1)[0]["end"] == "ok"


def test_half_close_of_the_backend(lb, backend, client):
    got = []

    def script(conn):
        conn.request()
        conn.send(SWITCH + b"bye")
        conn.half_close()
        conn.stream.need(lambda buf: buf == b"last words")
        got.append(conn.stream.buf)
    c = client(lb([backend(script)]))
    opened(c)
    assert c.stream.rest() == b"bye"
    c.send(b"last words")
    until(lambda: got, "the last words")


def test_a_silent_tunnel_ends(lb, backend, client):
    proxy = lb([backend(echo)], pool="stream_timeout = 300ms\n")
    c = client(proxy)
    opened(c)
    start = time.monotonic()
    assert c.at_end() and 0.25 < time.monotonic() - start < 3
    record = proxy.access(1)[0]
    assert record["end"] == "ok" and "silent" in record["why"]


def test_refusal_is_an_ordinary_answer(lb, backend, client):
    b = backend()
    c = client(lb([b]))
    assert c.ask(fields=ASK).status == 200
    assert c.ask().status == 200  # and the connection goes on


@pytest.mark.parametrize("fields", [[], ["Upgrade: websocket"], ["Connection: Upgrade"],
                                    ["Connection: Upgrade", "Upgrade: h2c"]])
def test_101_unasked_is_bad(lb, backend, client, fields):
    def script(conn):
        conn.request()
        conn.send(SWITCH + b"poison")
        conn.closed()
    proxy = lb([backend(script)])
    assert client(proxy).ask(fields=fields).status == 502
    assert proxy.access(1)[0]["attempts"][0]["outcome"] == "bad_response"


def test_no_tunnel_behind_a_body(lb, backend, client):
    b = backend()
    assert client(lb([b])).ask("POST", fields=ASK, body=b"x").status == 200
    assert not b.requests[0].has("upgrade")


def test_h2c_is_removed(lb, backend, client):
    b = backend()
    client(lb([b])).ask(fields=["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c, websocket",
                                "HTTP2-Settings: x"])
    assert b.requests[0].all("upgrade") == ["websocket"]
    assert not b.requests[0].has("http2-settings")


def test_a_cut_backend_cuts_the_client(lb, backend, client):
    gate = Gate()

    def script(conn):
        conn.request()
        conn.send(SWITCH)
        gate.wait()
        conn.reset()
    proxy = lb([backend(script)])
    c = client(proxy)
    opened(c)
    gate.open()
    assert c.stream.rest() == b""
    assert proxy.access(1)[0]["end"] == "backend_broke_off"
