"""Bodies stream both ways: bounded memory, backpressure, early answers."""
import os
import threading
import time

import pytest

from harness import DEADLINE_S, Gate, until
from harness.flow import BLOCK, digest_of, receive_stream, send_stream
from harness.wire import Message, read_head

MB = 1 << 20
# 64 MB in the test run, 2 GB in ./dev soak bodies.
TOTAL = int(os.environ.get("EVENKEEL_BODY_MB", "64")) * MB
GROWTH_LIMIT = MB


def split_head(stream):
    """Reads a head; -> (message, the body bytes that came with it)."""
    message = Message()
    read_head(stream, message)
    first, stream.buf = stream.buf, b""
    return message, first


def download(conn):
    while conn.request().target == "/warm":
        conn.answer(BLOCK)
    conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % TOTAL)
    conn.backend.sent = 0

    def send(block):
        conn.send(block)
        conn.backend.sent += len(block)
    send_stream(send, TOTAL)


def settled(value, quiet_s=0.3):
    """Waits until value() stays the same: the pipe is full."""
    last, since = value(), time.monotonic()

    def still():
        nonlocal last, since
        now = value()
        if now != last:
            last, since = now, time.monotonic()
        return time.monotonic() - since > quiet_s
    until(still, "the flow to stop")
    return last


def test_download_to_a_slow_reader(lb, backend, client, release_bin):
    b = backend(download)
    proxy = lb([b], binary=release_bin)
    assert client(proxy).ask(target="/warm").body == BLOCK
    before = proxy.rss_bytes()
    c = client(proxy, rcvbuf=65536)
    c.request(target="/big")
    b.wait_requests(2)
    assert settled(lambda: getattr(b, "sent", 0)) < TOTAL  # it is held back
    peak = [proxy.rss_bytes()]
    _, first = split_head(c.stream)
    digest = receive_stream(c.sock, first, TOTAL,
                            on_progress=lambda _: peak.append(proxy.rss_bytes())
                            if len(peak) < 200 else None)
    peak.append(proxy.rss_bytes())
    assert digest == digest_of(TOTAL)
    print(f"download of {TOTAL // MB} MB: RSS +{(max(peak) - before) / 1024:.0f} KB")
    assert max(peak) - before <= GROWTH_LIMIT


def test_upload_to_a_slow_backend(lb, backend, client, release_bin):
    gate, result = Gate(), []

    def upload(conn):
        while conn.head().target == "/warm":
            conn.answer(b"x")
        first, conn.stream.buf = conn.stream.buf, b""
        gate.wait(60)
        result.append(receive_stream(conn.sock, first, TOTAL))
        conn.answer(b"done")
    b = backend(upload, rcvbuf=65536)
    proxy = lb([b], binary=release_bin)
    assert client(proxy).ask(target="/warm").body == b"x"
    before = proxy.rss_bytes()
    c, sent = client(proxy, deadline_s=60), [0]

    def send():
        c.send(b"POST /big HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % TOTAL)

        def one(block):
            c.sock.sendall(block)
            sent[0] += len(block)
        send_stream(one, TOTAL)
    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    b.wait_requests(2)
    assert settled(lambda: sent[0]) < TOTAL
    held = proxy.rss_bytes()
    gate.open()
    sender.join(60)
    assert c.response().body == b"done" and result == [digest_of(TOTAL)]
    grown = max(held, proxy.rss_bytes()) - before
    print(f"upload of {TOTAL // MB} MB: RSS +{grown / 1024:.0f} KB")
    assert grown <= GROWTH_LIMIT


def test_chunked_upload_and_download(lb, backend, client):
    """Many chunks of odd sizes, both ways, at once."""
    size = 3 * MB

    def echo(conn):
        message = conn.request()
        assert message.framing == "chunked"
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        send_chunks(conn.send, message.body, 70001)
        conn.send(b"0\r\n\r\n")
    b = backend(echo)
    c = client(lb([b]))
    body = (BLOCK * (size // len(BLOCK) + 1))[:size]
    c.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
    send_chunks(c.send, body, 1021)
    c.send(b"0\r\n\r\n")
    assert c.response().body == body


def send_chunks(send, body, size):
    for at in range(0, len(body), size):
        part = body[at:at + size]
        send(b"%x\r\n" % len(part) + part + b"\r\n")


def test_one_byte_chunks(lb, backend, client):
    """Envoy's memory scar: overhead a hundred times the content."""
    def echo(conn):
        conn.answer(conn.request().body)
    c = client(lb([backend(echo)]))
    c.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
           + b"1\r\nx\r\n" * 50000 + b"0\r\n\r\n")
    assert c.response().body == b"x" * 50000


def test_request_body_streams(lb, backend, client):
    """The backend sees the first half before the second is sent."""
    first = Gate()

    def script(conn):
        message = conn.head()
        conn.stream.need(lambda b: b.startswith(b"hello"))
        first.open()
        conn.answer(conn.body(message).body)
    c = client(lb([backend(script)]))
    c.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhello")
    first.wait()
    assert c.send(b"world").response().body == b"helloworld"


def test_response_body_streams(lb, backend, client):
    gate = Gate()

    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        gate.wait()
        conn.send(b"0\r\n\r\n")
    c = client(lb([backend(script)])).request()
    c.stream.need(lambda b: b"hello" in b)
    gate.open()
    assert c.response().body == b"hello"


@pytest.mark.parametrize("close", [True, False])
def test_early_answer_while_the_body_uploads(lb, backend, client, close):
    """The client can read the answer; what it still sends starts no request."""
    def script(conn):
        conn.head()
        conn.answer(b"enough", "413 Content Too Large",
                    ["Connection: close"] if close else [])
        if not close:
            conn.closed()
    b = backend(script)
    proxy = lb([b])
    c = client(proxy)
    c.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4000000\r\n\r\n" + b"x" * 1000)
    stop = threading.Event()

    def more():
        try:
            for _ in range(3999):
                if stop.is_set():
                    return
                c.sock.sendall(b"x" * 1000)
        except OSError:
            pass
    sender = threading.Thread(target=more, daemon=True)
    sender.start()
    r = c.response()
    stop.set()
    sender.join(DEADLINE_S)
    assert r.status == 413 and r.body == b"enough"
    until(b.conns[0].ended.is_set, "the half-used backend connection to be closed")
    assert len(b.requests) == 1


def test_early_answer_then_body_completes(lb, backend, client):
    """An answer before the body's end does not make a mess of what follows."""
    def script(conn):
        while True:
            message = conn.head()
            conn.answer(b"early" if message.method == "POST" else b"next")
            conn.body(message)
    proxy = lb([backend(script)])
    c = client(proxy)
    c.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhello")
    r = c.response()
    assert r.body == b"early"
    if "close" in r.tokens("connection"):
        return
    try:
        c.send(b"worldGET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert c.response().body == b"next"
    except OSError:
        pass


def test_large_body_through_every_state_of_the_buffers(lb, backend, client):
    """Sizes around the buffers' edges come through exactly."""
    def echo(conn):
        while True:
            conn.answer(conn.request().body)
    c = client(lb([backend(echo)]))
    for size in (1, 4095, 4096, 16383, 16384, 16385, 32768, 65535, 65536, 65537, 300001):
        body = (BLOCK * 6)[:size]
        assert c.ask("POST", body=body).body == body, size
