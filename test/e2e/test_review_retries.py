"""Found by a reviewer: retries that were lost, and places that were not given."""
import contextlib
import hashlib
import itertools
import random
import threading
import time

import pytest

from harness import Client, Gate, until
from harness.health import scrape

BULK = b"0123456789abcdef" * 20000  # 320 kB: large enough to be moved in bulk
PUT = b"PUT /x HTTP/1.1\r\nHost: h\r\n"
ONE = "retry_attempts = 1\nretry_base = 1ms\nretry_cap = 1ms\n"


def framed(body, coding):
    """The end of a head, and the body in that coding."""
    if coding == "length":
        return b"Content-Length: %d\r\n\r\n" % len(body) + body
    pieces = [body[i:i + 40000] for i in range(0, len(body), 40000)]
    return b"Transfer-Encoding: chunked\r\n\r\n" + \
        b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


def named(b, options):
    return f"{b.address} name={b.name} {options}"


@pytest.mark.parametrize("coding", ["length", "chunked"])
def test_a_large_kept_body_is_sent_again(lb, backend, client, coding):
    """Within retry_body_limit, though it comes in bulk."""
    bodies = []

    def script(conn):
        bodies.append(conn.request().body)
        if len(bodies) == 1:
            conn.reset()
        else:
            conn.answer(b"done")
    proxy = lb([backend(script)], pool=ONE + "retry_body_limit = 1M\n")
    c = client(proxy)
    c.send(PUT + framed(BULK, coding))
    r = c.response("PUT")
    assert (r.status, r.body) == (200, b"done"), proxy.access(1)
    assert bodies == [BULK, BULK]
    assert c.ask().status == 200


@pytest.mark.parametrize("coding", ["length", "chunked"])
@pytest.mark.parametrize("limit", ["0", "1M"])
def test_a_backend_that_leaves_inside_a_large_upload(lb, backend, client, coding, limit):
    """What was read and could not be sent any more is in nobody's way."""
    def script(conn):
        conn.head()
        conn.stream.need(lambda buf: len(buf) > 100000)
        conn.reset()
    proxy = lb([backend(script, rcvbuf=8192)],
               pool=f"retry_attempts = 0\nretry_body_limit = {limit}\n")
    for _ in range(3):
        c = client(proxy)
        with contextlib.suppress(OSError):  # the answer may come before all is sent
            c.send(PUT + framed(BULK * 20, coding))
        assert c.response("PUT").status == 502


def test_the_place_of_an_idle_connection_too_old_for_a_post(lb, backend, client):
    """With max = 1 it holds the only place; a fresh connection may have that."""
    idle, seen = Gate(), Gate()

    def script(conn):
        conn.request()
        conn.answer(b"first")
        if conn is conn.backend.conns[0]:
            idle.wait()
            conn.half_close()  # so short are idle connections kept here
            assert conn.closed()
            seen.open()
            return
        while conn.request():
            conn.answer(b"more")
    b = backend(script)
    proxy = lb([named(b, "max=1")], pool="queue_timeout = 500ms\n")
    c = client(proxy)
    begun = time.monotonic()
    assert c.ask().status == 200
    idle.open()
    seen.wait()
    kept_s = time.monotonic() - begun
    assert c.ask().status == 200
    begun = time.monotonic()
    until(lambda: time.monotonic() - begun > kept_s, "it to be that old")
    assert c.ask("POST", "/", body=b"x").status == 200, proxy.access(3)[-1]
    assert len(b.conns) == 3


@pytest.mark.parametrize("workers", [1, 2])
def test_a_backend_full_of_idle_connections_is_usable(lb, backend, client, workers):
    """Who says when to come again is not waited for when another one is there."""
    def script(conn):
        while True:
            if conn.request().target == "/again" and conn.backend.name == "A":
                conn.answer(b"A", "503 Service Unavailable", ["Retry-After: 30"])
            else:
                conn.answer(conn.backend.name.encode())
    a, b = backend(script, name="A"), backend(script, name="B")
    proxy = lb([named(a, "max=1"), named(b, "max=1")], pool=ONE, workers=workers)
    c = client(proxy)
    assert {c.ask().body for _ in range(2)} == {b"A", b"B"}
    for _ in range(4):
        r = c.ask(target="/again")
        assert (r.status, r.body) == (200, b"B"), proxy.access()[-1]


def test_who_may_not_go_to_a_backend_yet_is_in_nobodys_way(lb, backend, client):
    """A asked that one request to come later; the others need not wait behind it."""
    gate, slow = Gate(), Gate()

    def script(conn):
        while True:
            target, name = conn.request().target, conn.backend.name
            if target == "/later" and name == "A":
                conn.answer(b"", "503 Service Unavailable", ["Retry-After: 30"])
                continue
            if target == "/slow":
                slow.open()
                gate.wait()
            conn.answer(name.encode())
    a, b = backend(script, name="A"), backend(script, name="B")
    proxy = lb([named(a, ""), named(b, "max=1")],
               pool="retry_base = 500ms\nretry_cap = 500ms\nretry_jitter = none\n"
               "queue_timeout = 20s\neject_failures = 0\n")
    later, holder = client(proxy), client(proxy)
    later.request(target="/later")
    a.wait_requests(1)
    holder.request(target="/slow")
    slow.wait()
    assert b.requests, "the slow request was to go to B"
    until(lambda: proxy.waiting() == 1, "the retry to wait for B")
    c = client(proxy, deadline_s=5)
    assert [c.ask().body for _ in range(5)] == [b"A"] * 5
    assert proxy.waiting() == 1
    gate.open()
    assert holder.response().body == b"B"
    assert later.response().body == b"B"
    assert proxy.waiting() == 0


def test_no_wait_beyond_the_request_timeout_while_a_body_comes(lb, backend, client):
    """The clock stands still for the upload, and not for the wait after it."""
    def script(conn):
        conn.head()
        conn.stream.need(lambda buf: buf == b"half")
        conn.reset()
    proxy = lb([backend(script)], pool="retry_base = 1m\nretry_cap = 1m\nretry_jitter = none\n"
               "request_timeout = 2s\nresponse_timeout = 1s\n")
    c = client(proxy)
    c.send(PUT + b"Content-Length: 8\r\n\r\nhalf")
    assert c.response("PUT").status == 502
    record = proxy.access(1)[0]
    assert record["end"] == "backend_failed" and record["duration_ms"] < 2000


def test_early_hints_do_not_ask_for_the_body(lb, backend, client):
    """The client waits for a 100 on; it is not the slow one."""
    def script(conn):
        message = conn.head()
        conn.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        begun = time.monotonic()
        until(lambda: time.monotonic() - begun > 0.6, "twice the body_timeout to pass")
        conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        conn.body(message)
        conn.answer(message.body)
    proxy = lb([backend(script)], listener="body_timeout = 300ms\n")
    c = client(proxy)
    c.send(PUT + b"Content-Length: 4\r\nExpect: 100-continue\r\n\r\n")
    c.stream.need(lambda buf: b" 100 Continue" in buf or b" 408 " in buf)
    r = c.send(b"body").response("PUT")
    assert (r.status, r.body) == (200, b"body")


def moody(seed):
    """A script that fails at random, never for a request that may not come twice."""
    dice = random.Random(seed)

    def script(conn):
        while True:
            message = conn.request()
            mood = dice.random() if message.method == "PUT" else 1
            if mood < 0.1:
                return conn.reset()
            if mood < 0.2:
                return None
            if mood < 0.25:
                conn.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 O")
                return None
            if mood < 0.45:
                asked = dice.choice((["Retry-After: 1"], ["Retry-After: 0"], []))
                conn.answer(b"no" * dice.randrange(20000), "503 Service Unavailable", asked)
                continue
            conn.answer(message.target.encode() + hashlib.sha256(message.body).digest())
    return script


@pytest.mark.threaded
@pytest.mark.parametrize("balance", ["round_robin", "least_connections", "hash"])
def test_nothing_is_lost_or_mixed_up_under_a_storm_of_failures(lb, backend, balance):
    """Few places, many clients, some that leave: every answer is that of its request."""
    backends = [backend(moody(i), name=f"b{i}") for i in range(3)]
    proxy = lb([named(b, "max=2") for b in backends], workers=2, admin=True,
               pool=f"balance = {balance}\nhash_on = path\nqueue_timeout = 30s\n"
               "retry_attempts = 10\nretry_base = 1ms\nretry_cap = 20ms\nretry_budget = 100%\n"
               "eject_failures = 3\neject_base = 50ms\neject_cap = 100ms\n")
    wrong, counts = [], {}

    def customer(number):
        dice, c = random.Random(number), None
        for i in range(25):
            c = c or Client(proxy.port)
            method, target = dice.choice(("PUT", "PUT", "POST")), f"/{number}/{i}"
            body = dice.randbytes(dice.choice((0, 100, 20000)))
            coding = dice.choice(("length", "chunked"))
            c.send(f"{method} {target} HTTP/1.1\r\nHost: h\r\n".encode() + framed(body, coding))
            if dice.random() < 0.05:
                c.reset()
                c = None
                continue
            r = c.response(method)
            counts[r.status] = counts.get(r.status, 0) + 1
            if r.status == 200 and r.body != target.encode() + hashlib.sha256(body).digest():
                wrong.append((target, r.body[:80]))
            if r.status not in (200, 502, 503) or (method == "POST" and r.status != 200):
                wrong.append((method, target, r.status, r.body[:200]))
            if "close" in r.tokens("connection"):
                c.close()
                c = None
        if c:
            c.close()
    threads = [threading.Thread(target=customer, args=(n,)) for n in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert not any(t.is_alive() for t in threads), f"{counts}, {proxy.waiting()} wait"
    assert not wrong, wrong[:5]
    assert counts[200] > 200
    until(lambda: scrape(proxy)["evenkeel_backend_inflight"].total() == 0, "no request in flight")
    assert proxy.waiting() == 0
    assert not any(e for b in backends for e in b.errors)


def test_the_budget_knows_of_requests_at_once_after_a_quiet_time(lb, backend, client):
    """One in eight fails, 20 % may be retried: nearly none is passed on."""
    count = itertools.count(1)

    def script(conn):
        while conn.request():
            conn.answer(b"", "503 Service Unavailable" if next(count) % 8 == 0 else "200 OK")
    proxy = lb([backend(script)], pool="retry_base = 1ms\nretry_cap = 1ms\neject_failures = 0\n")
    begun = time.monotonic()
    until(lambda: time.monotonic() - begun > 11.2, "its steps to become longer", 20,
          every_s=0.1)
    c = client(proxy)
    assert sum(c.ask().status == 503 for _ in range(600)) <= 12


def test_a_check_of_a_unix_socket_has_a_host_though_a_port_is_set(lb, backend, tmp_path):
    b = backend(address=str(tmp_path / "b.sock"))
    lb([f"unix:{b.address}"], pool="health = http\nhealth_port = 8080\nhealth_interval = 100ms\n")
    assert b.wait_requests(1)[0].one("host") == "localhost"
