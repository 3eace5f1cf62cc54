"""drain and undrain: no new requests, those in flight end normally, nobody is cut off."""
import json
import os
import re
import select
import subprocess
import threading
import time

import pytest

from harness import Client, Gate, until
from harness.health import Switched, condition, scrape, until_state
from harness.proxy import environment
from test_tunnels import echo, opened

ORDER = "/drain?pool=web&backend=one"


def spawn(proxy, *args):
    """A verb in the background."""
    return subprocess.Popen([str(proxy.binary), "-c", str(proxy.file), *args], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(),
                            cwd=proxy.folder)


def finish(verb):
    """-> exit code, stdout, stderr."""
    out, err = verb.communicate(timeout=10)
    return verb.returncode, out, err


@pytest.fixture
def verb(cleanup):
    """verb(proxy, *args) -> a running Popen that ends with the test."""
    def start(proxy, *args):
        p = spawn(proxy, *args)

        def end():
            if p.poll() is None:
                p.kill()
                p.communicate()
        cleanup["client"].append(end)
        return p
    return start


def good(proxy, *args):
    r = proxy.verb(*args)
    assert r.returncode == 0, (args, r.stdout, r.stderr)
    return r.stdout


def bad(proxy, code, *args):
    r = proxy.verb(*args)
    assert r.returncode == code, (args, r.stdout, r.stderr)
    return r.stderr


def held(gate, answer=None):
    """A script that answers its name; targets /hold only once the gate is open."""
    def script(conn):
        while True:
            request = conn.request()
            if request.target == "/hold":
                gate.wait()
            conn.answer(answer or conn.backend.name.encode())
    return script


def hold_one(client, proxy, at):
    """A request that is held by backend `at` -> its client."""
    for _ in range(50):
        c = client(proxy)
        c.request(target="/hold")
        until(lambda: any(r.target == "/hold" for r in at.requests) or readable(c),
              "the request to be somewhere", every_s=0.001)
        if any(r.target == "/hold" for r in at.requests):
            return c
        c.response()
    raise AssertionError("no request has reached the backend")


def readable(c):
    return select.select([c.sock], [], [], 0)[0]


def names(client, proxy, count=20):
    with client(proxy) as c:
        return {c.ask().body.decode() for _ in range(count)}


@pytest.mark.threaded
def test_in_flight_ends_normally_and_drain_returns_then(lb, backend, client, verb):
    gate = Gate()
    one = backend(held(gate), name="one")
    proxy = lb([one, backend(name="two")], admin=True, workers=2)
    c = hold_one(client, proxy, one)
    drain = verb(proxy, "drain", "web/one")
    assert drain.stdout.readline() == "pool web: backend one gets no new requests\n"
    assert drain.stdout.readline() == "waiting: 1 in flight, tunnels included\n"
    before = len(one.requests)
    assert names(client, proxy) == {"two"}
    assert len(one.requests) == before and drain.poll() is None
    assert condition(proxy, "one")["state"] == "draining"
    gate.open()
    assert c.response().body == b"one"
    assert finish(drain) == (0, "drained: nothing is in flight on web/one\n", "")
    # Its connection is not kept, and the client's is.
    until(lambda: all(k.ended.is_set() for k in one.conns), "its connections to be closed", 5)
    assert c.ask().body == b"two"
    assert condition(proxy, "one")["in_flight"] == 0
    assert {r["end"] for r in proxy.access()} == {"ok"}


def test_idle_connections_are_closed_by_all_workers(lb, backend, client):
    one = backend(name="one")
    proxy = lb([one, backend(name="two")], workers=4)
    for _ in range(40):
        names(client, proxy, 2)
    assert [c for c in one.conns if not c.ended.is_set()]
    good(proxy, "drain", "web/one")
    until(lambda: all(c.ended.is_set() for c in one.conns), "no connection to it is left", 5)
    count = len(one.conns)
    assert names(client, proxy) == {"two"} and len(one.conns) == count


def test_status_log_and_metrics_say_so(lb, backend):
    proxy = lb([backend(name="one"), backend(name="two")], admin=True)
    good(proxy, "drain", "web/one")
    entry = condition(proxy, "one")
    assert entry["state"] == "draining" and entry["since_s"] <= 5
    who = rf"uid {os.getuid()}, pid \d+"
    assert re.fullmatch(f"asked for by {who}", entry["reason"])
    assert re.search(rf"one +draining .* for \d s: asked for by {who}\n", good(proxy, "status"))
    f = scrape(proxy)
    assert f["evenkeel_backend_state"].values(backend="one", state="draining") == [1]
    assert f["evenkeel_backend_up"].values(backend="one") == [0]
    good(proxy, "undrain", "web/one")
    proxy.said_at("backend one is not draining any more")
    assert re.search(rf"info  pool web: backend one is draining: it gets no new requests, "
                     rf"asked for by {who}\n", proxy.stderr())
    assert re.search(rf"info  pool web: backend one is not draining any more, asked for by {who}\n",
                     proxy.stderr())
    assert condition(proxy, "one")["state"] == "up"


def test_wait_runs_out_and_the_drain_stays(lb, backend, client):
    gate = Gate()
    one = backend(held(gate), name="one")
    proxy = lb([one, backend(name="two")], admin=True)
    c = hold_one(client, proxy, one)
    began = time.monotonic()
    err = bad(proxy, 1, "drain", "web/one", "--wait", "300ms")
    assert 0.3 <= time.monotonic() - began < 5
    assert err == ("evenkeel: time is up with 1 in flight; web/one stays draining until: "
                   "evenkeel undrain web/one\n")
    assert condition(proxy, "one")["state"] == "draining"
    assert names(client, proxy) == {"two"}
    # Once more, without patience; then it is done.
    assert "time is up" in bad(proxy, 1, "drain", "--wait", "0", "web/one")
    gate.open()
    assert c.response().body == b"one"
    out = good(proxy, "drain", "web/one", "--wait", "5s")
    assert re.fullmatch(r"pool web: backend one is draining already, for \d s\n"
                        r"(waiting: 1 in flight, tunnels included\n)?"
                        r"drained: nothing is in flight on web/one\n", out)
    assert "drained" in good(proxy, "drain", "web/one", "--wait", "0")


def test_no_wait_at_all_is_enough_for_an_idle_one(lb, backend):
    proxy = lb([backend(name="one"), backend(name="two")], workers=2)
    assert "drained" in good(proxy, "drain", "web/one", "--wait", "0")


def test_the_drain_stays_when_its_verb_is_ended(lb, backend, client, verb):
    gate = Gate()
    one = backend(held(gate), name="one")
    proxy = lb([one, backend(name="two")], admin=True)
    c = hold_one(client, proxy, one)
    drain = verb(proxy, "drain", "web/one")
    drain.stdout.readline()
    drain.terminate()
    drain.wait(10)
    assert condition(proxy, "one")["state"] == "draining"
    assert names(client, proxy) == {"two"}
    gate.open()
    assert c.response().body == b"one"


def test_undrain_brings_it_back_at_once(lb, backend, client):
    """Without a slow start: that was no recovery."""
    proxy = lb([backend(name="one"), backend(name="two")], admin=True, pool="slow_start = 1h\n")
    good(proxy, "drain", "web/one")
    assert names(client, proxy) == {"two"}
    assert good(proxy, "undrain", "web/one") == "pool web: backend one gets requests again\n"
    entry = condition(proxy, "one")
    assert entry["state"] == "up" and entry["weight_pct"] == 100
    until(lambda: names(client, proxy, 2) == {"one", "two"}, "both to get requests")
    with client(proxy) as c:
        got = [c.ask().body for _ in range(40)]
    assert got.count(b"one") == 20
    assert good(proxy, "undrain", "web/one") == \
        "pool web: backend one was not draining; it is up\n"


def test_undrain_ends_a_wait(lb, backend, client, verb):
    gate = Gate()
    one = backend(held(gate), name="one")
    proxy = lb([one, backend(name="two")])
    c = hold_one(client, proxy, one)
    drain = verb(proxy, "drain", "web/one")
    drain.stdout.readline()
    drain.stdout.readline()
    good(proxy, "undrain", "web/one")
    code, _, err = finish(drain)
    assert code == 1 and "web/one is not draining any more" in err
    gate.open()
    c.response()


@pytest.mark.parametrize("args, hint", [
    (("web/oen",), "pool web has no backend oen (did you mean one?)"),
    (("wbe/one",), "there is no pool wbe (did you mean web?)"),
    (("web/something-else",), "pool web has no backend something-else\n"),
    (("web/%6Fne",), "pool web has no backend %6Fne"),
    (("web/one?x&y=z",), "pool web has no backend one?x&y=z"),
    (("web/" + "o" * 5000,), "no name is that long"),
])
@pytest.mark.parametrize("verb_name", ["drain", "undrain"])
def test_unknown_names(lb, backend, verb_name, args, hint):
    proxy = lb([backend(name="one"), backend(name="two")], admin=True)
    assert hint in bad(proxy, 1, verb_name, *args)
    assert condition(proxy, "one")["state"] == "up"


@pytest.mark.parametrize("args", [
    (), ("web",), ("web/",), ("/one",), ("web/one", "web/two"), ("web/one", "--wait"),
    ("web/one", "--wait", "5"), ("web/one", "--wait", "soon"), ("web/one", "--wait", "-1s"),
    ("web/one", "--wait", "1000h"), ("web/one", "--json"), ("web/one", "--forever")])
def test_usage(lb, backend, args):
    proxy = lb([backend(name="one"), backend(name="two")], admin=True)
    r = proxy.verb("drain", *args)
    assert r.returncode == 2 and r.stderr and not r.stdout
    assert condition(proxy, "one")["state"] == "up"


def test_undrain_takes_no_wait(lb, backend):
    assert bad(lb([backend()]), 2, "undrain", "web/b0", "--wait", "1s")


def test_nobody_is_running(lb, backend):
    proxy = lb([backend(name="one")])
    proxy.stop()
    for name in ("drain", "undrain"):
        err = bad(proxy, 1, name, "web/one")
        assert "nobody is running" in err and str(proxy.control) in err


@pytest.mark.plain_only("back: names without name= have the scheme in them")
def test_backends_without_a_name(lb, backend, tmp_path):
    """The name is the address, as status shows it; unix paths have slashes."""
    path = str(tmp_path / "a b")
    tcp = backend()
    backend(address=path.replace("a b", "ab"))
    unix = "unix:" + path.replace("a b", "ab")
    proxy = lb([tcp.address, unix], admin=True)
    for name in (tcp.address, unix):
        good(proxy, "drain", f"web/{name}")
        assert condition(proxy, name)["state"] == "draining"
        good(proxy, "undrain", f"web/{name}")


def test_drain_of_a_down_backend(lb, backend, client):
    switched = Switched()
    proxy = lb([backend(switched, name="one"), backend(name="two")], admin=True,
               pool="health = http\nhealth_interval = 30ms\nslow_start = 1h\n")
    switched.status = "500 No"
    until_state(proxy, "one", "down")
    out = good(proxy, "drain", "web/one")
    assert "gets no new requests; it was down before: 3 checks failed, last: " in out
    out = good(proxy, "undrain", "web/one")
    assert "is not draining any more; it is down: checks failed, last: " in out
    assert condition(proxy, "one")["state"] == "down"
    # Checks go on while it drains, and it stays out.
    good(proxy, "drain", "web/one")
    switched.status = "200 OK"
    proxy.said_at("backend one is up again")
    assert condition(proxy, "one")["state"] == "draining"
    assert names(client, proxy) == {"two"}
    assert "gets requests again" in good(proxy, "undrain", "web/one")
    assert condition(proxy, "one")["weight_pct"] == 100


def test_the_last_usable_one_may_go_with_a_warning(lb, backend, client):
    proxy = lb([backend(name="one"), backend(name="two")], pool="queue_timeout = 200ms\n")
    assert "warning" not in good(proxy, "drain", "web/one")
    assert "warning: no backend of the pool is usable now" in good(proxy, "drain", "web/two")
    proxy.said_at("pool web: no backend is usable any more: 0 down, 0 ejected, 2 draining")
    with client(proxy) as c:
        assert c.ask().status == 503
    good(proxy, "undrain", "web/two")
    assert names(client, proxy) == {"two"}


def test_backups_take_over_with_a_warning(lb, backend, client):
    spare = backend(name="spare")
    proxy = lb([backend(name="one"), f"{spare.address} name=spare backup"])
    assert "warning: only backups are usable now" in good(proxy, "drain", "web/one")
    assert names(client, proxy) == {"spare"}


def test_a_waiting_request_starts_with_undrain(lb, backend, client):
    proxy = lb([backend(name="one")], pool="queue_timeout = 10s\n")
    good(proxy, "drain", "web/one")
    c = client(proxy)
    c.request()
    until(lambda: proxy.waiting() == 1, "the request to wait")
    good(proxy, "undrain", "web/one")
    assert c.response().body == b"one"


def test_tunnels_count(lb, backend, client, verb):
    proxy = lb([backend(echo, name="one")])
    c = client(proxy)
    opened(c)
    drain = verb(proxy, "drain", "web/one")
    lines = [drain.stdout.readline() for _ in range(3)]
    assert lines[1].startswith("warning: ")
    assert lines[2] == "waiting: 1 in flight, tunnels included\n"
    c.send(b"still here")
    c.stream.need(lambda buf: buf == b"still here")
    assert drain.poll() is None
    c.close()
    assert finish(drain)[0] == 0


def test_a_retry_does_not_go_there(lb, backend, client):
    """The retry of a request whose backend began to drain meanwhile goes to another."""
    gate, seen = Gate(), []

    def failing(conn):
        conn.request()
        seen.append(1)
        gate.wait()
        conn.answer(b"", "503 No", fields=("Connection: close",))
    one = backend(failing, name="one")
    proxy = lb([one], pool="retry_base = 1ms\nretry_cap = 2ms\nqueue_timeout = 10s\n")
    c = client(proxy)
    c.request()
    one.wait_requests(1)
    assert bad(proxy, 1, "drain", "web/one", "--wait", "0")
    gate.open()
    # It waits for a backend, and does not ask the only one again.
    until(lambda: proxy.waiting() == 1, "the retry to wait")
    assert len(seen) == 1
    assert "drained" in good(proxy, "drain", "web/one")
    good(proxy, "undrain", "web/one")
    assert c.response().status == 503
    assert len(seen) == 3


def test_a_stale_connection_is_not_replaced_there(lb, backend, client):
    """An idle connection ends just when it is used again, at one that drains meanwhile."""
    gate, first = Gate(), threading.Event()

    def script(conn):
        while True:
            request = conn.request()
            if request.target == "/hold":
                first.set()
                gate.wait()
                return
            conn.answer(b"one")
    one, two = backend(script, name="one"), backend(name="two")
    proxy = lb([one, two], admin=True)
    good(proxy, "drain", "web/two")
    with client(proxy) as c:
        c.ask()
        good(proxy, "undrain", "web/two")
        # The next in turn may be two: whose connection is not kept there.
        for _ in range(4):
            if first.is_set():
                break
            c.request(target="/hold")
            until(lambda: first.is_set() or readable(c), "the request to be somewhere")
            if not first.is_set():
                assert c.response().body == b"two"
        count = len(one.conns)
        # Not by the verb: what ends after a second is not stale any more.
        assert client(str(proxy.control)).ask("POST", ORDER).status == 200
        gate.open()
        assert c.response().body == b"two"
    assert len(one.conns) == count
    attempts = proxy.access(len(one.requests) + len(two.requests) - 1)[-1]["attempts"]
    assert [(a["backend"], a["outcome"]) for a in attempts] == [("one", "stale"), ("two", "ok")]


def test_hash_moves_and_comes_back(lb, backend, client):
    servers = [backend(name=f"b{i}") for i in range(4)]
    proxy = lb(servers, pool="balance = hash\nhash_on = path\n")

    def owners():
        with client(proxy) as c:
            return [c.ask(target=f"/{i}").body.decode() for i in range(60)]
    before = owners()
    good(proxy, "drain", "web/b1")
    meanwhile = owners()
    assert "b1" not in meanwhile
    assert all(m == b for m, b in zip(meanwhile, before) if b != "b1")
    good(proxy, "undrain", "web/b1")
    until(lambda: owners() == before, "every key to be where it was")


@pytest.mark.parametrize("balance", ["round_robin", "least_connections", "random_two"])
@pytest.mark.threaded
def test_no_request_fails_under_load(lb, backend, client, balance):
    """Drained and undrained again and again; nothing reaches one after its drain is done."""
    servers = [backend(name=f"b{i}") for i in range(3)]
    proxy = lb(servers, workers=2, pool=f"balance = {balance}\n")
    stop, wrong, count = threading.Event(), [], [0] * 6

    def ask(i):
        while not stop.is_set():
            with Client(proxy.port) as c:
                for _ in range(20):
                    r = c.ask("POST" if i % 2 else "GET", body=b"x" if i % 2 else None)
                    count[i] += 1
                    if r.status != 200:
                        wrong.append(r)
    threads = [threading.Thread(target=ask, args=(i,)) for i in range(6)]
    for t in threads:
        t.start()
    try:
        for n in range(12):
            server = servers[n % 3]
            good(proxy, "drain", f"web/{server.name}", "--wait", "5s")
            reached, goal = len(server.requests), sum(count) + 100
            until(lambda g=goal: sum(count) >= g, "a hundred requests more")
            assert len(server.requests) == reached, n
            good(proxy, "undrain", f"web/{server.name}")
            until(lambda s=server, r=reached: len(s.requests) > r, "requests again")
    finally:
        stop.set()
        for t in threads:
            t.join(10)
    assert not wrong
    # Idle connections went by mail, none was met stale.
    assert {a["outcome"] for r in proxy.access() for a in r["attempts"]} == {"ok"}
    assert sum(r["retries"] for r in proxy.access()) == 0


@pytest.mark.threaded
def test_several_at_once_and_a_stuck_one(lb, backend, client, verb):
    gate = Gate()
    one = backend(held(gate), name="one")
    proxy = lb([one, *(backend(name=f"b{i}") for i in range(4))], admin=True, workers=2)
    c = hold_one(client, proxy, one)
    for part in (b"", b"POST /drain?pool=web&backend=b0 HT", b"POST /drain HTTP/1.1\r\nHost: x\r\n"
                 b"Content-Length: 10\r\n\r\nxx"):
        client(str(proxy.control)).send(part)
    drains = [verb(proxy, "drain", "web/one") for _ in range(4)]
    for d in drains:
        d.stdout.readline()
    for i in range(4):
        good(proxy, "drain", f"web/b{i}")
        assert condition(proxy, f"b{i}")["state"] == "draining"
        good(proxy, "undrain", f"web/b{i}")
    assert [d.poll() for d in drains] == [None] * 4
    gate.open()
    assert c.response().body == b"one"
    assert [finish(d)[0] for d in drains] == [0] * 4


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "GET"])
def test_the_admin_listener_takes_no_orders(lb, backend, client, method):
    proxy = lb([backend(name="one")], admin=True)
    for target in (ORDER, "/undrain?pool=web&backend=one"):
        r = client(proxy.admin_port).ask(method, target)
        assert r.status == (404 if method == "GET" else 405)
    assert condition(proxy, "one")["state"] == "up"


def test_the_control_socket(lb, backend, client):
    proxy = lb([backend(name="one"), backend(name="two")], admin=True)
    c = client(str(proxy.control))
    assert c.ask(target=ORDER).body == b"serving 0\n"
    for method, target, allow in (("PUT", ORDER, "GET, HEAD, POST"), ("POST", "/status", "GET, HEAD"),
                                  ("GET", "/undrain?pool=web&backend=one", "POST"),
                                  ("DELETE", "/pid", "GET, HEAD")):
        r = c.ask(method, target)
        assert (r.status, r.one("allow")) == (405, allow), (method, target)
    assert condition(proxy, "one")["state"] == "up"
    for target in ("/drain", "/drain?pool=web", "/drain?pool=web&backend=one&backend=two",
                   "/drain?pool=web&backend=%zz", "/drain?pool=web&backend=one%4",
                   "/drain?pool=web&backend=" + "x" * 600):
        assert c.ask("POST", target).status == 400, target
    assert c.ask("POST", "/drain?backend=%6fn%65&more=x&pool=web", body=b"x" * 100).status == 200
    until(lambda: c.ask(target=ORDER).body == b"drained 0\n", "the drain to be over")
    assert c.ask("HEAD", ORDER).status == 200
    assert c.ask("POST", "/undrain?pool=web&backend=one").status == 200
    assert c.ask(target=ORDER).body == b"serving 0\n"
    assert json.loads(c.ask(target="/status.json").body)["pools"][0]["usable"] == 2
