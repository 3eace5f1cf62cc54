"""What a reload changes is in force at once, also on connections that were there before."""
import collections
import os
import re
import signal
import time

import pytest

from harness import Broken, Client, Gate, until
from harness.crowd import Crowd
from harness.health import Switched, condition, until_state
from harness.proxy import ADMIN, port_of
from harness.reload import (answers, counts, generation, hup, listening, names, reload, site,
                            write)
from test_eject import PLAIN, ask_until_out, closing
from test_reload_verb import held


def holding(gate):
    """A script that answers its name; targets /hold only once the gate is open."""
    def script(conn):
        while True:
            if conn.request().target == "/hold":
                gate.wait()
            conn.answer(conn.backend.name.encode())
    return script


def hold(client, proxy, at, count=1):
    """That many requests that `at`, the only one to get them, holds."""
    before = len(at.requests)
    made = [client(proxy).request(target="/hold") for _ in range(count)]
    at.wait_requests(before + count)
    return made


# ---- backends ----

def test_backends_come_and_go(evenkeel, backend):
    servers = [backend(name=f"b{i}") for i in range(4)]
    proxy = evenkeel(site(servers[:1], workers=2))
    for chosen in ((0, 1), (1, 2, 3), (3,), (0, 1, 2, 3), (2,)):
        reload(proxy, site([servers[i] for i in chosen], workers=2))
        before = [len(b.requests) for b in servers]
        got = collections.Counter(names(proxy.port, 12))
        assert got == {f"b{i}": 12 // len(chosen) for i in chosen}
        for i, b in enumerate(servers):
            assert len(b.requests) - before[i] == (12 // len(chosen) if i in chosen else 0)


def test_idle_connections_of_a_removed_backend_are_closed(evenkeel, backend):
    one, two = backend(name="one"), backend(name="two")
    proxy = evenkeel(site([one, two], workers=2))
    for _ in range(10):
        names(proxy.port, 2)
    reload(proxy, site([two], workers=2))
    until(lambda: all(c.ended.is_set() for c in one.conns), "its connections to be closed", 5)


def test_a_backend_at_another_address_is_another(evenkeel, backend, client):
    """The same name: the old one's requests end there, new ones go to the new address."""
    gate = Gate()
    old, new = backend(holding(gate), name="old"), backend(name="new")
    proxy = evenkeel(site([f"{old.address} name=app"]))
    waiting = hold(client, proxy, old)
    reload(proxy, site([f"{new.address} name=app"]))
    assert names(proxy.port, 4) == ["new"] * 4
    gate.open()
    assert waiting[0].response().body == b"old"
    assert [b.name for b in (old, new) if len(b.requests) == 4] == ["new"]


def test_another_name_for_the_same_address(evenkeel, backend, client):
    gate = Gate()
    one = backend(holding(gate), name="x")
    proxy = evenkeel(site([f"{one.address} name=first"]))
    waiting = hold(client, proxy, one)
    reload(proxy, site([f"{one.address} name=second"]))
    assert names(proxy.port, 4) == ["x"] * 4
    assert condition(proxy, "second")["state"] == "up"
    gate.open()
    assert waiting[0].response().body == b"x"
    record = proxy.access(5)
    assert {r["backend"] for r in record} == {"first", "second"}


def test_weights(evenkeel, backend):
    one, two = backend(name="one"), backend(name="two")

    def text(a, b):
        return site([f"{one.address} name=one weight={a}", f"{two.address} name=two weight={b}"])
    proxy = evenkeel(text(1, 1))
    for a, b in ((3, 1), (1, 4), (256, 1), (1, 1)):
        reload(proxy, text(a, b))
        got = collections.Counter(names(proxy.port, 10 * (a + b) if a < 256 else 257))
        want = 10 if a < 256 else 1
        assert abs(got["one"] - want * a) <= 1 and abs(got["two"] - want * b) <= 1, (a, b, got)


def test_backup_and_back(evenkeel, backend):
    one, two = backend(name="one"), backend(name="two")
    proxy = evenkeel(site([one, two]))
    reload(proxy, site([one, f"{two.address} name=two backup"]))
    assert names(proxy.port, 6) == ["one"] * 6
    reload(proxy, site([f"{one.address} name=one backup", two]))
    assert names(proxy.port, 6) == ["two"] * 6
    reload(proxy, site([one, two]))
    assert set(names(proxy.port, 6)) == {"one", "two"}


WAYS = ("round_robin", "least_connections", "random_two", "hash")
# Each of them follows each other one once.
TOUR = (0, 1, 0, 2, 0, 3, 1, 2, 1, 3, 2, 3, 0)


def test_ways_to_balance_each_to_each(evenkeel, backend, client):
    """With requests in flight all the while."""
    assert len(set(zip(TOUR, TOUR[1:]))) == 12
    gate = Gate()
    servers = [backend(holding(gate), name=f"b{i}") for i in range(3)]

    def text(way):
        return site(servers, workers=2,
                    pool=f"balance = {way}\n" + ("hash_on = path\n" if way == "hash" else ""))
    proxy = evenkeel(text(WAYS[TOUR[0]]))
    waiting = []
    with Crowd(proxy.port, size=8, rate=300) as crowd:
        for at in TOUR[1:]:
            waiting.append(client(proxy).request(target="/hold"))
            reload(proxy, text(WAYS[at]))
            crowd.more(20)
            if WAYS[at] == "hash":
                assert len(set(names(proxy.port, 9))) == 1

    def now_held():
        return [sum(r.target == "/hold" for r in b.requests) for b in servers]
    until(lambda: sum(now_held()) == len(waiting), "all that are to be held")
    held_now = now_held()
    until(lambda: [condition(proxy, b.name)["in_flight"] for b in servers] == held_now,
          "the gauges to show what is held")
    gate.open()
    assert {w.response().status for w in waiting} == {200}
    until(lambda: not any(condition(proxy, b.name)["in_flight"] for b in servers), "none")
    reload(proxy, text("round_robin"))
    assert collections.Counter(names(proxy.port, 9)) == {b.name: 3 for b in servers}


def test_least_connections_knows_what_was_in_flight_before(evenkeel, backend, client):
    gate = Gate()
    one, two = backend(holding(gate), name="one"), backend(name="two")
    proxy = evenkeel(site([one]))
    waiting = hold(client, proxy, one, 3)
    reload(proxy, site([one, two], pool="balance = least_connections\n"))
    assert names(proxy.port, 8) == ["two"] * 8
    gate.open()
    assert [w.response().body for w in waiting] == [b"one"] * 3
    until(lambda: condition(proxy, "one")["in_flight"] == 0, "none in flight")
    assert set(names(proxy.port, 8)) == {"one", "two"}


def test_max_from_none_to_one_and_back(evenkeel, backend, client):
    gate = Gate()
    one = backend(holding(gate), name="one")

    def text(more):
        return site([f"{one.address} name=one{more}"], pool="queue_timeout = 9s\n")
    proxy = evenkeel(text(""))
    first = hold(client, proxy, one, 2)
    reload(proxy, text(" max=1"))
    waiting = [client(proxy).request() for _ in range(3)]
    until(lambda: proxy.waiting() == 3, "three that wait")
    assert len(one.requests) == 2
    reload(proxy, text(" max=3"))
    assert [w.response().body for w in waiting] == [b"one"] * 3
    reload(proxy, text(" max=2"))
    more = client(proxy).request()
    until(lambda: proxy.waiting() == 1, "one that waits")
    reload(proxy, text(""))
    assert more.response().body == b"one"
    assert proxy.waiting() == 0 and condition(proxy, "one")["in_flight"] == 2
    gate.open()
    assert [f.response().body for f in first] == [b"one"] * 2


def test_a_lower_max_holds_once_the_old_ones_are_done(evenkeel, backend, client):
    gate, most, now = Gate(), [0], [0]
    second = Gate()

    def script(conn):
        while True:
            target = conn.request().target
            now[0] += 1
            if target == "/hold":
                gate.wait()
            elif target == "/more":
                most[0] = max(most[0], now[0])
                second.wait()
            now[0] -= 1
            conn.answer(b"one")
    one = backend(script, name="one")
    proxy = evenkeel(site([f"{one.address} name=one max=4"], pool="queue_timeout = 9s\n"))
    first = hold(client, proxy, one, 4)
    reload(proxy, site([f"{one.address} name=one max=1"], pool="queue_timeout = 9s\n"))
    waiting = [client(proxy).request(target="/more") for _ in range(3)]
    until(lambda: proxy.waiting() == 3, "three that wait")
    gate.open()
    assert [f.response().body for f in first] == [b"one"] * 4
    until(lambda: sum(r.target == "/more" for r in one.requests) == 1, "the first of three")
    assert proxy.waiting() == 2 and most[0] == 1
    second.open()
    assert [w.response().body for w in waiting] == [b"one"] * 3
    assert most[0] == 1


# ---- limits and timeouts ----

def test_bigger_heads_than_at_the_start(evenkeel, backend, client):
    """Up to 256k, on a connection that was there before, and back."""
    b = backend(name="one")

    def text(size):
        return site([b], listener=f"max_header_size = {size}\n")
    proxy = evenkeel(text("1k"))
    c, other = client(proxy), client(proxy)
    assert c.ask().body == b"one" and other.ask().body == b"one"
    fields = [f"X-{i}: {'y' * 1000}" for i in range(90)]
    with Client(proxy.port) as refused:
        assert refused.ask(fields=fields[:2]).status == 431
    reload(proxy, text("256k"))
    assert c.ask(fields=fields).body == b"one"
    assert len(b.requests[-1].head) > 90000
    reload(proxy, text("2k"))
    assert c.ask(fields=fields[:1]).body == b"one"
    assert c.ask(fields=fields[:3]).status == 431
    reload(proxy, text("100k"))
    assert other.ask(fields=fields).body == b"one"


def test_bigger_heads_of_responses(evenkeel, backend, client):
    def script(conn):
        while True:
            size = int(conn.request().target[1:])
            conn.answer(b"x", fields=[f"X-{i}: {'y' * 1000}" for i in range(size)])
    b = backend(script, name="one")

    def text(size):
        return site([b], pool=f"max_header_size = {size}\nretry_attempts = 0\n"
                    "eject_failures = 0\n")
    proxy = evenkeel(text("1k"))
    c = client(proxy)
    assert c.ask(target="/0").status == 200
    assert c.ask(target="/2").status == 502
    reload(proxy, text("200k"))
    assert c.ask(target="/0").status == 200
    assert len(c.ask(target="/150").head) > 150000
    reload(proxy, text("1k"))
    assert c.ask(target="/0").status == 200
    assert c.ask(target="/2").status == 502


# Lines of a listener or of the pool; what is asked; the status before and after.
LIMITS = {
    "max_headers": ("listener", "max_headers = 5", "", dict(fields=["X: y"] * 6), 200, 431),
    "max_headers_up": ("listener", "max_headers = 200", "max_headers = 2",
                       dict(fields=["X: y"] * 6), 431, 200),
    "max_body_size": ("listener", "max_body_size = 9", "", dict(method="POST", body=b"x" * 10),
                      200, 413),
    "max_body_size_off": ("listener", "", "max_body_size = 9",
                          dict(method="POST", body=b"x" * 10), 413, 200),
    "response_max_headers": ("pool", "max_headers = 2", "", dict(target="/fields"), 200, 502),
    "response_timeout": ("pool", "response_timeout = 100ms", "response_timeout = 20s",
                         dict(target="/slow"), None, 504),
    "request_timeout": ("pool", "request_timeout = 100ms", "", dict(target="/slow"), None, 504),
    "attempt_timeout": ("pool", "attempt_timeout = 100ms", "", dict(target="/slow"), None, 504),
}


@pytest.mark.parametrize("name", LIMITS)
def test_limits_and_timeouts(evenkeel, backend, client, name):
    """On a connection that was there before: as the file says now."""
    section, line, at_first, asked, before, after = LIMITS[name]
    gate = Gate()

    def script(conn):
        while True:
            request = conn.request()
            if request.target == "/slow":
                gate.wait()
            conn.answer(b"x", fields=["X: y"] * (9 if request.target == "/fields" else 0))
    b = backend(script, name="one")

    def text(lines):
        rules = {section: lines + "\n"}
        rules["pool"] = rules.get("pool", "") + "retry_attempts = 0\neject_failures = 0\n"
        return site([b], **rules)
    proxy = evenkeel(text(at_first))
    c, first = client(proxy), client(proxy)
    assert c.ask().status == 200
    if before is not None:
        assert first.ask(**asked).status == before
    reload(proxy, text(line))
    assert c.ask(**asked).status == after
    gate.open()


def test_header_and_idle_timeouts(evenkeel, backend, client):
    b = backend(name="one")
    proxy = evenkeel(site([b]))
    reload(proxy, site([b], listener="header_timeout = 200ms\nidle_timeout = 300ms\n"))
    c = client(proxy).send(b"GET / HT")
    assert c.response().status == 408
    c = client(proxy)
    assert c.ask().status == 200
    assert c.at_end()
    reload(proxy, site([b]))
    c, other = client(proxy), client(proxy).send(b"GET / HT")
    assert c.ask().status == 200
    until(lambda: condition(proxy, "one")["state"] == "up", "a page")
    assert other.send(b"TP/1.1\r\nHost: h\r\n\r\n").response().status == 200


def test_body_timeout_and_stream_timeout(evenkeel, backend, client):
    gate = Gate()

    def script(conn):
        request = conn.head()
        if request.target == "/stream":
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")
            gate.wait()
        else:
            conn.body(request)
            conn.answer(b"x")
    b = backend(script, name="one")
    proxy = evenkeel(site([b]))
    reload(proxy, site([b], listener="body_timeout = 200ms\n", pool="stream_timeout = 200ms\n"))
    c = client(proxy).send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nx")
    assert c.response().status == 408
    c = client(proxy).request(target="/stream")
    assert c.stream.rest().endswith(b"\r\n\r\nx")
    gate.open()


def test_connect_timeout(evenkeel, lab, client):
    silent = f"127.0.0.1:{lab('A').silent[0]} name=silent"
    proxy = evenkeel(site([silent], pool="retry_attempts = 0\nconnect_timeout = 1h\n"))
    reload(proxy, site([silent], pool="retry_attempts = 0\nconnect_timeout = 200ms\n"))
    assert client(proxy).ask().status == 504


def test_queue_size_and_queue_timeout(evenkeel, backend, client):
    one = backend(name="one")
    proxy = evenkeel(site([one], pool="queue_timeout = 9s\n"))
    assert proxy.verb("drain", "web/one").returncode == 0
    c = client(proxy).request()
    until(lambda: proxy.waiting() == 1, "one that waits")
    reload(proxy, site([one], pool="queue_timeout = 9s\nqueue_size = 1\n"))
    assert client(proxy).ask().status == 503
    assert proxy.waiting() == 1
    reload(proxy, site([one], pool="queue_timeout = 200ms\nqueue_size = 2\n"))
    assert client(proxy).ask().status == 503
    assert proxy.waiting() == 1, "who waited before keeps his time"
    assert proxy.verb("undrain", "web/one").returncode == 0
    assert c.response().body == b"one"


def test_shutdown_timeout(evenkeel, backend, client):
    gate = Gate()
    b = backend(held(gate), name="one")
    proxy = evenkeel(site([b]))
    text = site([b]).replace("shutdown_timeout = 5s", "shutdown_timeout = 200ms")
    reload(proxy, text)
    c = client(proxy).request()
    b.wait_requests(1)
    began = time.monotonic()
    proxy.signal(signal.SIGTERM)
    proxy.wait()
    assert time.monotonic() - began < 4
    proxy.expected_exit = None
    gate.open()
    c.close()


# ---- listeners ----

def test_a_listener_comes_and_goes(evenkeel, backend, client, address):
    gate = Gate()
    one, two = backend(holding(gate), name="one"), backend(name="two")
    place = address()
    more = "[listener more]\nbind = {}:{}\npool = other\n".format(*place)
    other = f"[pool other]\nbackend = {two.address} name=two\nhealth = off\n"
    proxy = evenkeel(site([one], rest=other, listener="pool = web\n"))
    assert not answers(place)
    for _ in range(3):
        reload(proxy, site([one], rest=other + more, listener="pool = web\n"))
        assert names(place, 2) == ["two"] * 2 and names(proxy.port, 1) == ["one"]
        reload(proxy, site([one], rest=other, listener="pool = web\n"))
        assert not answers(place)
    # A request in flight when its listener goes is answered.
    reload(proxy, site([one], rest=(other + more).replace("pool = other", "pool = web"),
                       listener="pool = web\n"))
    c = Client(place)
    c.request(target="/hold")
    until(lambda: one.requests[-1].target == "/hold", "the request in flight")
    reload(proxy, site([one]))
    assert not answers(place)
    gate.open()
    assert c.response().body == b"one"
    c.close()


def test_idle_clients_of_a_listener_that_goes(evenkeel, backend, address):
    """They are served, or their connection has ended; nobody waits."""
    place, one = address(), backend(name="one")
    more = "[listener more]\nbind = {}:{}\n".format(*place)
    proxy = evenkeel(site([one], rest=more))
    clients = [Client(place) for _ in range(4)]
    assert [c.ask().status for c in clients[:2]] == [200] * 2
    reload(proxy, site([one]))
    for c in clients:
        try:
            assert c.ask().body == b"one"
        except (Broken, OSError):
            pass
        c.close()


def test_binds_move_between_listeners(evenkeel, backend, address):
    """The socket stays, and who connects is served by the listener that has it now."""
    one, two = backend(name="one"), backend(name="two")
    a, b = address(), address()
    both = f"[pool other]\nbackend = {two.address} name=two\nhealth = off\n"

    def text(first, second):
        def binds(places):
            return "".join(f"bind = {host}:{port}\n" for host, port in places)
        return site([one], listener="pool = web\n" + binds(first),
                    rest=both + "[listener more]\nbind = 127.0.0.1:0\npool = other\n"
                    + binds(second))
    proxy = evenkeel(text([a], [b]))
    sockets = listening(a[1], a[0]), listening(b[1], b[0])
    kept = Client(a)
    assert kept.ask().body == b"one"
    for first, second in (([b], [a]), ([a, b], []), ([], [b, a]), ([a], [b])):
        reload(proxy, text(first, second))
        for place in (a, b):
            assert names(place, 2) == ["one" if place in first else "two"] * 2
        assert kept.ask().status == 200
    assert (listening(a[1], a[0]), listening(b[1], b[0])) == sockets
    kept.close()


def test_a_listener_with_another_name(evenkeel, backend, client, address):
    b, (host, port) = backend(name="one"), address()
    text = site([b], listener=f"bind = {host}:{port}\n")
    proxy = evenkeel(text)
    before = listening(port, host)
    c = client((host, port))
    c.ask()
    reload(proxy, text.replace("[listener main]", "[listener front]"))
    assert client((host, port)).ask().body == b"one"
    assert proxy.access(2)[1]["listener"] == "front"
    assert c.ask().body == b"one"
    assert listening(port, host) == before


def test_a_port_that_is_given_back_can_be_had_at_once(evenkeel, backend, address):
    place, b = address(), backend()
    more = "[listener more]\nbind = {}:{}\n".format(*place)
    proxy = evenkeel(site([b], rest=more))
    with Client(place) as c:
        assert c.ask().status == 200
        reload(proxy, site([b]))
        again = evenkeel(site([b], rest=more))
        assert names(place, 1) == ["b0"]
        del again


@pytest.mark.plain_only("front: the header comes before TLS, as in test_tls_front.py")
def test_bind_options_of_the_same_socket(evenkeel, backend, client):
    """PROXY protocol, X-Forwarded-For and such, switched under a listener that stays."""
    b = backend(name="one")
    proxy = evenkeel(site([b]))
    c = client(proxy)
    assert c.ask().status == 200 and b.requests[-1].has("x-forwarded-for")
    reload(proxy, site([b], listener="forwarded = rfc7239\nrequest_id = both\n",
                       pool="host_header = inner.test\n"))
    r = c.ask()
    assert r.has("x-request-id")
    got = b.requests[-1]
    assert got.has("forwarded") and not got.has("x-forwarded-for")
    assert got.one("host") == "inner.test"
    reload(proxy, site([b], listener="forwarded = off\nrequest_id = off\n"))
    r = c.ask()
    got = b.requests[-1]
    assert not got.has("forwarded") and not got.has("x-forwarded-for")
    assert not r.has("x-request-id") and not got.has("x-request-id")
    assert got.one("host") == "lb.test"
    reload(proxy, site([b], listener="trusted_proxies = 127.0.0.0/8\n"))
    c.ask(fields=["X-Forwarded-For: 192.0.2.7"])
    assert b.requests[-1].one("x-forwarded-for").startswith("192.0.2.7")
    assert proxy.access(4)[-1]["client"].startswith("192.0.2.7")
    reload(proxy, site([b], listener="proxy_protocol = on\n"))
    with Client(proxy.port) as fresh:
        fresh.send(b"PROXY TCP4 192.0.2.9 127.0.0.1 999 80\r\n")
        assert fresh.ask().status == 200
    assert b.requests[-1].one("x-forwarded-for") == "192.0.2.9"


# ---- routes and pools ----

def test_routes_and_pools_come_and_go(evenkeel, backend, client):
    servers = {n: backend(name=n) for n in ("web", "api", "img")}

    def pool(name):
        return f"[pool {name}]\nbackend = {servers[name].address}\nhealth = off\n"

    def route(name, rule, to):
        return f"[route {name}]\n{rule}\npool = {to}\n"

    def text(*parts):
        return site([servers["web"]], rest="".join(parts), listener="pool = web\n")
    proxy = evenkeel(text())
    c = client(proxy)

    def got(**more):
        return c.ask(**more).body.decode()
    assert got(target="/api/x") == "web"
    reload(proxy, text(pool("api"), route("a", "path = /api", "api")))
    assert got(target="/api/x") == "api" and got() == "web"
    reload(proxy, text(pool("api"), pool("img"), route("i", "path = /api/img", "img"),
                       route("a", "path = /api", "api")))
    assert got(target="/api/img") == "img" and got(target="/api") == "api"
    # The order of the file decides.
    reload(proxy, text(pool("api"), pool("img"), route("a", "path = /api", "api"),
                       route("i", "path = /api/img", "img")))
    assert got(target="/api/img") == "api"
    reload(proxy, text(pool("img"), route("a", "host = api.test", "img")))
    assert got(target="/api") == "web" and got(host="api.test") == "img"
    reload(proxy, text())
    assert got(host="api.test") == "web"
    until(lambda: all(k.ended.is_set() for n in ("api", "img") for k in servers[n].conns),
          "connections of pools that went to be closed", 5)


def test_the_pool_of_a_listener(evenkeel, backend, client):
    one, two = backend(name="one"), backend(name="two")
    rest = f"[pool other]\nbackend = {two.address} name=two\nhealth = off\n" \
           "[route r]\npath = /r\npool = web\n"
    proxy = evenkeel(site([one], rest=rest, listener="pool = web\n"))
    c = client(proxy)
    assert c.ask().body == b"one"
    reload(proxy, site([one], rest=rest, listener="pool = other\n"))
    assert c.ask().body == b"two" and c.ask(target="/r").body == b"one"
    reload(proxy, site([one], rest=rest))
    assert c.ask().status == 404 and c.ask(target="/r").body == b"one"


def test_a_pool_goes_with_requests_in_flight(evenkeel, backend, client):
    gate = Gate()
    one, two = backend(holding(gate), name="one"), backend(name="two")
    rest = f"[pool gone]\nbackend = {one.address} name=one\nhealth = off\n" \
           "[route g]\npath = /hold\npool = gone\n"
    proxy = evenkeel(site([two], rest=rest, listener="pool = web\n"))
    waiting = hold(client, proxy, one, 3)
    reload(proxy, site([two]))
    with client(proxy) as c:
        assert c.ask(target="/hold").body == b"two"
    # It comes back while its requests are still there.
    reload(proxy, site([two], rest=rest, listener="pool = web\n"))
    reload(proxy, site([two]))
    gate.open()
    assert [w.response().body for w in waiting] == [b"one"] * 3
    assert [w.ask(target="/hold").body for w in waiting] == [b"two"] * 3


def test_a_pool_with_another_name(evenkeel, backend, client):
    b = backend(name="one")
    proxy = evenkeel(site([b]))
    reload(proxy, site([b]).replace("[pool web]", "[pool main]"))
    assert client(proxy).ask().body == b"one"
    assert proxy.access(1)[0]["pool"] == "main"
    assert condition(proxy, "one", pool="main")["state"] == "up"


# ---- admin ----

def test_admin_moves_comes_and_goes(evenkeel, backend, address):
    b, first, second = backend(), address(), address()

    def text(place):
        listen = "[admin]\nlisten = {}:{}\n".format(*place) if place else ""
        return site([b], admin=False, rest=listen)

    def ready(place):
        with Client(place) as c:
            return c.ask(target="/readyz").status == 200
    proxy = evenkeel(text(first))
    assert ready(first)
    kept = Client(first)
    assert kept.ask(target="/healthz").status == 200
    reload(proxy, text(second))
    assert ready(second) and not answers(first)
    try:
        assert kept.ask(target="/healthz").status == 200
    except (Broken, OSError):
        pass  # it has ended, which is as well
    kept.close()
    reload(proxy, text(None))
    assert not answers(first) and not answers(second)
    reload(proxy, text(first))
    assert ready(first)
    inode = listening(first[1], first[0])
    reload(proxy, text(first) + "[pool more]\nbackend = 127.0.0.1:9\n[route r]\npath = /m\n"
           "pool = more\n")
    assert listening(first[1], first[0]) == inode and ready(first)


# ---- logs ----

def test_log_file_format_and_level(evenkeel, backend, tmp_path):
    b = backend(name="one")
    a, other = tmp_path / "a.log", tmp_path / "b.log"
    proxy = evenkeel(site([b]))
    reload(proxy, site([b], top=f"log = {a}\n"))
    before = proxy.stderr()
    reload(proxy, site([b], top=f"log = {a}\n", pool="keepalive = 3\n"))
    until(lambda: "keepalive 64 -> 3" in a.read_text(), "the log in the new file")
    assert "keepalive 64 -> 3" not in proxy.stderr()
    reload(proxy, site([b], top=f"log = {other}\nlog_format = json\n", pool="keepalive = 4\n"))
    reload(proxy, site([b], top=f"log = {other}\nlog_format = json\n", pool="keepalive = 5\n"))
    until(lambda: "keepalive 4 -> 5" in other.read_text(), "the log in the other file")
    assert all(ln.startswith("{") for ln in other.read_text().splitlines())
    assert "keepalive 4 -> 5" not in a.read_text()
    # Only errors are written now.
    for n in (5, 6, 7):
        reload(proxy, site([b], top=f"log = {other}\nlog_level = error\n",
                           pool=f"keepalive = {n}\n"))
    # And back to where it was.
    reload(proxy, site([b]))
    reload(proxy, site([b], pool="keepalive = 8\n"))
    until(lambda: "keepalive 64 -> 8" in proxy.stderr()[len(before):], "the log on stderr")
    assert proxy.stderr().startswith(before) and "6 -> 7" not in other.read_text()
    # Files that are not used any more are closed.
    open_now = [str(f) for f in links(proxy)]
    assert str(a) not in open_now and str(other) not in open_now


def links(proxy):
    """Where the descriptors of the process lead."""
    folder = f"/proc/{proxy.pid}/fd"
    found = []
    for name in os.listdir(folder):
        try:
            found.append(os.readlink(f"{folder}/{name}"))
        except FileNotFoundError:
            pass
    return found


def test_access_log_on_off_and_its_format(evenkeel, backend, client, tmp_path):
    b = backend(name="one")
    a, other = tmp_path / "a.log", tmp_path / "b.log"

    def text(file, form="json"):
        return site([b]).replace("access_log = access.log", f"access_log = {file}").replace(
            "access_log_format = json", f"access_log_format = {form}")
    proxy = evenkeel(text("off"))
    c = client(proxy)
    c.ask(target="/1")
    reload(proxy, text(a))
    c.ask(target="/2")
    until(lambda: a.exists() and '"/2"' in a.read_text(), "the record of the second")
    assert '"/1"' not in a.read_text()
    reload(proxy, text(a, "combined"))
    c.ask(target="/3")
    until(lambda: '"GET /3 HTTP/1.1" 200' in a.read_text(), "the record of the third")
    reload(proxy, text(other))
    c.ask(target="/4")
    until(lambda: other.exists() and '"/4"' in other.read_text(), "the record of the fourth")
    reload(proxy, text("off"))
    c.ask(target="/5")
    reload(proxy, text("stdout"))
    c.ask(target="/6")
    out = proxy.folder / "stdout"
    until(lambda: '"/6"' in out.read_text(), "the record of the sixth")
    assert len(a.read_text().splitlines()) == 2 and len(other.read_text().splitlines()) == 1
    assert '"/5"' not in a.read_text() + other.read_text() + out.read_text()
    assert str(a) not in links(proxy) and str(other) not in links(proxy)


def test_usr1_after_a_reload_opens_the_file_of_now(evenkeel, backend, client, tmp_path):
    b, a = backend(), tmp_path / "a.log"
    proxy = evenkeel(site([b]))
    reload(proxy, site([b]).replace("access_log = access.log", f"access_log = {a}"))
    c = client(proxy)
    c.ask(target="/1")
    until(lambda: a.exists() and "/1" in a.read_text(), "a record")
    a.rename(tmp_path / "a.old")
    proxy.signal(signal.SIGUSR1)
    until(a.exists, "the new file")
    c.ask(target="/2")
    until(lambda: "/2" in a.read_text(), "a record in the new file")


# ---- connections to backends, retries ----

def test_keepalive_off_and_on(evenkeel, backend, client):
    b = backend(name="one")
    proxy = evenkeel(site([b]))
    c = client(proxy)
    for _ in range(3):
        c.ask()
    assert len(b.conns) == 1
    reload(proxy, site([b], pool="keepalive = 0\n"))
    for _ in range(3):
        assert c.ask().status == 200
    until(lambda: all(k.ended.is_set() for k in b.conns), "no connection to be kept")
    assert 3 <= len(b.conns) <= 4
    reload(proxy, site([b]))
    count = len(b.conns)
    for _ in range(3):
        c.ask()
    assert len(b.conns) == count + 1
    reload(proxy, site([b], pool="keepalive_timeout = 200ms\n"))
    c.ask()
    until(lambda: all(k.ended.is_set() for k in b.conns), "the idle one to be closed")


@pytest.mark.plain_only("back: the header comes before TLS, as in test_tls_back.py")
def test_proxy_protocol_to_backends(evenkeel, backend, client):
    """A connection without the header is not used for a request that needs one."""
    first = []

    def script(conn):
        conn.stream.need(lambda buf: len(buf) >= 5)
        if conn.stream.buf.startswith(b"PROXY"):
            first.append(conn.stream.line())
        while True:
            conn.request()
            conn.answer(b"x")
    b = backend(script, name="one")
    proxy = evenkeel(site([b]))
    c = client(proxy)
    assert c.ask().status == 200 and not first
    reload(proxy, site([b], pool="proxy_protocol = v1\n"))
    assert c.ask().status == 200
    assert len(first) == 1 and first[0].startswith(b"PROXY TCP4 127.0.0.1 ")
    reload(proxy, site([b]))
    assert [c.ask().status for _ in range(3)] == [200] * 3
    assert len(first) == 1


def test_retry_keys(evenkeel, backend, client):
    """Attempts, causes, methods: each request as the file says now."""
    def script(conn):
        while True:
            request = conn.request()
            conn.answer(b"", request.target[1:4] + " No")
    b = backend(script, name="one")

    def text(rules):
        return site([b], pool="retry_base = 1ms\nretry_cap = 1ms\neject_failures = 0\n"
                    "retry_budget = 100%\n" + rules)
    proxy = evenkeel(text(""))
    c = client(proxy)

    def attempts(target, method="GET"):
        before = len(b.requests)
        assert c.ask(method, target, body=b"" if method == "POST" else None).status == \
            int(target[1:])
        return len(b.requests) - before
    assert attempts("/503") == 3 and attempts("/500") == 1 and attempts("/503", "POST") == 1
    reload(proxy, text("retry_attempts = 0\n"))
    assert attempts("/503") == 1
    reload(proxy, text("retry_attempts = 5\nretry_on = connect,500\n"))
    assert attempts("/503") == 1 and attempts("/500") == 6
    reload(proxy, text("retry_non_idempotent = yes\nretry_attempts = 1\n"))
    assert attempts("/503", "POST") == 2
    reload(proxy, text("retry_budget = 0%\nretry_budget_min = 0\n").replace(
        "retry_budget = 100%\n", ""))
    assert attempts("/503") == 1
    reload(proxy, text(""))
    assert attempts("/503") == 3


def test_retry_body_limit(evenkeel, backend, client):
    def script(conn):
        while True:
            conn.request()
            conn.answer(b"", "503 No")
    b = backend(script, name="one")

    def text(limit):
        return site([b], pool="retry_base = 1ms\neject_failures = 0\nretry_budget = 100%\n"
                    f"retry_body_limit = {limit}\n")
    proxy = evenkeel(text("100"))
    c = client(proxy)
    c.ask("PUT", body=b"x" * 200000)
    assert len(b.requests) == 1
    reload(proxy, text("1M"))
    c.ask("PUT", body=b"x" * 200000)
    assert [len(r.body) for r in b.requests] == [200000] * 4
    reload(proxy, text("100"))
    c.ask("PUT", body=b"x" * 200000)
    assert len(b.requests) == 5


# ---- health ----

QUICK = "health_interval = 30ms\nhealth_fall = 2\nhealth_rise = 2\nhealth_timeout = 500ms\n"


def test_health_off_tcp_http_and_off(evenkeel, backend):
    """One that takes connections and answers 500."""
    switched = Switched()
    switched.status = "500 No"
    one, two = backend(switched, name="one"), backend(name="two")

    def text(kind, more=""):
        return site([one, two], pool=f"health = {kind}\n" + QUICK + more)
    proxy = evenkeel(text("off"))
    assert condition(proxy, "one")["state"] == "up"
    reload(proxy, text("tcp"))
    until(lambda: condition(proxy, "one")["checks"]["ok"] >= 3, "checks by connecting")
    assert condition(proxy, "one")["state"] == "up" and not switched.checks
    reload(proxy, text("http"))
    until_state(proxy, "one", "down")
    assert names(proxy.port, 3) == ["two"] * 3
    # Other rules, the same answers.
    reload(proxy, text("http", "health_status = 500\nhealth_path = /alive\n"))
    until_state(proxy, "one", "up")
    assert switched.checks[-1].target == "/alive"
    reload(proxy, text("http"))
    until_state(proxy, "one", "down")
    reload(proxy, text("tcp"))
    until_state(proxy, "one", "up")
    reload(proxy, text("http"))
    until_state(proxy, "one", "down")
    # Nobody will ever say again that it is up: without checks all are.
    reload(proxy, text("off"))
    until_state(proxy, "one", "up")
    assert set(names(proxy.port, 4)) == {"one", "two"}
    count = len(switched.checks)
    reload(proxy, text("off", "keepalive = 3\n"))
    assert len(switched.checks) <= count + 1


def test_another_interval_does_not_wait_for_the_old_one(evenkeel, backend):
    switched = Switched()
    one = backend(switched, name="one")
    proxy = evenkeel(site([one, backend()], pool="health = http\nhealth_interval = 1h\n"))
    until(lambda: switched.checks, "the first check")
    count = len(switched.checks)
    reload(proxy, site([one, backend()], pool="health = http\n" + QUICK))
    until(lambda: len(switched.checks) > count + 5, "checks in the new interval")


def test_checks_begin_for_a_new_backend_and_end_for_a_removed_one(evenkeel, backend):
    switched, other = Switched(), Switched()
    one, two = backend(switched, name="one"), backend(other, name="two")
    proxy = evenkeel(site([one], pool="health = http\n" + QUICK))
    until(lambda: switched.checks, "a check")
    reload(proxy, site([two], pool="health = http\n" + QUICK))
    until(lambda: len(other.checks) > 3, "checks of the new one")
    count = len(switched.checks)
    until(lambda: len(other.checks) > 12, "more of them")
    assert len(switched.checks) <= count + 1


def test_a_check_that_is_under_way(evenkeel, backend):
    """Of a backend that goes, that comes back, or that is checked in another way."""
    gate, begun = Gate(), []

    def script(conn):
        begun.append(conn.request())
        gate.wait()
        conn.answer(b"fine")
    one, two = backend(script, name="one"), backend(name="two")
    rules = "health = http\nhealth_interval = 50ms\nhealth_timeout = 9s\n"
    proxy = evenkeel(site([one, two], pool=rules))
    until(lambda: begun, "a check")
    for pool, servers in ((rules, [two]), (rules, [one, two]), ("health = tcp\n", [one, two]),
                          (rules, [one, two]), ("health = off\n", [one, two]),
                          (rules, [one, two]), (rules, [two])):
        count = len(begun)
        reload(proxy, site(servers, pool=pool))
        if pool == rules and one in servers and count < 3:
            until(lambda n=count: len(begun) > n, "the next check")
    gate.open()
    until(lambda: all(c.ended.is_set() for c in one.conns), "its connections to be closed")
    assert names(proxy.port, 4) == ["two"] * 4


def test_waits_that_are_under_way(evenkeel, backend, lab, client):
    """Between attempts, while connecting: their pool and all its backends go."""
    def failing(conn):
        conn.request()
        conn.answer(b"no", "503 No")
    one, two = backend(failing, name="one"), backend(name="two")
    rules = "retry_base = 900ms\nretry_cap = 900ms\nretry_jitter = none\nretry_budget = 100%\n" \
        "eject_failures = 0\nconnect_timeout = 900ms\nqueue_timeout = 900ms\n"
    rest = f"[pool slow]\nbackend = 127.0.0.1:{lab('A').silent[0]}\nhealth = off\n" + rules + \
        "[route s]\npath = /s\npool = slow\n"
    proxy = evenkeel(site([one], pool=rules, rest=rest, listener="pool = web\n"))
    waiting = [client(proxy).request() for _ in range(3)]
    connecting = [client(proxy).request(target="/s") for _ in range(3)]
    one.wait_requests(3)
    until(lambda: condition(proxy, "one")["in_flight"] == 0, "the waits between attempts")
    reload(proxy, site([two]).replace("[pool web]", "[pool other]"))
    assert {c.response().status for c in waiting} <= {200, 503}
    assert {c.response().status for c in connecting} <= {200, 502, 503, 504}
    assert names(proxy.port, 3) == ["two"] * 3


def test_fall_and_rise(evenkeel, backend):
    switched = Switched()
    one, two = backend(switched, name="one"), backend(name="two")
    proxy = evenkeel(site([one, two], pool="health = http\nhealth_interval = 30ms\n"
                          "health_fall = 1000\n"))
    switched.status = "500 No"
    until(lambda: condition(proxy, "one")["checks"]["failed"] > 5, "bad checks")
    assert condition(proxy, "one")["state"] == "up"
    reload(proxy, site([one, two], pool="health = http\nhealth_interval = 30ms\nhealth_fall = 2\n"
                       "health_rise = 1000\n"))
    until_state(proxy, "one", "down")
    switched.status = "200 OK"
    good = condition(proxy, "one")["checks"]["ok"]
    until(lambda: condition(proxy, "one")["checks"]["ok"] > good + 5, "good checks")
    assert condition(proxy, "one")["state"] == "down"
    reload(proxy, site([one, two], pool="health = http\nhealth_interval = 30ms\n"
                       "health_rise = 1\n"))
    until_state(proxy, "one", "up")


def test_eject_off_brings_back_who_is_out(evenkeel, backend, client):
    """Without the rule nobody is out by it, and nobody goes any more."""
    bad, good = backend(closing, name="bad"), backend(name="good")
    proxy = evenkeel(site([bad, good], pool=PLAIN + "eject_base = 1h\neject_cap = 2h\n"))
    ask_until_out(client, proxy, "bad")
    reload(proxy, site([bad, good], pool=PLAIN + "eject_failures = 0\n"))
    until_state(proxy, "bad", "up")
    for _ in range(20):
        with client(proxy) as c:
            c.ask()
    assert condition(proxy, "bad")["state"] == "up"
    reload(proxy, site([bad, good], pool=PLAIN + "eject_failures = 1\neject_base = 1h\n"
                       "eject_cap = 1h\n"))
    ask_until_out(client, proxy, "bad")


def test_slow_start_for_the_next_recovery(evenkeel, backend):
    switched = Switched()
    one, two = backend(switched, name="one"), backend(name="two")
    rules = "health = http\nhealth_interval = 30ms\nhealth_rise = 1\nhealth_fall = 1\n"
    proxy = evenkeel(site([one, two], pool=rules))
    reload(proxy, site([one, two], pool=rules + "slow_start = 1h\n"))
    assert condition(proxy, "one")["weight_pct"] == 100
    switched.status = "500 No"
    until_state(proxy, "one", "down")
    switched.status = "200 OK"
    until_state(proxy, "one", "up")
    assert condition(proxy, "one")["weight_pct"] < 50
    assert names(proxy.port, 40).count("one") < 15
    reload(proxy, site([one, two], pool=rules + "slow_start = 1h\nkeepalive = 9\n"))
    assert condition(proxy, "one")["weight_pct"] < 50, "the ramp goes on over a reload"
    reload(proxy, site([one, two], pool=rules))
    until(lambda: condition(proxy, "one")["weight_pct"] == 100, "its whole weight")
    assert names(proxy.port, 40).count("one") >= 19


# ---- the rest ----

def test_hash_moves_little(evenkeel, backend, client):
    servers = [backend(name=f"b{i}") for i in range(4)]

    def text(count, on="path"):
        return site(servers[:count], pool=f"balance = hash\nhash_on = {on}\n")
    proxy = evenkeel(text(4))

    def owners():
        with client(proxy) as c:
            return [c.ask(target=f"/{i}").body.decode() for i in range(80)]
    before = owners()
    reload(proxy, text(4) + "[route r]\npath = /\npool = web\n")
    assert owners() == before
    reload(proxy, text(3))
    after = owners()
    assert "b3" not in after
    assert sum(a != b for a, b in zip(after, before)) == before.count("b3")
    reload(proxy, text(4))
    assert owners() == before
    reload(proxy, text(4, "client_ip"))
    assert len(set(owners())) == 1


@pytest.mark.plain_only("front: who is not accepted cannot shake hands")
def test_max_connections(evenkeel, backend, client):
    b = backend(name="one")
    proxy = evenkeel(site([b]))
    first = [client(proxy) for _ in range(3)]
    assert [c.ask().status for c in first] == [200] * 3
    reload(proxy, site([b], top="max_connections = 3\n"))
    fourth = client(proxy).request()
    assert [c.ask().status for c in first] == [200] * 3
    reload(proxy, site([b], top="max_connections = 10\n"))
    assert fourth.response().status in (200, 503)
    assert client(proxy).ask().status == 200


def test_config_in_force_is_what_a_start_would_give(evenkeel, backend):
    """From one end to the other and back: nothing of the middle is left."""
    one, two = backend(name="one"), backend(name="two")
    first = site([one], pool="keepalive = 1\n")
    proxy = evenkeel(first)
    reload(proxy, site([two], listener="idle_timeout = 1s\nmax_headers = 7\n", top="log_level = debug\n",
                       pool="balance = hash\nretry_attempts = 9\nhealth = tcp\n"
                       "health_interval = 20ms\n"))
    reload(proxy, first)
    out = reload(proxy)
    assert "->" not in out
    assert names(proxy.port, 4) == ["one"] * 4
    assert generation(proxy) in (3, 4)
    hup(proxy)
    assert counts(proxy)["refused"] == 0
    write(proxy, first)
    assert re.search(ADMIN, proxy.stderr()) and port_of(proxy.binds[0]) == proxy.port
