"""Somebody stops in the middle: every wait has an end, and the right side is blamed."""
import time

import pytest

from harness import Broken, Gate, ini, until

SHORT = ("connect_timeout = 300ms\nresponse_timeout = 300ms\nstream_timeout = 300ms\n"
         "request_timeout = 600ms\n")
CLIENT = "body_timeout = 300ms\nsend_timeout = 300ms\nheader_timeout = 300ms\n"


def send_what_fits(c, data):
    """Sends until the peer takes no more; -> bytes that were taken."""
    c.sock.settimeout(0)
    sent = 0
    try:
        while sent < len(data):
            sent += c.sock.send(data[sent:sent + 65536])
    except OSError:
        pass
    return sent


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("read", [0, 5000000])
def test_backend_that_stops_reading_an_upload(lb, backend, client, framing, read):
    """Neither the client nor the proxy waits for ever: 504 or 502, or cut off."""
    gate = Gate()

    def script(conn):
        conn.head()
        got = 0
        while got < read:
            got += len(conn.sock.recv(65536))
        gate.wait()
    b = backend(script, rcvbuf=4096)
    proxy = lb([b], pool=SHORT, listener=CLIENT)
    c = client(proxy)
    size = 20000000
    if framing == "length":
        c.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size)
    else:
        c.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % size)
    body, sent, start = b"b" * size, 0, time.monotonic()
    while not proxy.access() and time.monotonic() - start < 6:
        sent += send_what_fits(c, body[sent:sent + 262144])
    records = proxy.access(1)
    gate.open()
    assert records[0]["end"] in ("backend_slow", "backend_failed"), records
    assert records[0]["status"] in (502, 504)


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_early_answer_and_nobody_reads_the_rest(lb, backend, client, framing):
    """The backend answered, stopped reading, keeps its connection; the client sends on."""
    gate = Gate()

    def script(conn):
        conn.head()
        conn.answer(b"early")
        gate.wait()
    b = backend(script, rcvbuf=4096)
    proxy = lb([b], pool=SHORT, listener=CLIENT)
    c = client(proxy)
    size = 50000000
    if framing == "length":
        c.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size)
    else:
        c.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % size)
    assert c.response().body == b"early"
    body, sent, start = b"b" * 262144, 0, time.monotonic()
    while not proxy.access() and time.monotonic() - start < 6:
        sent += send_what_fits(c, body)
    assert len(proxy.access(1)) == 1
    gate.open()
    try:
        c.stream.rest()
    except Broken:
        pass
    until(lambda: b.conns[0].ended.is_set(), "the backend connection to end")


def test_backend_that_stops_in_the_body_while_the_client_reads(lb, backend, client):
    gate = Gate()

    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
        gate.wait()
    proxy = lb([backend(script)], pool=SHORT)
    with pytest.raises(Broken):
        client(proxy).ask()
    gate.open()
    assert proxy.access(1)[0]["end"] in ("backend_slow", "backend_broke_off")


def test_both_stop(lb, backend, client):
    """An upload and a download under way at once, then silence on both sides."""
    gate = Gate()

    def script(conn):
        conn.head()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
        gate.wait()
    proxy = lb([backend(script)], pool=SHORT, listener=CLIENT)
    c = client(proxy).send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nhalf")
    with pytest.raises(Broken):
        c.response()
    gate.open()
    assert len(proxy.access(1)) == 1


def test_client_silent_behind_an_early_answer(lb, backend, client):
    """It has its answer, and sends no more of its body: the connection ends."""
    def script(conn):
        conn.head()
        conn.answer(b"early")
        conn.closed()
    proxy = lb([backend(script)], pool=SHORT, listener=CLIENT)
    c = client(proxy).send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nhalf")
    assert c.response().body == b"early"
    assert c.stream.rest() == b""
    record = proxy.access(1)[0]
    assert record["status"] == 200


def test_upload_slower_than_every_backend_timeout(lb, backend, client):
    """While the client keeps sending, no clock of the backend runs out."""
    b = backend()
    proxy = lb([b], pool=SHORT, listener="body_timeout = 2s\n")
    c = client(proxy).send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n")
    for _ in range(9):
        time.sleep(0.1)  # a client that is slow, not a test that waits
        c.send(b"x")
    assert c.response().status == 200


def test_response_read_slower_than_every_backend_timeout(lb, backend, client):
    """The backend is done long before the client: that is nobody's fault."""
    def script(conn):
        conn.request()
        conn.answer(b"z" * 3000000)
    proxy = lb([backend(script)], pool=SHORT, listener="send_timeout = 2s\n")
    c = client(proxy, rcvbuf=4096).request()
    got = 0
    for _ in range(8):
        time.sleep(0.1)  # a reader that is slow
        got += len(c.sock.recv(20000))
    c.sock.settimeout(10)
    while got < 3000000:
        data = c.sock.recv(1 << 18)
        assert data
        got += len(data)


@pytest.mark.parametrize("limit", [1, 3])
@pytest.mark.plain_only("front: who is not accepted cannot shake hands")
def test_max_connections(lb, backend, client, limit):
    """One more than allowed is not served until another leaves, and then it is."""
    proxy = lb([backend()], top=f"max_connections = {limit}\n")
    first = [client(proxy) for _ in range(limit)]
    assert all(c.ask().status == 200 for c in first)
    more = client(proxy).request()
    for c in first:
        assert c.ask().status == 200
    assert not more.stream.buf
    first[0].close()
    assert more.response().status == 200


def test_too_few_descriptors(evenkeel, backend, client, tool):
    """More clients than descriptors: no spin, no crash, and all are served in turn."""
    proxy = evenkeel(ini([backend()]), prefix=(tool("prlimit"), "--nofile=128:128"))
    clients = [client(proxy).request(fields=["Connection: close"]) for _ in range(120)]
    for c in clients:
        assert c.response().status == 200
        c.close()
    assert client(proxy).ask().status == 200
