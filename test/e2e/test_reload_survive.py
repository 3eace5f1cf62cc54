"""What a reload leaves alone: whoever is there does not notice."""
import os
import signal
import time

import pytest

from harness import Client, Gate, until
from harness.crowd import Crowd
from harness.health import Switched, condition, status, until_state
from harness.reload import (counters, counts, listening, names, never_fell, reload,
                            site, snapshots, write)
from test_eject import PLAIN, ask_until_out, closing
from test_reload_verb import held
from test_tunnels import echo

QUICK = "health = http\nhealth_interval = 30ms\nhealth_fall = 1\nhealth_rise = 1\n"


def other_values(n):
    """Pool lines that are different for each n."""
    return f"connect_timeout = {n + 1}s\nretry_base = {n + 10}ms\n"


# ---- sockets ----

def test_listening_sockets_stay(evenkeel, backend, address):
    (host, port), (other, port2) = address(), address()
    b = backend(name="one")

    def text(n):
        return site([b], workers=2, pool=other_values(n), listener=f"bind = {host}:{port}\n",
                    rest=f"[listener more]\nbind = {other}:{port2}\n")
    proxy = evenkeel(text(0))
    places = [(proxy.port, "127.0.0.1"), (port, host), (port2, other),
              (proxy.admin_port, "127.0.0.1")]
    before = [listening(*p) for p in places]
    assert all(before)
    for n in range(1, 4):
        reload(proxy, text(n))
        assert [listening(*p) for p in places] == before
    assert names((other, port2), 1) == ["one"]


@pytest.mark.threaded
@pytest.mark.plain_only("front: who is not accepted cannot shake hands")
def test_connections_that_nobody_has_accepted_yet(evenkeel, backend):
    """They wait in the kernel while a HUP does, and all are answered."""
    b = backend(name="one")
    proxy = evenkeel(site([b], workers=2))
    write(proxy, site([b], workers=2, pool=other_values(1)))
    proxy.signal(signal.SIGSTOP)
    clients = [Client(proxy.port) for _ in range(40)]
    for c in clients[::2]:
        c.request()
    proxy.signal(signal.SIGHUP)
    proxy.signal(signal.SIGCONT)
    until(lambda: counts(proxy)["applied"] == 1, "the reload")
    for c in clients[1::2]:
        c.request()
    assert [c.response().body for c in clients] == [b"one"] * 40
    for c in clients:
        c.close()


def test_a_unix_bind_stays(evenkeel, backend, tmp_path):
    path = str(tmp_path / "front")
    b = backend(name="one")
    proxy = evenkeel(site([b], listener=f"bind = unix:{path}\n"))
    inode = os.stat(path).st_ino
    with Client(path) as c:
        assert c.ask().body == b"one"
        reload(proxy, site([b], listener=f"bind = unix:{path}\nidle_timeout = 50s\n"))
        assert c.ask().body == b"one"
    assert os.stat(path).st_ino == inode
    assert names(path, 1) == ["one"]
    reload(proxy, site([b]))
    assert not os.path.exists(path)


@pytest.mark.threaded
def test_clients_keep_their_connections(evenkeel, backend, client):
    one, two = backend(name="one"), backend(name="two")
    proxy = evenkeel(site([one], workers=2))
    clients = [client(proxy) for _ in range(20)]
    for c in clients[:10]:
        c.ask()
    for n in range(6):
        reload(proxy, site([two if n % 2 == 0 else one], workers=2, pool=other_values(n),
                           listener=f"idle_timeout = {n + 30}s\n"))
        want = b"two" if n % 2 == 0 else b"one"
        for c in clients:
            r = c.ask()
            assert r.body == want and not r.has("connection")


def test_half_a_head_is_no_obstacle(evenkeel, backend, client):
    b = backend(name="one")
    proxy = evenkeel(site([b]))
    c = client(proxy).send(b"GET / HTTP/1.1\r\nHo")
    reload(proxy, site([b], listener="max_header_size = 2k\nmax_headers = 50\n"))
    c.send(b"st: h\r\n\r\n")
    assert c.response().body == b"one"
    c.send(b"GET / HTTP/1.1\r\nHost: h\r\n" + b"X: %s\r\n" % (b"y" * 1500))
    reload(proxy, site([b], listener="max_header_size = 64k\n"))
    c.send(b"Z: z\r\n\r\n")
    assert c.response().body == b"one"


def test_pipelined_requests_behind_one_that_waits(evenkeel, backend, client):
    gate = Gate()
    one, two = backend(held(gate), name="one"), backend(name="two")
    proxy = evenkeel(site([one]))
    c = client(proxy)
    c.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n" * 5)
    one.wait_requests(1)
    reload(proxy, site([two]))
    gate.open()
    assert [c.response().body for _ in range(5)] == [b"one"] + [b"two"] * 4


# ---- requests under way ----

def test_running_requests_keep_their_timeouts(evenkeel, backend, client):
    gate = Gate()
    b = backend(held(gate), name="one")

    def text(limit):
        return site([b], pool=f"retry_attempts = 0\nresponse_timeout = {limit}\n")
    proxy = evenkeel(text("30s"))
    long = client(proxy).request()
    b.wait_requests(1)
    reload(proxy, text("300ms"))
    short = client(proxy).request()
    b.wait_requests(2)
    reload(proxy, text("20s"))
    assert short.response().status == 504
    gate.open()
    assert long.response().body == b"one"


def test_running_requests_keep_their_retries(evenkeel, backend, client):
    """And the pool's rules for them: an answer that was retried still is."""
    gate = Gate()

    def failing(conn):
        conn.request()
        gate.wait()
        conn.answer(b"no", "503 No")
    one, two = backend(failing, name="one"), backend(name="two")
    proxy = evenkeel(site([one], pool="retry_attempts = 3\nretry_base = 1ms\n"))
    c = client(proxy).request()
    one.wait_requests(1)
    reload(proxy, site([one, two], pool="retry_attempts = 0\n"))
    gate.open()
    # With the old rules it is tried again; where depends on the pick.
    r = c.response()
    record = proxy.access(1)[0]
    assert record["retries"] >= 1 and r.status in (200, 503)


def test_a_retry_after_the_reload_goes_to_a_backend_that_is_still_there(evenkeel, backend, client):
    """The pick of a retry is made now: a backend that was taken away gets nothing new."""
    gate = Gate()

    def failing(conn):
        conn.request()
        gate.wait()
        conn.answer(b"no", "503 No", fields=("Connection: close",))
    one, two = backend(failing, name="one"), backend(name="two")
    proxy = evenkeel(site([one], pool="retry_base = 1ms\n"))
    c = client(proxy).request()
    one.wait_requests(1)
    reload(proxy, site([two], pool="retry_base = 1ms\n"))
    gate.open()
    r = c.response()
    assert len(one.requests) == 1, "a backend that was taken away got a new request"
    assert r.status == 200 and r.body == b"two"


@pytest.mark.threaded
def test_tunnels_go_on(evenkeel, backend, client):
    """Also when their backend, their route or their listener goes."""
    one, two, plain = backend(echo, name="one"), backend(echo, name="two"), backend(name="plain")
    extra = f"[pool t]\nbackend = {two.address}\nhealth = off\n[route t]\npath = /t\npool = t\n" \
            "[listener more]\nbind = 127.0.0.1:0\npool = web\n"
    proxy = evenkeel(site([one], rest=extra, listener="pool = web\n", workers=2))
    to = [(proxy.port, "/"), (proxy.port, "/t"), (proxy.ports[1], "/"), (proxy.ports[1], "/t")]
    tunnels = [client(port) for port, _ in to]
    for c, (_, target) in zip(tunnels, to):
        c.request(target=target, fields=["Connection: Upgrade", "Upgrade: websocket"])
        c.stream.need(lambda buf: buf.endswith(b"\r\n\r\n"))
        c.stream.buf = b""
    for n, text in enumerate((site([one], workers=2), site([plain], workers=2),
                              site([plain, one], workers=2), site([plain], workers=2))):
        reload(proxy, text)
        for c in tunnels:
            frame = b"frame %d" % n
            c.send(frame).stream.need(lambda buf, f=frame: buf == f)
            c.stream.buf = b""
    assert names(proxy.port, 2) == ["plain"] * 2
    until(lambda: snapshots(proxy) == 1, "tunnels to hold no configuration")
    for c in tunnels:
        c.close()
    until(lambda: len(proxy.access()) == 6, "the records of the tunnels")
    assert {r["status"] for r in proxy.access()} == {101, 200}


def test_uploads_go_on(evenkeel, backend, client):
    """Half of a body before, half behind; to a backend that goes, and one that stays."""
    def script(conn):
        while True:
            message = conn.request()
            conn.answer(b"%d from %s" % (len(message.body), conn.backend.name.encode()))
    one, two = backend(script, name="one"), backend(script, name="two")
    proxy = evenkeel(site([one, two]))
    size = 4 << 20
    clients = [client(proxy) for _ in range(4)]
    for c in clients[:2]:
        c.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size)
        c.send(b"x" * (size // 2))
    for c in clients[2:]:
        c.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        c.send(b"%x\r\n%s\r\n" % (size // 2, b"x" * (size // 2)))
    until(lambda: condition(proxy, "one")["in_flight"] + condition(proxy, "two")["in_flight"] == 4,
          "the uploads to be under way")
    reload(proxy, site([two], pool="retry_body_limit = 1k\nrequest_timeout = 1s\n",
                       listener="max_body_size = 1000\nbody_timeout = 1s\n"))
    for c in clients[:2]:
        c.send(b"x" * (size // 2))
    for c in clients[2:]:
        c.send(b"%x\r\n%s\r\n0\r\n\r\n" % (size // 2, b"x" * (size // 2)))
    got = sorted(c.response().body for c in clients)
    assert got == [b"%d from one" % size] * 2 + [b"%d from two" % size] * 2
    assert client(proxy).ask("POST", body=b"x" * 1001).status == 413


def test_downloads_go_on(evenkeel, backend, client):
    """A slow one from a backend that goes; nobody's end is false."""
    gate = Gate()

    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"a" * 50000)
        gate.wait()
        conn.send(b"b" * 50000)
    one, two = backend(script, name="one"), backend(name="two")
    proxy = evenkeel(site([one]))
    c = client(proxy).request()
    c.stream.need(lambda buf: buf.endswith(b"a" * 50000))
    for n in range(3):
        reload(proxy, site([two], pool=other_values(n)))
    until(lambda: snapshots(proxy) == 1, "a committed request to hold no configuration")
    gate.open()
    assert c.response().body == b"a" * 50000 + b"b" * 50000
    assert c.ask().body == b"two"


def test_a_request_to_a_backend_that_goes_ends_normally(evenkeel, backend, client):
    gate = Gate()
    one, two = backend(held(gate), name="one"), backend(name="two")
    proxy = evenkeel(site([one]))
    clients = [client(proxy).request() for _ in range(6)]
    one.wait_requests(6)
    out = reload(proxy, site([two]))
    assert "6 in flight" in out
    assert set(names(proxy.port, 4)) == {"two"}
    gate.open()
    assert [c.response().body for c in clients] == [b"one"] * 6
    # Their connections are not kept; those of the clients are.
    until(lambda: all(k.ended.is_set() for k in one.conns), "its connections to be closed", 5)
    assert [c.ask().body for c in clients] == [b"two"] * 6
    assert len(one.requests) == 6


def test_snapshots_end_with_their_requests(evenkeel, backend, client):
    gate = Gate()
    one, two = backend(held(gate), name="one"), backend(name="two")
    proxy = evenkeel(site([one]))
    assert snapshots(proxy) == 1
    clients = []
    for n in range(5):
        clients.append(client(proxy).request())
        one.wait_requests(n + 1)
        reload(proxy, site([one], pool=other_values(n)))
    assert snapshots(proxy) <= 6
    gate.open()
    assert [c.response().body for c in clients] == [b"one"] * 5
    until(lambda: snapshots(proxy) == 1, lambda: f"one snapshot, there are {snapshots(proxy)}")
    reload(proxy, site([two]))
    until(lambda: snapshots(proxy) == 1, lambda: f"one snapshot, there are {snapshots(proxy)}")


def test_idle_clients_and_tunnels_hold_no_snapshot(evenkeel, backend, client):
    """One of each between any two reloads: at most two are alive."""
    one = backend(name="one")
    talk = backend(echo, name="talk")

    def text(n):
        return site([one], listener="pool = web\n", pool=other_values(n), workers=2,
                    rest=f"[pool t]\nbackend = {talk.address}\nhealth = off\n"
                    "[route t]\npath = /t\npool = t\n")
    proxy = evenkeel(text(0))
    tunnels, idle, silent = [], [], []
    for n in range(1, 21):
        tunnels.append(client(proxy))
        tunnels[-1].request(target="/t", fields=["Connection: Upgrade", "Upgrade: x"])
        tunnels[-1].stream.need(lambda buf: buf.endswith(b"\r\n\r\n"))
        tunnels[-1].stream.buf = b""
        idle.append(client(proxy))
        assert idle[-1].ask().body == b"one"
        silent.append(client(proxy))
        reload(proxy, text(n))
        assert snapshots(proxy) <= 2, n
    until(lambda: snapshots(proxy) == 1, lambda: f"one snapshot, there are {snapshots(proxy)}")
    for c in tunnels:
        c.send(b"echo").stream.need(lambda buf: buf == b"echo")
    assert [c.ask().body for c in idle + silent] == [b"one"] * 40


# ---- backends ----

@pytest.mark.threaded
def test_idle_connections_to_backends_are_reused(evenkeel, backend):
    servers = [backend(name=f"b{i}") for i in range(3)]
    proxy = evenkeel(site(servers))
    assert len(set(names(proxy.port, 6))) == 3
    for n in range(5):
        reload(proxy, site(servers[::-1] if n % 2 else servers, pool=other_values(n)))
        assert len(set(names(proxy.port, 6))) == 3
    assert [len(b.conns) for b in servers] == [1, 1, 1]


def test_a_backend_that_is_down_stays_down(evenkeel, backend):
    """Not for a moment does it get a request."""
    switched, asked = Switched(), []

    def script(conn):
        while True:
            request = conn.request()
            if "evenkeel-health" not in str(request.fields):
                asked.append(request)
            conn.answer(b"", switched.status)
    switched.status = "500 No"
    one, two = backend(script, name="one"), backend(name="two")
    proxy = evenkeel(site([one, two], pool=QUICK, workers=2))
    until_state(proxy, "one", "down")
    asked.clear()
    since = condition(proxy, "one")["since_s"]
    with Crowd(proxy.port, size=16) as crowd:
        for n in range(12):
            reload(proxy, site([one, two] if n % 2 else [two, one], workers=2,
                               pool=QUICK + other_values(n)))
            assert condition(proxy, "one")["state"] == "down"
            crowd.more(30)
    assert not asked and set(crowd.names) == {"two"}
    assert condition(proxy, "one")["since_s"] >= since
    assert proxy.stderr().count("backend one is down") == 1
    switched.status = "200 OK"
    until_state(proxy, "one", "up")


def test_a_backend_that_is_new_is_as_health_initial_says(evenkeel, backend):
    switched = Switched()
    switched.status = "500 No"
    one, two = backend(name="one"), backend(switched, name="two")
    quick = QUICK + "health_initial = down\n"
    proxy = evenkeel(site([one], pool=quick))
    until_state(proxy, "one", "up")
    reload(proxy, site([one, two], pool=quick))
    assert condition(proxy, "one")["state"] == "up"
    assert condition(proxy, "two")["state"] == "down"
    assert set(names(proxy.port, 10)) == {"one"}
    switched.status = "200 OK"
    until_state(proxy, "two", "up")
    assert set(names(proxy.port, 10)) == {"one", "two"}


def test_an_ejection_keeps_its_remaining_time(evenkeel, backend, client):
    bad, good = backend(closing, name="bad"), backend(name="good")
    rules = PLAIN + "eject_failures = 2\neject_base = 2500ms\neject_cap = 9s\n"
    proxy = evenkeel(site([bad, good], pool=rules))
    ask_until_out(client, proxy, "bad")
    out, reached = proxy.said_at("backend bad is ejected for 2.5 s"), len(bad.requests)
    for n in range(4):
        reload(proxy, site([bad, good], pool=rules + other_values(n)))
        state, at = condition(proxy, "bad")["state"], time.time()
        assert state == "ejected" or at - out > 2.4, n
        if n < 2:
            assert names(proxy.port, 3) == ["good"] * 3 and len(bad.requests) == reached
    back = proxy.said_at("backend bad is back after ejection")
    assert 2.49 < back - out < 3.5
    # In a row still: twice as long.
    ask_until_out(client, proxy, "bad")
    proxy.said_at("backend bad is ejected for 5 s")


def test_failures_in_a_row_are_counted_on(evenkeel, backend, client):
    bad, good = backend(closing, name="bad"), backend(name="good")
    proxy = evenkeel(site([bad, good], pool=PLAIN + "eject_base = 1h\neject_cap = 2h\n"))
    for n in range(20):
        with client(proxy) as c:
            c.ask()
        if condition(proxy, "bad")["state"] == "ejected":
            break
        reload(proxy, site([bad, good], pool=PLAIN + "eject_base = 1h\neject_cap = 2h\n"
                           + f"keepalive = {n + 1}\n"))
    assert condition(proxy, "bad")["state"] == "ejected"
    assert 5 <= len(bad.requests) <= 6


def test_a_drain_stays(evenkeel, backend):
    one, two = backend(name="one"), backend(name="two")
    proxy = evenkeel(site([one, two]))
    assert proxy.verb("drain", "web/one").returncode == 0
    for n in range(5):
        reload(proxy, site([one, two], pool=other_values(n)))
        assert condition(proxy, "one")["state"] == "draining"
        assert set(names(proxy.port, 4)) == {"two"}
    r = proxy.verb("undrain", "web/one")
    assert r.returncode == 0 and "gets requests again" in r.stdout
    assert sorted(names(proxy.port, 4)) == ["one"] * 2 + ["two"] * 2


def test_the_rotation_goes_on_where_it_was(evenkeel, backend, client):
    servers = [backend(name=f"b{i}") for i in range(3)]
    proxy = evenkeel(site(servers))
    c = client(proxy)
    order = []
    for n in range(24):
        order.append(c.ask().body)
        if n % 2 == 0:
            reload(proxy)
    assert order == order[:3] * 8 and len(set(order[:3])) == 3


def test_the_rotation_is_exact_over_changes_elsewhere(evenkeel, backend):
    """Two workers, weights, a connection for each request."""
    servers = [backend(name=f"b{i}") for i in range(3)]
    lines = [f"{b.address} name={b.name} weight={w}" for b, w in zip(servers, (5, 2, 1))]
    proxy = evenkeel(site(lines, workers=2))
    got = []
    for n in range(16):
        got += [names(proxy.port, 1)[0] for _ in range(5)]
        reload(proxy, site(lines, workers=2, pool=other_values(n)))
    assert [got.count(b.name) for b in servers] == [50, 20, 10]


def test_a_waiting_request_gets_the_backend_that_the_reload_adds(evenkeel, backend, client):
    gate = Gate()
    one, two = backend(held(gate), name="one"), backend(name="two")
    full = f"{one.address} name=one max=1"
    rules = "queue_timeout = 9s\n"
    proxy = evenkeel(site([full], pool=rules))
    first = client(proxy).request()
    one.wait_requests(1)
    waiting = [client(proxy).request() for _ in range(5)]
    until(lambda: proxy.waiting() == 5, "five that wait")
    reload(proxy, site([full], pool=rules + "retry_base = 7ms\n"))
    assert proxy.waiting() == 5
    reload(proxy, site([full, two], pool=rules))
    assert [w.response().body for w in waiting] == [b"two"] * 5
    assert proxy.waiting() == 0
    gate.open()
    assert first.response().body == b"one"


def test_a_waiting_request_outlives_its_backends(evenkeel, backend, client):
    """All that were there when it came are gone; the new ones serve it."""
    one, two = backend(name="one"), backend(name="two")
    proxy = evenkeel(site([one], pool="queue_timeout = 9s\n"))
    assert proxy.verb("drain", "web/one").returncode == 0
    waiting = [client(proxy).request() for _ in range(3)]
    until(lambda: proxy.waiting() == 3, "three that wait")
    reload(proxy, site([two], pool="queue_timeout = 9s\n"))
    assert [w.response().body for w in waiting] == [b"two"] * 3


def test_a_waiting_request_of_a_pool_that_goes_is_answered(evenkeel, backend, client):
    one, two = backend(name="one"), backend(name="two")
    rest = f"[pool gone]\nbackend = {one.address} name=one\nhealth = off\n" \
           "queue_timeout = 700ms\n[route g]\npath = /g\npool = gone\n"
    proxy = evenkeel(site([two], rest=rest, listener="pool = web\n"))
    assert proxy.verb("drain", "gone/one").returncode == 0
    c = client(proxy).request(target="/g")
    until(lambda: proxy.waiting() == 1, "one that waits")
    reload(proxy, site([two]))
    assert c.response().status in (200, 503)
    assert client(proxy).ask(target="/g").body == b"two"


# ---- figures ----

def test_counters_never_fall(evenkeel, backend, client):
    """Over changes of everything; those of what went are still there."""
    one, two, three = (backend(name=n) for n in ("one", "two", "three"))
    more = f"[pool extra]\nbackend = {three.address} name=three\nhealth = off\n" \
           "[route e]\npath = /e\npool = extra\n"
    texts = [site([one, two], rest=more, listener="pool = web\n"),
             site([two], pool=other_values(1)),
             site([one], rest=more, listener="pool = web\nidle_timeout = 9s\n"),
             site([one, two], pool="health = tcp\nhealth_interval = 20ms\n"),
             site([f"{one.address} name=one weight=7 max=3", three], admin=True)]
    proxy = evenkeel(texts[0])
    c = client(proxy)
    before = counters(proxy)
    for n in range(10):
        for target in ("/", "/e", "/"):
            assert c.ask(target=target).status == 200
        proxy.access(3 * (n + 1))
        now = counters(proxy)
        assert not never_fell(before, now)
        reload(proxy, texts[(n + 1) % len(texts)])
        before = counters(proxy)
        assert not never_fell(now, before), n
    until(lambda: sum(v for (name, _), v in counters(proxy).items()
                      if name == "evenkeel_requests_total") == 30, "thirty requests")


def test_counters_of_a_busy_one(evenkeel, backend):
    """Nothing is lost while requests end during the reload."""
    one, two = backend(name="one"), backend(name="two")
    proxy = evenkeel(site([one, two], workers=2))
    with Crowd(proxy.port, size=16) as crowd:
        before = counters(proxy)
        for n in range(12):
            reload(proxy, site([one] if n % 2 else [two, one], pool=other_values(n), workers=2))
            now = counters(proxy)
            assert not never_fell(before, now), n
            before = now
            crowd.more(20)
    proxy.access(crowd.done)

    def total(name, **labels):
        return sum(v for (n, ls), v in counters(proxy).items()
                   if n == name and labels.items() <= dict(ls).items())
    until(lambda: total("evenkeel_requests_total") == crowd.done,
          lambda: f"{crowd.done} requests, {total('evenkeel_requests_total')} were counted")
    assert total("evenkeel_attempts_total", outcome="ok") == crowd.done


def test_what_is_in_flight_stays_counted(evenkeel, backend, client):
    gate = Gate()
    one = backend(held(gate), name="one")
    proxy = evenkeel(site([one]))
    clients = [client(proxy).request() for _ in range(4)]
    one.wait_requests(4)
    for n in range(3):
        reload(proxy, site([one], pool=other_values(n)))
        assert condition(proxy, "one")["in_flight"] == 4
    gate.open()
    assert [c.response().body for c in clients] == [b"one"] * 4
    until(lambda: condition(proxy, "one")["in_flight"] == 0, "none in flight")


def test_a_backend_that_comes_back_while_it_is_busy(evenkeel, backend, client):
    """Taken away and put back with requests in flight: they count, and it serves at once."""
    gate = Gate()

    def script(conn):
        while True:
            if conn.request().target == "/hold":
                gate.wait()
            conn.answer(conn.backend.name.encode())
    one, two = backend(script, name="one"), backend(name="two")
    proxy = evenkeel(site([one]))
    clients = [client(proxy).request(target="/hold") for _ in range(3)]
    one.wait_requests(3)
    reload(proxy, site([two]))
    assert set(names(proxy.port, 3)) == {"two"}
    reload(proxy, site([one, two]))
    assert condition(proxy, "one")["state"] == "up"
    assert condition(proxy, "one")["in_flight"] == 3
    assert sorted(names(proxy.port, 4)) == ["one"] * 2 + ["two"] * 2
    gate.open()
    assert [c.response().body for c in clients] == [b"one"] * 3
    until(lambda: condition(proxy, "one")["in_flight"] == 0, "none in flight")


def test_removed_backends_leave_the_pages(evenkeel, backend, client):
    """status does not show them when they are idle; metrics do for a while."""
    one, two = backend(name="one"), backend(name="two")
    proxy = evenkeel(site([one, two]))
    names(proxy.port, 4)
    reload(proxy, site([two]))

    def shown():
        return [b["name"] for p in status(proxy)["pools"] for b in p["backends"]]
    until(lambda: shown() == ["two"], lambda: f"only two to be shown: {shown()}")
    found = {dict(ls).get("backend") for (name, ls) in counters(proxy)
             if name == "evenkeel_attempts_total"}
    assert {"one", "two"} <= found
    assert proxy.verb("drain", "web/one").returncode == 1


def test_records_of_all_requests_are_written(evenkeel, backend, tmp_path):
    """The access log stays open, or moves: a record for each request somewhere."""
    one = backend(name="one")
    proxy = evenkeel(site([one], workers=2))
    other = tmp_path / "other.log"
    with Crowd(proxy.port, size=16) as crowd:
        for n in range(8):
            text = site([one], workers=2, pool=other_values(n))
            if n % 2 == 0:
                text = text.replace("access_log = access.log", f"access_log = {other}")
            reload(proxy, text)
            crowd.more(30)
    proxy.stop()
    lines = proxy.access_path.read_text().splitlines() + other.read_text().splitlines()
    assert len(lines) == crowd.done
    assert all(ln.startswith("{") and ln.endswith("}") for ln in lines)
    assert proxy.access_path.stat().st_size and other.stat().st_size
