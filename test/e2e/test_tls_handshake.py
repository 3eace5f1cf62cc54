"""TLS streams in pieces, cut, stalled, broken and closed in every way; from clients."""
import random
import signal
import socket
import ssl
import struct
import threading
import time

import pytest

from harness import Client, Gate, tls, until
from harness.flow import BLOCK, digest_of, receive_stream, send_stream
from harness.health import scrape
from harness.tls import Secured
from harness.wire import Broken
from secure import (ALERT, DATA, V12, V13, VERSIONS, Talk, context,
                    handshakes, hello, knock, lines, only, records, secured)

pytestmark = pytest.mark.plain_only("speaks TLS itself")
GET = b"GET / HTTP/1.1\r\nHost: lb.test\r\n\r\n"
MB = 1 << 20


@pytest.fixture
def front(lb, backend, pki):
    """front(**ini options) -> an Evenkeel that takes TLS, and its backend as .b"""
    def make(listener="", script=None, **more):
        b = backend(script, deadline_s=90)
        proxy = lb([b], listener=lines(pki.usual()) + listener, **more)
        proxy.b = b
        return proxy
    return make


def dial(proxy):
    s = socket.create_connection(("127.0.0.1", proxy.port), 10)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def abort(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def drained(sock):
    """All there is until the end; resets are ends."""
    got = b""
    try:
        while data := sock.recv(65536):
            got += data
    except ConnectionError:
        pass
    return got


def serves(proxy):
    with knock(proxy, context()) as c:
        assert c.ask().status == 200


def quiet(proxy, deadline_s=10):
    """Waits until evenkeel holds no client any more, the scrape's own left out."""
    until(lambda: scrape(proxy)["evenkeel_connections"].total(side="client") == 0,
          "no client connection", deadline_s)


# --- cut ---------------------------------------------------------------------------------

@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("version", VERSIONS)
def test_client_hello_cut_at_every_byte(front, how, version):
    """No answer but an alert, no record, nothing left; the next client is served."""
    proxy = front(admin=True)
    first = hello(version={"1.2": V12, "1.3": V13}[version])
    for at in range(len(first)):
        s = dial(proxy)
        s.sendall(first[:at])
        if how == "rst":
            abort(s)
            continue
        s.shutdown(socket.SHUT_WR)
        got = drained(s)
        assert all(kind == ALERT for kind, _ in records(got)), (at, got[:80])
        s.close()
    serves(proxy)
    quiet(proxy)
    assert len(proxy.access(1)) == 1 and len(proxy.b.conns) == 1


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_a_whole_hello_and_the_end(front, pki, how):
    """What evenkeel would have answered is nothing for the clients after it."""
    proxy = front(workers=1)
    first, ctx = hello(), context(pki)
    for _ in range(40):
        s = dial(proxy)
        s.sendall(first)
        if how == "rst":
            abort(s)
        else:
            s.shutdown(socket.SHUT_WR)
        with knock(proxy, ctx) as c:
            assert c.ask().status == 200
        s.close()
    assert len(proxy.access(40)) == 40


class Recorder:
    """Notes what a client sends, flight by flight."""

    def __init__(self, sock):
        self._sock, self.sent = sock, b""

    def __getattr__(self, name):
        return getattr(self._sock, name)

    def send(self, data):
        n = self._sock.send(data)
        self.sent += data[:n]
        return n


class Tripped(Exception):
    """The client has sent what it was allowed to."""


class Limited(Recorder):
    """Sends only the first `limit` bytes of all that the client wants to."""

    def __init__(self, sock, limit):
        super().__init__(sock)
        self.limit = limit

    def send(self, data):
        n = min(len(data), self.limit - len(self.sent))
        if n:
            self._sock.sendall(data[:n])
            self.sent += data[:n]
        if len(self.sent) >= self.limit:
            raise Tripped
        return n


def size_of_opening(proxy, ctx):
    """Bytes a client sends for the handshake, and with a request after it."""
    seen = Recorder(dial(proxy))
    s = Secured(seen, ctx)
    whole = len(seen.sent)
    s.sendall(GET)
    both = len(seen.sent)
    assert s.recv(12) == b"HTTP/1.1 200"
    s.close()
    return whole, both


@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("version", VERSIONS)
def test_opening_cut_behind_the_hello(front, pki, how, version):
    """The second flight, and the request itself, cut at every byte."""
    proxy = front(admin=True)
    ctx = only(pki, version)
    whole, both = size_of_opening(proxy, ctx)
    for limit in range(len(hello()) // 2, both):
        raw = dial(proxy)
        s = Limited(raw, limit)
        with pytest.raises((Tripped, tls.Cut, ssl.SSLError)):
            made = Secured(s, ctx)
            made.sendall(GET)
        raw.setblocking(True)
        raw.settimeout(10)
        if how == "rst":
            abort(raw)
            continue
        raw.shutdown(socket.SHUT_WR)
        drained(raw)
        raw.close()
    serves(proxy)
    quiet(proxy)
    # Not one request was whole but that of the measurement and the last one.
    assert len(proxy.b.requests) == 2
    assert whole < both


# --- slow, idle ----------------------------------------------------------------------------

def test_silent_clients(front):
    """No handshake within header_timeout: the end, and nothing in the access log."""
    proxy = front(listener="header_timeout = 300ms\n", admin=True)
    failed = handshakes(proxy, "client", "failed")
    start = time.monotonic()
    silent, half = dial(proxy), dial(proxy)
    half.sendall(hello()[:50])
    drained(silent), drained(half)
    assert 0.25 < time.monotonic() - start < 5
    assert not proxy.access()
    # One that never said a word did not begin one.
    assert handshakes(proxy, "client", "failed") == failed + 1
    serves(proxy)


def test_a_dripping_hello(front):
    """A byte now and then does not extend the time."""
    proxy = front(listener="header_timeout = 500ms\n")
    s, first, start = dial(proxy), hello(), time.monotonic()
    s.settimeout(0.02)
    ended, at = False, 0
    while not ended:
        assert time.monotonic() - start < 5
        try:
            if at < len(first) - 1:
                s.send(first[at:at + 1])
                at += 1
            ended = not s.recv(100)
        except TimeoutError:
            pass
        except ConnectionError:
            ended = True
    assert 0.4 < time.monotonic() - start < 5
    serves(proxy)


def test_a_stalled_second_flight(front, pki):
    proxy = front(listener="header_timeout = 300ms\n")
    for version in VERSIONS:
        raw = dial(proxy)
        with pytest.raises(Tripped):
            Secured(Limited(raw, len(hello(version=VERSIONS[version])) + 1), only(pki, version))
        raw.settimeout(10)
        start = time.monotonic()
        drained(raw)
        assert time.monotonic() - start < 5
    assert not proxy.b.conns


def test_header_timeout_counts_from_the_handshake_at_most(front, pki):
    """A slow head after a quick handshake: 408, over TLS, with a record."""
    proxy = front(listener="header_timeout = 400ms\n")
    with knock(proxy, context(pki)) as c:
        c.send(GET[:10])
        assert c.response().status == 408
        assert c.at_end()  # in order, with close_notify
    assert proxy.access(1)[0]["end"] == "client_slow"


@pytest.mark.parametrize("earlier", [0, 1])
def test_a_dripping_record(front, pki, earlier):
    """A head in a record that takes too long is a slow head, also on a kept connection."""
    proxy = front(listener="header_timeout = 500ms\n")
    raw = dial(proxy)
    seen = Limited(raw, 1 << 20)
    s = Secured(seen, context(pki)).settle()
    for _ in range(earlier):
        s.sendall(GET)
        assert s.recv(12) == b"HTTP/1.1 200"
    seen.limit = 0
    s.tls.write(GET)
    record = s._out.read()
    assert len(record) > len(GET)
    raw.setblocking(True)
    raw.settimeout(0.02)
    ended, at, start = False, 0, time.monotonic()
    while not ended:
        assert time.monotonic() - start < 5
        try:
            if at < len(record) - 1 and time.monotonic() - start > at * 0.05:
                raw.send(record[at:at + 1])
                at += 1
            data = raw.recv(100)
            ended = not data
        except TimeoutError:
            pass
        except ConnectionError:
            ended = True
    assert 0.3 < time.monotonic() - start
    serves(proxy)


def test_idle_connections_end_in_order(front, pki):
    proxy = front(listener="idle_timeout = 300ms\n")
    with knock(proxy, context(pki)) as c:
        assert c.ask().status == 200
        assert c.at_end()
    assert len(proxy.access(1)) == 1


def test_idle_before_the_first_request(front, pki):
    """A handshake is no request: the end without a record."""
    proxy = front(listener="header_timeout = 300ms\nidle_timeout = 300ms\n")
    with knock(proxy, context(pki)) as c:
        rest = c.stream.rest()
        assert not rest or rest.startswith(b"HTTP/1.1 408")
    serves(proxy)
    assert [r["status"] for r in proxy.access(1) if r["status"] == 200] == [200]


# --- garbage -------------------------------------------------------------------------------

def garbage(dice):
    """Something that is no ClientHello, or one that was spoiled."""
    first = bytearray(hello())
    kind = dice.randrange(8)
    if kind == 0:
        return dice.randbytes(dice.randrange(1, 3000))
    if kind == 1:  # a record of a wrong type
        return bytes([dice.randrange(256), 3, 3]) + dice.randbytes(2) + dice.randbytes(200)
    if kind == 2:  # a handshake record with nonsense in it
        body = dice.randbytes(dice.randrange(1, 500))
        return b"\x16\x03\x01" + struct.pack(">H", len(body)) + body
    if kind == 3:  # too large for a record
        return b"\x16\x03\x01" + struct.pack(">H", dice.randrange(16641, 65536)) + \
            dice.randbytes(100)
    if kind == 4:  # spoiled bytes
        for _ in range(dice.randrange(1, 20)):
            first[dice.randrange(len(first))] = dice.randrange(256)
    elif kind == 5:  # a length that lies
        first[dice.choice([3, 4, 6, 7, 8])] = dice.randrange(256)
    elif kind == 6:  # SSLv2's form
        return b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10" + dice.randbytes(100)
    else:  # alerts, application data, empty records before anything
        return b"".join(bytes([dice.choice([20, 21, 22, 23, 24]), 3, 3]) +
                        struct.pack(">H", n) + dice.randbytes(n)
                        for n in [dice.choice([0, 0, 1, 2, 5, 40]) for _ in range(50)])
    return bytes(first)


@pytest.mark.parametrize("seed", range(4))
def test_garbage(front, seed):
    """Whatever comes: an alert, a readable 400 or an end; never a crash or a request."""
    proxy = front(listener="header_timeout = 500ms\n", admin=True)
    dice = random.Random(f"garbage {seed}")
    held = []
    for _ in range(150):
        s = dial(proxy)
        data = garbage(dice)
        try:
            s.sendall(data)
            how = dice.randrange(4)
            if how == 0:
                abort(s)
                continue
            if how == 1:
                s.shutdown(socket.SHUT_WR)
                got = drained(s)
                assert got[:1] in (b"", b"\x15", b"\x16", b"H"), (data[:100], got[:100])
                s.close()
                continue
        except ConnectionError:
            s.close()
            continue
        held.append(s)
    serves(proxy)
    for s in held:
        s.close()
    quiet(proxy)
    assert len(proxy.b.requests) == 1


def test_garbage_after_the_handshake(front, pki):
    """A record that cannot be opened ends the connection at once."""
    proxy = front(admin=True)
    for spoil in (b"\x17\x03\x03\x00\x20" + b"x" * 32, b"\x17\x03\x03\xff\xff" + b"x" * 100,
                  b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", b"\x16\x03\x03\x00\x04\x01\x00\x00\x00",
                  b"\x17\x03\x03\x00\x00", b"\x15\x03\x03\x00\x02\x02\x28", b"\0" * 20,
                  b"\x18\x03\x03\x00\x03\x01\x40\x00"):
        for version in VERSIONS:
            c = knock(proxy, only(pki, version))
            assert c.ask().status == 200
            raw = c.sock._sock
            raw.setblocking(True)
            raw.settimeout(10)
            try:
                raw.sendall(spoil)
            except ConnectionError:
                pass
            got = drained(raw)
            assert all(kind in (ALERT, DATA) for kind, _ in records(got)), (spoil, got[:80])
            raw.close()
    serves(proxy)
    quiet(proxy)


def test_empty_records_without_end(front, pki):
    """They cost the sender a connection, not evenkeel its time."""
    proxy = front(admin=True)
    c = knock(proxy, only(pki, "1.2"))
    raw = c.sock._sock
    raw.setblocking(True)
    raw.settimeout(10)
    try:
        for _ in range(200):
            raw.sendall(b"\x17\x03\x03\x00\x00" * 1000)
    except (ConnectionError, TimeoutError):
        pass
    serves(proxy)
    raw.close()
    quiet(proxy)


# --- fragments -------------------------------------------------------------------------------

class Splitting(Recorder):
    """Handshake messages in records of `size` bytes; each `segment` bytes a send."""

    def __init__(self, sock, size, segment=None):
        super().__init__(sock)
        self.size, self.segment, self.first = size, segment, True

    def send(self, data):
        out = data
        if self.first:  # the ClientHello, which is not yet encrypted
            out, self.first = b"".join(
                bytes([kind]) + data[1:3] + struct.pack(">H", len(body[i:i + self.size])) +
                body[i:i + self.size]
                for kind, body in records(bytes(data)) for i in range(0, len(body), self.size)
            ), False
        step = self.segment or len(out)
        for i in range(0, len(out), step):
            self._sock.sendall(out[i:i + step])
        return len(data)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("size, segment", [(1, None), (1, 1), (7, 3), (100, 1), (1 << 14, 1)])
def test_fragmented_hello(front, pki, version, size, segment):
    """RFC 8446 5.1: a handshake message may come in records of one byte."""
    proxy = front()
    raw = dial(proxy)
    s = Secured(Splitting(raw, size, segment), only(pki, version))
    s.settimeout(10)
    s.sendall(GET)
    assert s.recv(12) == b"HTTP/1.1 200"
    s.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_byte_a_record(front, pki, version):
    """Requests and bodies in records of one byte of text each."""
    proxy = front(script=echoes)
    with knock(proxy, only(pki, version)) as c:
        data = GET.replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\nContent-Length: 300\r\n\r\n")
        for byte in data + b"z" * 300:
            c.sock.send(bytes([byte]))
        r = c.response()
        assert r.status == 200 and r.body == b"z" * 300


@pytest.mark.parametrize("version", VERSIONS)
def test_records_in_one_segment(front, pki, version):
    """Two hundred records, five pipelined requests, in one send."""
    proxy = front()
    with knock(proxy, only(pki, version)) as c:
        with c.sock._lock:
            for byte in GET * 5:
                c.sock.tls.write(bytes([byte]))
        c.sock._flush(time.monotonic() + 10)
        assert [c.response().status for _ in range(5)] == [200] * 5


def test_segments_of_one_byte(front, pki):
    """The sealed bytes, one a segment."""
    proxy = front(script=echoes)
    raw = dial(proxy)
    s = Secured(Splitting(raw, 1 << 14, 1), context(pki))
    s.settimeout(10)
    s.sendall(GET.replace(b"GET", b"PUT").replace(b"\r\n\r\n", b"\r\nContent-Length: 9\r\n\r\n")
              + b"123456789")
    got = b""
    while not got.endswith(b"123456789"):
        got += s.recv(1000)
    s.close()


def echoes(conn):
    while True:
        conn.answer(conn.request().body)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("size", [16383, 16384, 16385, 32768, 100000])
def test_full_records(front, pki, version, size):
    """Bodies about the size of a record, whole and in order."""
    proxy = front(script=echoes)
    with knock(proxy, only(pki, version)) as c:
        body = (BLOCK * 2)[:size]
        for _ in range(3):
            r = c.ask("POST", body=body)
            assert r.status == 200 and r.body == body


def test_mixed_sizes_at_random(front, pki):
    """Random cuts of requests into records and of records into segments."""
    proxy, dice = front(script=echoes), random.Random("cuts")
    with knock(proxy, context(pki)) as c:
        for n in range(40):
            body = dice.randbytes(dice.choice([0, 1, 100, 5000, 70000]))
            data = b"POST /%d HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % (n, len(body))
            data += body
            while data:
                piece = dice.choice([1, 2, 9, 1000, 16384])
                with c.sock._lock:
                    c.sock.tls.write(data[:piece])
                data = data[piece:]
                if dice.random() < 0.2:
                    sealed = c.sock._out.read()
                    for i in range(0, len(sealed), 701):
                        c.sock._sock.setblocking(True)
                        c.sock._sock.sendall(sealed[i:i + 701])
                    c.sock._sock.setblocking(False)
            c.sock._flush(time.monotonic() + 10)
            r = c.response()
            assert r.status == 200 and r.body == body


# --- ends ----------------------------------------------------------------------------------

@pytest.mark.parametrize("version", VERSIONS)
def test_half_close(front, pki, version):
    """close_notify after a whole request: it gets its answer, and close_notify back."""
    proxy = front()
    with knock(proxy, only(pki, version)) as c:
        c.request()
        c.half_close()
        assert c.response().status == 200
        assert c.at_end()
    assert proxy.access(1)[0]["end"] == "ok"


@pytest.mark.parametrize("version", VERSIONS)
def test_close_notify_alone(front, pki, version):
    """Without a FIN: the answer comes, and the connection ends all the same."""
    proxy = front()
    c = knock(proxy, only(pki, version))
    c.request()
    c.sock.say_end()
    assert c.response().status == 200
    assert c.at_end()
    c.close()


def test_half_close_before_a_slow_answer(front, backend, pki):
    gate = Gate()

    def script(conn):
        conn.request()
        gate.wait()
        conn.answer(b"at last")
    proxy = front(script=script)
    with knock(proxy, context(pki)) as c:
        c.request()
        c.half_close()
        proxy.b.wait_requests(1)
        gate.open()
        assert c.response().body == b"at last"
        assert c.at_end()


@pytest.mark.parametrize("version", VERSIONS)
def test_fin_without_close_notify(front, pki, version):
    """Before, in the middle of and after requests: no request is taken for whole that is not."""
    proxy = front(admin=True)
    ctx = only(pki, version)
    body = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n12345"
    for sent in (b"", GET[:20], body, GET):
        c = knock(proxy, ctx)
        if sent:
            c.send(sent)
        c.sock._sock.shutdown(socket.SHUT_WR)
        got = c.stream.rest()
        # A whole request is answered, or its client has gone.
        assert not got or got.startswith(b"HTTP/1.1 200" if sent == GET else b"HTTP/1.1 4"), got
        c.close()
    until(lambda: len(proxy.access()) >= 3, "three records")
    serves(proxy)
    quiet(proxy)
    ends = [r["end"] for r in proxy.access(4)]
    assert ends.count("ok") <= 2 and "internal" not in ends


def test_a_body_until_close_is_never_cut_in_order(front, pki):
    """Backend breaks off a chunked answer: no close_notify makes it look whole."""
    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        conn.reset()
    proxy = front(script=script, pool="retry_attempts = 0\n")
    with knock(proxy, context(pki)) as c:
        with pytest.raises(Broken):
            c.ask()
    assert proxy.access(1)[0]["end"] == "backend_broke_off"


def test_http10_body_that_is_cut(front, pki):
    """To an HTTP/1.0 client the end of TLS is the end of the body: only close_notify says so."""
    def script(conn):
        message = conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        if message.target == "/whole":
            conn.send(b"0\r\n\r\n")
        conn.reset() if message.target == "/cut" else conn.closed()
    proxy = front(script=script, pool="retry_attempts = 0\nkeepalive = 0\n")
    for target, whole in (("/whole", True), ("/cut", False)):
        with knock(proxy, context(pki)) as c:
            c.send(b"GET %s HTTP/1.0\r\nHost: h\r\n\r\n" % target.encode())
            got = c.stream.rest()
            assert got.endswith(b"hello") or not whole
            assert c.stream.was_reset is not whole, "a cut that looks like an end"


def test_client_that_resets(front, pki):
    gate = Gate()

    def script(conn):
        conn.request()
        gate.wait()
        conn.answer(b"x" * 100000)
    proxy = front(script=script, admin=True)
    c = knock(proxy, context(pki))
    c.request()
    proxy.b.wait_requests(1)
    c.reset()
    assert proxy.access(1)[0]["end"] == "client_gone"
    gate.open()
    quiet(proxy)


def test_connection_close_ends_in_order(front, pki):
    proxy = front()
    for version in VERSIONS:
        with knock(proxy, only(pki, version)) as c:
            assert c.ask(fields=["Connection: close"]).status == 200
            assert c.at_end()


def test_errors_end_in_order(front, pki):
    """A 400 is read whole although more comes than evenkeel wants."""
    proxy = front()
    with knock(proxy, context(pki)) as c:
        c.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + b"x" * 50000)
        assert c.response().status == 400
        assert c.at_end()


# --- key updates ---------------------------------------------------------------------------

@pytest.mark.parametrize("letter", ["K", "k"])
def test_key_update(front, pki, letter):
    """RFC 8446 4.6.3: with (K) and without (k) asking for one in return."""
    proxy = front(script=echoes)
    with Talk(proxy.port, "-tls1_3", "-CAfile", pki.ca().certificate) as talk:
        talk.hear("Verify return code: .*\n---")
        for n in range(3):
            talk.say(letter.encode() + b"\n").hear("KEYUPDATE")
            talk.say(b"GET /%d HTTP/1.1\r\nHost: lb.test\r\n\r\n" % n).hear("HTTP/1.1 200 OK")
    assert len(proxy.b.requests) == 3


def test_key_updates_without_end(front, pki):
    """Many in a row; the connection lives or ends, the process goes on."""
    proxy = front(admin=True)
    with Talk(proxy.port, "-tls1_3") as talk:
        talk.hear("Verify return code: .*\n---")
        for _ in range(50):
            talk.say(b"K\n").hear("KEYUPDATE")
        talk.say(GET)
        assert talk.hear("HTTP/1.1 200 OK")
    quiet(proxy)


# --- large bodies, slow readers ---------------------------------------------------------------

TOTAL = 24 * MB


@pytest.mark.parametrize("version", VERSIONS)
def test_large_bodies(front, pki, version):
    """Both ways, with checksums, length-framed."""
    result = []

    def script(conn):
        message = conn.head()
        if message.method == "PUT":
            first, conn.stream.buf = conn.stream.buf, b""
            result.append(receive_stream(conn.sock, first, TOTAL))
            conn.answer(b"taken")
        else:
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % TOTAL)
            send_stream(conn.send, TOTAL)
    proxy = front(script=script)
    with knock(proxy, only(pki, version)) as c:
        c.send(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % TOTAL)
        send_stream(c.sock.sendall, TOTAL)
        assert c.response().body == b"taken" and result == [digest_of(TOTAL)]
    with knock(proxy, only(pki, version)) as c:
        c.request()
        head = c.stream.need(lambda b: (b.find(b"\r\n\r\n") + 1) or None) + 3
        first, c.stream.buf = c.stream.buf[head:], b""
        assert receive_stream(c.sock, first, TOTAL) == digest_of(TOTAL)
    records_ = proxy.access(2)
    assert records_[0]["bytes_in"] >= TOTAL and records_[1]["bytes_out"] >= TOTAL


def test_chunked_both_ways(front, pki):
    def script(conn):
        while True:
            body = conn.request().body
            conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for i in range(0, len(body), 7777):
                piece = body[i:i + 7777]
                conn.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            conn.send(b"0\r\n\r\n")
    proxy, body = front(script=script), BLOCK * 5
    with knock(proxy, context(pki)) as c:
        c.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        for i in range(0, len(body), 5001):
            piece = body[i:i + 5001]
            c.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        c.send(b"0\r\n\r\n")
        assert c.response().body == body
        assert c.ask().body == b""


def test_both_directions_at_once(front, pki):
    """An answer that begins before the upload is over."""
    def script(conn):
        conn.head()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % TOTAL)
        sender = threading.Thread(target=send_stream, args=(conn.send, TOTAL))
        sender.start()
        first, conn.stream.buf = conn.stream.buf, b""
        seen.append(receive_stream(conn.sock, first, TOTAL))
        sender.join()
        conn.closed()
    seen = []
    proxy = front(script=script)
    with knock(proxy, context(pki)) as c:
        c.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % TOTAL)
        up = threading.Thread(target=send_stream, args=(c.sock.sendall, TOTAL))
        up.start()
        head = c.stream.need(lambda b: (b.find(b"\r\n\r\n") + 1) or None) + 3
        first, c.stream.buf = c.stream.buf[head:], b""
        assert receive_stream(c.sock, first, TOTAL) == digest_of(TOTAL)
        up.join()
        until(lambda: seen, "the upload")
        assert seen == [digest_of(TOTAL)]


def test_slow_readers_cost_little(front, pki, release_bin):
    """Many that take nothing: what waits for them is bounded."""
    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 * MB))
        send_stream(conn.send, 64 * MB)
    proxy = front(script=script, binary=release_bin)
    first = [knock(proxy, context(pki)) for _ in range(5)]
    for c in first:
        c.request()
        c.stream.need(lambda b: len(b) > 1000)
    before = proxy.rss_bytes()
    for c in first:
        c.close()
    slow = [knock(proxy, context(pki), settle=False) for _ in range(40)]
    for c in slow:
        c.request()
    for c in slow:
        assert c.sock.recv(100)
    until(lambda: len(proxy.b.conns) >= 45, "all at the backend")
    stable = []

    def same():
        stable.append(proxy.rss_bytes())
        return len(stable) > 20 and max(stable[-20:]) - min(stable[-20:]) < MB
    until(same, "a steady size", every_s=0.02)
    assert (proxy.rss_bytes() - before) / len(slow) < 512 * 1024
    for c in slow:
        c.close()


def test_send_timeout(front, pki):
    """A client that reads nothing is dropped in time; TLS does not hide it."""
    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 * MB))
        send_stream(conn.send, 64 * MB)
    proxy = front(listener="send_timeout = 300ms\n", script=script)
    c = Client(proxy.port, rcvbuf=4096, secure=secured(context(pki), settle=False))
    c.request()
    assert proxy.access(1)[0]["end"] in ("client_slow", "client_gone")
    c.close()


# --- many --------------------------------------------------------------------------------------

def broken_off(proxy, n):
    """One of the ways to leave a handshake."""
    s = dial(proxy)
    if n % 4 == 0:
        s.sendall(hello())
        abort(s)
    elif n % 4 == 1:
        s.sendall(hello()[:100])
        s.close()
    elif n % 4 == 2:
        s.sendall(hello())
        s.recv(10)
        s.close()
    else:
        s.sendall(b"\x16\x03\x01\x00\x05hello")
        drained(s)
        s.close()


def test_a_thousand_aborted_handshakes(front, release_bin):
    """They leave neither memory nor descriptors behind."""
    proxy = front(admin=True, binary=release_bin)
    serves(proxy)

    def round_of(count):
        for n in range(count):
            broken_off(proxy, n)
        quiet(proxy)
        return proxy.rss_bytes(), proxy.open_files()
    rss, files = round_of(200)
    after, now = round_of(1000)
    assert after - rss < MB, f"{(after - rss) / 1024:.0f} KB more"
    assert abs(now - files) <= 1
    assert handshakes(proxy, "client", "failed") > 500
    serves(proxy)


def test_aborted_handshakes_leak_nothing(front):
    """The same under the leak checker, whose word comes at the end."""
    proxy = front(admin=True)
    for n in range(400):
        broken_off(proxy, n)
    serves(proxy)
    quiet(proxy)


def test_idle_connections(front, pki, release_bin):
    """Two hundred idle ones: they live, cost little, and serve."""
    proxy = front(binary=release_bin, admin=True)
    ctx = context(pki)
    crowd = [knock(proxy, ctx) for _ in range(20)]
    for c in crowd:
        assert c.ask().status == 200
    before = proxy.rss_bytes()
    more = [knock(proxy, ctx) for _ in range(200)]
    for c in more:
        assert c.ask().status == 200
    assert (proxy.rss_bytes() - before) / len(more) < 60 * 1024
    for c in crowd + more:
        assert c.ask().status == 200
        c.close()
    quiet(proxy)


@pytest.mark.threaded
@pytest.mark.parametrize("workers", [2, 4])
def test_many_clients(front, pki, workers):
    """Handshakes, requests, resumptions and ends of all kinds, in threads."""
    proxy = front(workers=workers, script=echoes, admin=True)
    ctx = context(pki)
    errors = []

    def visit(seed):
        dice, session = random.Random(seed), None
        try:
            for n in range(12):
                c = knock(proxy, ctx, session=session)
                body = dice.randbytes(dice.choice([1, 1000, 40000]))
                for _ in range(dice.randrange(1, 4)):
                    r = c.ask("POST", body=body)
                    assert r.status == 200 and r.body == body
                if dice.random() < 0.7:
                    session = c.sock.tls.session
                (c.close, c.reset, c.sock._sock.close)[n % 3]()
        except BaseException as e:
            errors.append(e)
    crowd = [threading.Thread(target=visit, args=(i,)) for i in range(8)]
    for t in crowd:
        t.start()
    for t in crowd:
        t.join()
    assert not errors, errors[:3]
    quiet(proxy)
    assert handshakes(proxy, "client", "full") + handshakes(proxy, "client", "resumed") == 96


def test_upgrade_over_tls(front, pki):
    """A tunnel after 101, with half-close; a lot of data at once both ways."""
    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        while True:
            if not conn.stream.buf and not conn.stream.fill(time.monotonic() + 10):
                break
            data, conn.stream.buf = conn.stream.buf, b""
            conn.send(data)
        conn.half_close()
    proxy = front(script=script)
    with knock(proxy, context(pki)) as c:
        c.request(fields=["Connection: Upgrade", "Upgrade: x"])
        assert c.response().status == 101
        data = BLOCK * 64
        sender = threading.Thread(target=lambda: (c.sock.sendall(data), c.half_close()))
        sender.start()
        assert c.stream.rest() == data
        assert not c.stream.was_reset
        sender.join()


def test_client_cut_in_a_tunnel(front, pki):
    """No close_notify from the client: the backend is not told of an orderly end of data."""
    seen = []

    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        seen.append(conn.stream.rest())
    proxy = front(script=script)
    c = knock(proxy, context(pki))
    c.request(fields=["Connection: Upgrade", "Upgrade: x"])
    assert c.response().status == 101
    c.send(b"some words")
    c.sock._sock.close()
    until(lambda: seen, "the end at the backend")
    assert seen == [b"some words"]
    assert proxy.access(1)[0]["status"] == 101


def test_expect_continue_over_tls(front, pki):
    def script(conn):
        m = conn.head()
        conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        conn.answer(conn.body(m).body)
        conn.closed()
    with knock(front(script=script), context(pki)) as c:
        c.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        c.stream.need(lambda b: b"100 Continue\r\n\r\n" in b)
        c.send(b"abc")
        r = c.response()
        assert r.status == 200 and r.body == b"abc" and r.interim[0].status == 100


def test_graceful_stop(front, pki):
    """A request under way is answered, the end is in order, idle ones end in order."""
    gate = Gate()

    def script(conn):
        conn.request()
        gate.wait()
        conn.answer(b"done")
    proxy = front(script=script)
    busy, idle = knock(proxy, context(pki)), knock(proxy, context(pki))
    busy.request()
    proxy.b.wait_requests(1)
    proxy.signal(signal.SIGTERM)
    assert idle.at_end()
    gate.open()
    assert busy.response().body == b"done"
    assert busy.at_end()
    assert proxy.wait() == 0
