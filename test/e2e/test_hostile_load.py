"""Many at once, and little at a time: bounded memory, nobody starves, all is counted."""
import collections
import resource
import threading

import pytest

from harness import Client, Gate, ini, metrics, until

MB = 1 << 20


@pytest.fixture
def raise_nofile():
    """raise_nofile(n) -> this process may open n files; skips where it may not."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)

    def up(count):
        if before[1] != resource.RLIM_INFINITY and before[1] < count:
            pytest.skip(f"at most {before[1]} open files")
        if before[0] < count:
            resource.setrlimit(resource.RLIMIT_NOFILE, (count, before[1]))
    yield up
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def in_threads(count, work):
    """Runs work(i) in `count` threads; raises the first error."""
    errors = []

    def guarded(i):
        try:
            work(i)
        except BaseException as e:
            errors.append(e)
    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]


@pytest.mark.plain_only("back: the first handshake of a process takes more under a sanitizer")
def test_one_byte_chunks_up_while_the_backend_does_not_read(lb, backend, client):
    """A hundred thousand one-byte chunks, the sizes padded: memory stays bounded."""
    gate = Gate()

    def script(conn):
        m = conn.head()
        gate.wait()
        conn.answer(str(len(conn.body(m).body)).encode())
    proxy = lb([backend(script, rcvbuf=4096)])
    c = client(proxy)
    start = proxy.rss_bytes()
    c.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
    piece, sent = b"00000001\r\nx\r\n", 0
    c.sock.settimeout(0)
    data = piece * 100000
    try:
        while sent < len(data):
            sent += c.sock.send(data[sent:sent + MB])
    except BlockingIOError:
        pass  # backpressure: what should happen
    assert proxy.rss_bytes() - start < 4 * MB
    gate.open()
    c.send(data[sent:] + b"0\r\n\r\n")
    assert c.response().body == b"100000"
    assert proxy.rss_bytes() - start < 4 * MB


@pytest.mark.plain_only("back: the first handshake of a process takes more under a sanitizer")
def test_one_byte_chunks_down_while_the_client_does_not_read(lb, backend, client):
    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        data = b"1\r\ny\r\n" * 10000
        for _ in range(20):
            conn.send(data)
        conn.send(b"0\r\n\r\n")
    proxy = lb([backend(script)])
    c = client(proxy, rcvbuf=4096)
    start = proxy.rss_bytes()
    c.request()
    until(lambda: proxy.access() or c.stream.buf or c.sock.recv(1, 2), "first bytes")
    assert proxy.rss_bytes() - start < 4 * MB
    assert len(c.response().body) == 200000
    assert proxy.rss_bytes() - start < 4 * MB


def test_pipelined_answers_for_a_client_that_never_reads(lb, backend, client):
    """Large answers to small requests: the proxy stops taking requests instead of memory."""
    def script(conn):
        while True:
            conn.request()
            conn.answer(b"z" * 100000)
    b = backend(script)
    proxy = lb([b])
    assert client(proxy).ask().status == 200
    start = proxy.rss_bytes()
    c = client(proxy, rcvbuf=4096)
    c.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n" * 1000)
    assert client(proxy).ask().status == 200
    assert proxy.rss_bytes() - start < 4 * MB
    assert len(b.requests) < 200
    c.reset()


@pytest.mark.plain_only("front: its limit is that of plain connections; test_tls_handshake.py has one")
@pytest.mark.plain_only("back: a sanitizer keeps what OpenSSL frees, and that is a lot")
def test_two_thousand_idle_connections(lb, backend, client, raise_nofile):
    """They cost little, and nobody behind them waits."""
    raise_nofile(4600)
    proxy = lb([backend()], workers=2)
    assert client(proxy).ask().status == 200
    start = proxy.rss_bytes()
    idle = [client(proxy) for _ in range(2000)]
    for c in idle[::10]:
        c.request()
    assert all(c.response().status == 200 for c in idle[::10])
    assert client(proxy).ask().status == 200
    assert proxy.rss_bytes() - start < 64 * MB  # sanitizers included
    for c in idle:
        c.close()
    assert client(proxy).ask(target="/end").status == 200
    assert len(proxy.access(203)) == 203


def test_slow_heads_do_not_hold_others_up(lb, backend, client):
    """300 clients in the middle of a head, one works."""
    proxy = lb([backend()], listener="header_timeout = 400ms\n")
    slow = [client(proxy).send(b"GET / HTTP/1.1\r\nHo") for _ in range(300)]
    for _ in range(20):
        assert client(proxy).ask().status == 200
    assert {c.response().status for c in slow} == {408}
    assert collections.Counter(r["status"] for r in proxy.access(320)) == {200: 20, 408: 300}


@pytest.mark.parametrize("phase", ["request line", "field", "body", "chunk line", "trailer"])
def test_drips_are_bounded_in_every_phase(lb, backend, client, phase):
    """A byte now and then does not keep a head alive; a silent body ends by its gap."""
    starts = {"request line": b"GET /", "field": b"GET / HTTP/1.1\r\nHost: h\r\nX: ",
              "body": b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nx",
              "chunk line": b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1",
              "trailer": b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX"}
    proxy = lb([backend()], listener="header_timeout = 200ms\nbody_timeout = 200ms\n")
    c = client(proxy).send(starts[phase])
    assert c.response().status == 408
    assert c.stream.rest() == b""
    record = proxy.access(1)[0]
    assert (record["status"], record["end"]) == (408, "client_slow")


def test_an_unfinished_chunk_line_cannot_drip_for_ever(lb, backend, client):
    """An endless extension, and endless trailers, are cut by size, not only by time."""
    b = backend()
    proxy = lb([b])
    for start, piece in ((b"1;", b"e" * 1000), (b"0" * 1000, b"0" * 1000),
                         (b"0\r\n", b"X: " + b"t" * 1000 + b"\r\n")):
        c = client(proxy)
        c.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + start)
        try:
            for _ in range(2000):
                c.send(piece)
        except OSError:
            pass
        rest = c.stream.rest()
        assert rest == b"" or rest.startswith(b"HTTP/1.1 4"), rest[:80]
        assert rest == b"" or b"200 OK" not in rest
    assert len(proxy.access(3)) == 3


def test_churn_leaves_nothing_behind(lb, backend, client):
    """Three hundred connections, each ended in another way; then all is zero."""
    proxy = lb([backend()], workers=2, admin=True)

    def one(i):
        for k in range(12):
            c = Client(proxy.port)
            way = (i + k) % 6
            if way == 0:
                c.ask()
            elif way == 1:
                c.request()
            elif way == 2:
                c.send(b"GET / HT")
            elif way == 3:
                c.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n12")
            elif way == 4:
                c.ask(fields=["Connection: close"])
            (c.reset if k % 2 else c.close)()
    in_threads(25, one)
    last = client(proxy)
    assert last.ask().status == 200

    def settled():
        with Client(proxy.admin_port) as c:
            f = metrics.parse(c.ask(target="/metrics").body.decode())
        return f["evenkeel_backend_inflight"].total() == 0 and \
            f["evenkeel_connections"].total(side="client") == 1
    until(settled, "one client connection, nothing in flight")


def test_rotation_is_exact_under_concurrency(evenkeel, backend):
    """Weights 3:2:1 over three workers and twelve clients at once: not one off by more."""
    b = [backend(name=n) for n in "abc"]
    lines = [f"{x.address} name={x.name} weight={w}" for x, w in zip(b, (3, 2, 1))]
    proxy = evenkeel(ini(lines, workers=3))
    got = collections.Counter()
    lock = threading.Lock()

    def work(_):
        with Client(proxy.port) as c:
            for _ in range(50):
                body = c.ask().body.decode()
                with lock:
                    got[body] += 1
    in_threads(12, work)
    assert got == {"a": 300, "b": 200, "c": 100}


def test_failed_attempts_take_their_turn(evenkeel, backend, client, free_port):
    """A dead backend gets its exact share of 502s without retries and ejection."""
    b = backend()
    proxy = evenkeel(ini([b, f"127.0.0.1:{free_port()}"], pool="retry_attempts = 0\neject_failures = 0\n"))
    c = client(proxy)
    assert collections.Counter(c.ask().status for _ in range(40)) == {200: 20, 502: 20}


@pytest.mark.parametrize("workers, keep", [(1, 1), (2, 4), (3, 6), (4, 2)])
def test_keepalive_over_all_workers(lb, backend, client, workers, keep):
    """Idle connections of a backend: never more than its share, at least one a worker."""
    gate = Gate()

    def script(conn):
        while True:
            conn.request()
            gate.wait()
            conn.answer(b"x")
    b = backend(script)
    proxy = lb([b], workers=workers, pool=f"keepalive = {keep}\n")
    clients = [client(proxy).request() for _ in range(24)]
    b.wait_requests(24)
    gate.open()
    assert all(c.response().body == b"x" for c in clients)
    limit = max(keep, workers)
    until(lambda: sum(not c.ended.is_set() for c in b.conns) <= limit,
          lambda: f"at most {limit} idle: {sum(not c.ended.is_set() for c in b.conns)}")
    assert sum(not c.ended.is_set() for c in b.conns) >= 1


def test_keepalive_zero_keeps_nothing(lb, backend, client):
    b = backend()
    proxy = lb([b], pool="keepalive = 0\n")
    c = client(proxy)
    for _ in range(5):
        assert c.ask().body == b"b0"
    until(lambda: len(b.conns) == 5 and all(x.ended.is_set() for x in b.conns),
          "five connections, all closed")
