"""Large bodies: every length around a threshold, every framing, every way to break off."""
import hashlib
import os
import random
import threading

import pytest

from harness import DEADLINE_S, until
from harness.wire import Message, read_head

K = 1024
LENGTHS = [32 * K - 1, 32 * K, 64 * K - 1, 64 * K, 64 * K + 1, 96 * K + 1, 128 * K,
           256 * K - 1, 256 * K, 256 * K + 1, 320 * K, 512 * K + 1, (1 << 20) + 1,
           3 * (1 << 20) + 17]
FRAMINGS = ["length", "close", "chunked"]
DATA = random.Random(1).randbytes(4 << 20)
HEAD = b"HTTP/1.1 200 OK\r\n"
FIELD = {"close": b"Connection: close\r\n\r\n", "chunked": b"Transfer-Encoding: chunked\r\n\r\n"}


def framed(framing, length, chunk):
    """The response's bytes: a head, and `length` bytes of DATA."""
    if framing == "length":
        return HEAD + b"Content-Length: %d\r\n\r\n" % length + DATA[:length]
    if framing == "close":
        return HEAD + FIELD["close"] + DATA[:length]
    return HEAD + FIELD["chunked"] + chunks(length, chunk) + b"0\r\n\r\n"


def chunks(length, size):
    parts = []
    for at in range(0, length, size):
        piece = DATA[at:min(at + size, length)]
        parts += [b"%x\r\n" % len(piece), piece, b"\r\n"]
    return b"".join(parts)


def in_pieces(send, wire, size):
    for at in range(0, len(wire), size):
        send(wire[at:at + size])


def server(framing, piece=1 << 20, chunk=16 * K):
    """Answers /N with N bytes, sent in pieces."""
    def script(conn):
        while True:
            target = conn.request().target
            in_pieces(conn.send, framed(framing, int(target[1:]), chunk), piece)
            if framing == "close":
                return
    return script


def same(body, length):
    assert len(body) == length
    assert hashlib.sha256(body).digest() == hashlib.sha256(DATA[:length]).digest()


@pytest.mark.threaded
@pytest.mark.parametrize("framing", FRAMINGS)
def test_lengths_around_every_threshold(lb, backend, client, framing):
    """One connection: what follows a body stands where it should."""
    c = client(lb([backend(server(framing))]), deadline_s=60)
    for length in LENGTHS:
        same(c.ask(target=f"/{length}").body, length)
    same(c.ask(target="/5").body, 5)


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("piece", [997, 20000, 70000])
def test_backend_that_sends_in_pieces(lb, backend, client, framing, piece):
    c = client(lb([backend(server(framing, piece))]), deadline_s=60)
    for length in (64 * K + 1, 256 * K + 1, (1 << 20) + 1):
        same(c.ask(target=f"/{length}").body, length)


@pytest.mark.parametrize("framing", FRAMINGS)
def test_reader_that_sips(lb, backend, client, framing):
    """The socket to it is full most of the time, and only part of a piece goes."""
    proxy = lb([backend(server(framing))])
    for length in (64 * K + 1, 256 * K, (2 << 20) + 3):
        c = client(proxy, deadline_s=60, rcvbuf=4096)
        c.request(target=f"/{length}", fields=["Connection: close"])
        raw, sip = [], 1500
        while True:
            data = c.sock.recv(sip)
            if not data:
                break
            raw.append(data)
        c.stream.buf, c.stream.ended = b"".join(raw), True
        same(c.response().body, length)


@pytest.mark.parametrize("chunk", [1, 300, 4095, 4097, 65536, 262144, 1 << 20])
def test_chunks_of_every_size(lb, backend, client, chunk):
    """Also to a client that knows none."""
    length = 80 * K if chunk == 1 else (2 << 20) + 5
    proxy = lb([backend(server("chunked", chunk=chunk))])
    same(client(proxy, deadline_s=60).ask(target=f"/{length}").body, length)
    c = client(proxy, deadline_s=60)
    c.send(b"GET /%d HTTP/1.0\r\nHost: h\r\n\r\n" % length)
    same(c.response().body, length)


def test_old_client_and_every_framing(lb, backend, client):
    """HTTP/1.0: a body without length passes as it is, to the close."""
    for framing in FRAMINGS:
        proxy = lb([backend(server(framing))])
        for length in LENGTHS:
            c = client(proxy, deadline_s=60)
            c.send(b"GET /%d HTTP/1.0\r\nHost: h\r\n\r\n" % length)
            same(c.response().body, length)


@pytest.mark.threaded
@pytest.mark.parametrize("chunked", [False, True])
def test_uploads(lb, backend, client, chunked):
    """With the next request right behind the body."""
    def echo(conn):
        while True:
            body = conn.request().body
            conn.answer(hashlib.sha256(body).hexdigest().encode() + b" %d" % len(body))
    c = client(lb([backend(echo)]), deadline_s=60)
    for length in LENGTHS:
        if chunked:
            head, body = FIELD["chunked"], chunks(length, 50001) + b"0\r\n\r\n"
        else:
            head, body = b"Content-Length: %d\r\n\r\n" % length, DATA[:length]
        follow = b"GET /next HTTP/1.1\r\nHost: h\r\n\r\n"
        c.send(b"POST / HTTP/1.1\r\nHost: h\r\n" + head + body + follow)
        want = hashlib.sha256(DATA[:length]).hexdigest().encode() + b" %d" % length
        assert c.response().body == want
        assert c.response().body.endswith(b" 0")


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("cut", [64 * K + 1, 256 * K, 700 * K])
def test_backend_breaks_off(lb, backend, client, framing, reset, cut, old):
    """The client must see a broken connection, and nothing that is not the body's."""
    def script(conn):
        conn.request()
        conn.send(framed(framing, 1 << 20, 1 << 20)[:cut])
        if reset:
            conn.reset()
    proxy = lb([backend(script)])
    c = client(proxy, deadline_s=60)
    c.send(b"GET / HTTP/1.%d\r\nHost: h\r\n\r\n" % (not old))
    message = Message()
    read_head(c.stream, message)
    rest = c.stream.rest(60)
    assert c.stream.was_reset
    if framing == "length" or old:
        assert DATA.startswith(rest) and len(rest) < 1 << 20
    else:
        assert not rest.endswith(b"\r\n0\r\n\r\n")
    assert proxy.access(1)[0]["end"] == "backend_broke_off"


@pytest.mark.parametrize("framing", FRAMINGS)
def test_client_leaves(lb, backend, client, framing):
    """With bytes on the way; the next client is served as if nothing had been."""
    b = backend(server(framing))
    proxy = lb([b])
    for leave in ("reset", "close"):
        c = client(proxy, rcvbuf=4096, deadline_s=60)
        c.request(target=f"/{len(DATA)}")
        c.stream.need(lambda buf: len(buf) > 100 * K)
        getattr(c, leave)()
    assert {r["end"] for r in proxy.access(2)} == {"client_gone"}
    same(client(proxy, deadline_s=60).ask(target="/300000").body, 300000)


@pytest.mark.parametrize("reset", [False, True])
def test_client_breaks_an_upload_off(lb, backend, client, reset):
    """The backend must not see a whole request."""
    seen = []

    def script(conn):
        message = conn.head()
        try:
            conn.body(message)
            seen.append("whole")
        finally:
            seen.append(len(message.body))
    proxy = lb([backend(script)])
    c = client(proxy, deadline_s=60)
    c.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(DATA))
    c.send(DATA[:700 * K])
    (c.reset if reset else c.half_close)()
    until(lambda: seen, "the backend to see the end")
    assert "whole" not in seen


def test_more_bodies_than_pipes(lb, backend, client):
    """Slow readers hold them all: the others go on without, and all get everything."""
    count, length = 80, (2 << 20) + 1
    proxy = lb([backend(server("length"), deadline_s=60)])
    slow = [client(proxy, rcvbuf=4096, deadline_s=60) for _ in range(count)]
    for c in slow:
        c.request(target=f"/{length}")
    for c in slow:
        c.stream.need(lambda buf: len(buf) > 1000)
    same(client(proxy, deadline_s=60).ask(target=f"/{length}").body, length)
    pipes = [os.readlink(f"/proc/{proxy.pid}/fd/{fd}")
             for fd in os.listdir(f"/proc/{proxy.pid}/fd")]
    assert 0 < sum(p.startswith("pipe:") for p in pipes) <= 2 * 64 + 4
    for c in slow:
        same(c.response().body, length)


def test_no_descriptor_for_a_pipe(lb, backend, client, evenkeel, tool):
    """Few descriptors: no pipes, the same bytes."""
    from harness import ini
    proxy = evenkeel(ini([backend(server("length"))], top="max_connections = 100\n"),
                     prefix=(tool("prlimit"), "--nofile=128:128"))
    c = client(proxy, deadline_s=60)
    for length in LENGTHS:
        same(c.ask(target=f"/{length}").body, length)


def test_large_both_ways_at_once(lb, backend, client):
    """An answer that streams while its request does."""
    def echo(conn):
        message = conn.head()
        left = int(message.one("content-length"))
        conn.send(HEAD + b"Content-Length: %d\r\n\r\n" % left)
        while left:
            data = conn.stream.need(lambda b: b[:left] or None)
            conn.stream.buf = conn.stream.buf[len(data):]
            conn.send(data)
            left -= len(data)
    c = client(lb([backend(echo)]), deadline_s=60)

    def send():
        c.sock.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(DATA)
                       + DATA)
    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    same(c.response().body, len(DATA))
    sender.join(DEADLINE_S)
