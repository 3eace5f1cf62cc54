"""The other ways to balance, limits of backends, and the queue before them."""
import collections
import socket
import threading
import time

import pytest

from harness import Client, Gate, until


def named(b, *options):
    return " ".join([b.address, f"name={b.name}", *options])


def held(backend, count, **more):
    """`count` backends that answer with their name when their gate opens."""
    made = []
    for _ in range(count):
        gate = Gate()

        def script(conn, gate=gate):
            while True:
                conn.request()
                gate.wait(30)
                conn.answer(conn.backend.name.encode())
        made.append(backend(script, **more))
        made[-1].gate = gate
    return made


def keys(proxy, names, field):
    """Which backend each key leads to."""
    with Client(proxy.port) as c:
        return {n: c.ask(fields=[f"{field}{n}"]).body.decode() for n in names}


@pytest.mark.parametrize("balance, most", [("least_connections", 1), ("random_two", 16)])
def test_requests_in_flight_stay_level(lb, backend, client, balance, most):
    b = held(backend, 2)
    proxy = lb(b, pool=f"balance = {balance}\n")
    for n in range(1, 41):
        client(proxy).request()
        until(lambda n=n: len(b[0].requests) + len(b[1].requests) == n, "a request")
    assert abs(len(b[0].requests) - len(b[1].requests)) <= most
    for x in b:
        x.gate.open()


def test_least_connections_looks_at_weights(lb, backend, client):
    b = held(backend, 2)
    proxy = lb([named(b[0], "weight=3"), named(b[1])], pool="balance = least_connections\n")
    for n in range(1, 13):
        client(proxy).request()
        until(lambda n=n: len(b[0].requests) + len(b[1].requests) == n, "a request")
    assert (len(b[0].requests), len(b[1].requests)) == (9, 3)
    for x in b:
        x.gate.open()


def test_idle_pool_rotates_with_least_connections(lb, backend):
    proxy = lb([backend() for _ in range(3)], pool="balance = least_connections\n")
    with Client(proxy.port) as c:
        assert collections.Counter(c.ask().body for _ in range(30)) == {
            b"b0": 10, b"b1": 10, b"b2": 10}


@pytest.mark.parametrize("hash_on, field", [("header:X-Key", "X-Key: "), ("cookie:k", "Cookie: a=b; k=")])
def test_hash_is_stable_and_moves_little(lb, backend, hash_on, field):
    b = [backend(name=f"n{i}") for i in range(5)]
    options = f"balance = hash\nhash_on = {hash_on}\n"
    names = [f"user{i}" for i in range(200)]
    proxy = lb([named(x) for x in b], pool=options)
    before = keys(proxy, names, field)
    assert before == keys(proxy, names, field)
    share = collections.Counter(before.values())
    assert len(share) == 5 and max(share.values()) < 80
    after = keys(lb([named(x) for x in b[:-1]], pool=options), names, field)
    moved = [n for n in names if before[n] != after[n]]
    assert all(before[n] == "n4" for n in moved)
    assert len(moved) == share["n4"]


def test_hash_on_path_ignores_the_query(lb, backend, client):
    proxy = lb([backend() for _ in range(4)], pool="balance = hash\nhash_on = path\n")
    c = client(proxy)
    assert len({c.ask(target=f"/a?x={i}").body for i in range(10)}) == 1
    assert len({c.ask(target=f"/{i}").body for i in range(50)}) == 4


def test_hash_on_client_ip(lb, backend, client):
    proxy = lb([backend() for _ in range(4)], pool="balance = hash\n")
    assert len({client(proxy).ask().body for _ in range(10)}) == 1


def test_backup_is_used_only_when_no_other_is_usable(lb, backend, client):
    main, spare = held(backend, 1)[0], backend(name="spare")
    proxy = lb([named(main, "max=1"), named(spare, "backup")])
    first = client(proxy).request()
    main.wait_requests(1)
    assert client(proxy).ask().body == b"spare"
    main.gate.open()
    assert first.response().body == b"b0"
    until(lambda: client(proxy).ask().body == b"b0", "the main backend to be used again")


def test_full_backend_queues_and_answers_503(lb, backend, client):
    b = held(backend, 1)[0]
    proxy = lb([named(b, "max=1")], pool="queue_timeout = 300ms\n")
    first = client(proxy).request()
    b.wait_requests(1)
    start = time.monotonic()
    r = client(proxy).ask()
    assert r.status == 503 and r.has("retry-after") and 0.25 < time.monotonic() - start < 2
    b.gate.open()
    assert first.response().status == 200
    ends = sorted(x["end"] for x in proxy.access(2))
    assert ends == ["no_backend", "ok"]


def test_queue_starts_the_oldest_first(lb, backend, client):
    order, gate = [], Gate()

    def script(conn):
        while True:
            order.append(conn.request().target)
            gate.wait(30)
            conn.answer(b"x")
    b = backend(script)
    proxy = lb([named(b, "max=1")], pool="queue_timeout = 20s\n")
    clients = [client(proxy).request(target="/0")]
    b.wait_requests(1)
    for i in range(1, 6):
        before = proxy.waiting()
        clients.append(client(proxy).request(target=f"/{i}"))
        until(lambda n=before: proxy.waiting() == n + 1, "it to wait")
    gate.open()
    for c in clients:
        assert c.response().status == 200
    assert order == [f"/{i}" for i in range(6)]


def test_queue_size(lb, backend, client):
    b = held(backend, 1)[0]
    proxy = lb([named(b, "max=1")], pool="queue_timeout = 20s\nqueue_size = 1\n")
    clients = [client(proxy).request()]
    b.wait_requests(1)
    clients.append(client(proxy).request())
    until(lambda: proxy.waiting() == 1, "one to wait")
    assert client(proxy).ask().status == 503
    b.gate.open()
    assert [c.response().status for c in clients] == [200, 200]


def test_waiting_client_may_leave(lb, backend, client):
    b = held(backend, 1)[0]
    proxy = lb([named(b, "max=1")], pool="queue_timeout = 20s\n")
    first = client(proxy).request()
    b.wait_requests(1)
    gone = client(proxy).request()
    until(lambda: proxy.waiting() == 1, "one to wait")
    gone.reset()
    until(lambda: proxy.waiting() == 0, "it to leave the queue")
    b.gate.open()
    assert first.response().status == 200
    assert len(b.requests) == 1


@pytest.mark.threaded
def test_max_holds_over_all_workers(lb, backend):
    """Idle and active connections together, and nobody waits in vain."""
    sockets, most, lock = [], [0], threading.Lock()

    def established(sock):
        try:  # the first byte of struct tcp_info is the state; 1 is ESTABLISHED
            return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 1
        except OSError:
            return False

    def script(conn):
        with lock:
            sockets.append(conn.sock)
            most[0] = max(most[0], sum(map(established, sockets)))
        while True:
            conn.request()
            conn.answer(b"x")
    b = backend(script)
    proxy = lb([named(b, "max=2")], workers=2, pool="queue_timeout = 10s\n")
    bad = []

    def load():
        for _ in range(25):
            with Client(proxy.port) as c:
                status = c.ask().status
                if status != 200:
                    bad.append(status)
    threads = [threading.Thread(target=load) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(30)
    assert not bad
    assert most[0] <= 2
    assert proxy.waiting() == 0


@pytest.mark.parametrize("value, want", [("keep", "lb.test"), ("backend", None), ("other.test:81",) * 2])
def test_host_header(lb, backend, client, value, want):
    b = backend()
    proxy = lb([b], pool=f"host_header = {value}\n")
    assert client(proxy).ask().status == 200
    assert b.requests[0].all("host") == [want or b.address]
    assert b.requests[0].one("x-forwarded-host") == "lb.test"
