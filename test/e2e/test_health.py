"""Active checks: who is taken out and brought back, when, and why."""
import os
import signal
import socket
import subprocess
import threading
import time

import pytest

from harness import Backend, Client, Gate, until
from harness.freeze import arrived, standing_still
from harness.health import Switched, condition, scrape, status, until_state

FAST = "health_interval = 200ms\nhealth_timeout = 1s\n"
HTTP = "health = http\n" + FAST
QUICK = "health = http\nhealth_interval = 30ms\nhealth_timeout = 300ms\n"


def asked(client, proxy, count):
    """The names of the backends that answered `count` requests."""
    c = client(proxy)
    answers = [c.ask() for _ in range(count)]
    assert all(a.status == 200 for a in answers)
    return [a.body.decode() for a in answers]


def again(cleanup, gone, script=None):
    """A backend at the address of one that was stopped."""
    made = Backend(script, gone.name, address=("127.0.0.1", gone.port))
    cleanup["backend"].append(made.stop)
    return made


def many(backend, count):
    """Lines for that many backends, which are one server with many addresses."""
    one = backend(name="one", address=("0.0.0.0", 0))
    return "".join(f"backend = 127.0.1.{i}:{one.port} name=b{i}\n" for i in range(1, count + 1))


# ---- when ----

@pytest.mark.threaded
@pytest.mark.parametrize("kind", ["tcp", "http"])
def test_out_and_back_in_time(lb, backend, client, cleanup, kind):
    one, two = backend(name="one"), backend(name="two")
    proxy = lb([one, two], pool=f"health = {kind}\n" + FAST, admin=True, workers=2)
    assert set(asked(client, proxy, 10)) == {"one", "two"}
    # A check that this backend has answered, so that the next three are bad.
    until(lambda: condition(proxy, "one")["checks"]["ok"] >= 2, "checks")
    gone_at = time.time()
    one.stop()
    down_at = proxy.said_at("pool web: backend one is down: 3 checks failed, last: ")
    assert down_at - gone_at < 0.9
    assert asked(client, proxy, 20) == ["two"] * 20
    down_for = time.time()
    again(cleanup, one)
    up_at = proxy.said_at("pool web: backend one is up again after ")
    assert up_at - down_for < 0.7
    assert sorted(asked(client, proxy, 20)) == ["one"] * 10 + ["two"] * 10
    assert proxy.stderr().count("backend one is down") == 1


@pytest.mark.threaded
def test_no_request_fails_meanwhile(lb, backend, cleanup):
    """A backend goes and comes back under load; retries bridge the time between."""
    one = backend(name="one")
    proxy = lb([one, backend(name="two")], admin=True, workers=2,
               pool="health = tcp\nhealth_interval = 100ms\nretry_budget = 100%\n"
               "retry_base = 5ms\n")
    over, count = threading.Event(), [0]

    def load():
        with Client(proxy.port) as c:
            while not over.is_set():
                assert c.ask().status == 200
                count[0] += 1
    threads = [threading.Thread(target=load) for _ in range(4)]
    for t in threads:
        t.start()
    try:
        until(lambda: count[0] > 50, "some requests")
        one.stop()
        until_state(proxy, "one", "down")
        again(cleanup, one)
        until_state(proxy, "one", "up")
        done = count[0]
        until(lambda: count[0] > done + 50, "more requests")
    finally:
        over.set()
        for t in threads:
            t.join()
    assert {r["status"] for r in proxy.access(count[0])} == {200}


def test_the_first_check_comes_at_once(lb, backend):
    switched = Switched()
    lb([backend(switched)], pool="health = http\nhealth_interval = 1h\n")
    until(lambda: switched.checks, "a check", deadline_s=3)


def test_checks_keep_their_interval_while_down(lb, backend, client):
    switched = Switched()
    switched.status = "500 No"
    proxy = lb([backend(switched, name="one"), backend()],
               pool=QUICK + "health_fall = 1\nhealth_interval_down = 1h\n", admin=True)
    until_state(proxy, "one", "down")
    count = len(switched.checks)
    for _ in range(50):
        client(proxy).ask()
    assert len(switched.checks) == count


def test_never_two_at_once(lb, backend):
    open_now, most, lock = [0], [0], threading.Lock()

    def silent(conn):
        with lock:
            open_now[0] += 1
            most[0] = max(most[0], open_now[0])
        conn.request()
        conn.closed()
        with lock:
            open_now[0] -= 1
    one = backend(silent, name="one")
    lb([one], pool="health = http\nhealth_interval = 5ms\nhealth_timeout = 60ms\n")
    one.wait_conns(6)
    assert most[0] <= 2  # the script sees the end of one after the next began


def test_off_is_off_and_the_default_is_tcp(lb, backend, evenkeel):
    quiet, checked = backend(name="quiet"), backend(name="checked")
    proxy = evenkeel("[listener main]\nbind = 127.0.0.1:0\npool = a\n"
                     f"[pool a]\nbackend = {quiet.address}\nhealth = off\n"
                     f"[pool b]\nbackend = {checked.address}\nhealth_interval = 20ms\n")
    checked.wait_conns(5)
    assert not quiet.conns
    assert not checked.requests
    assert proxy.verb("status").returncode == 0


# ---- what is asked ----

def test_the_request(lb, backend):
    switched = Switched()
    one = backend(switched)
    lb([one], pool=QUICK)
    r = until(lambda: switched.checks, "a check")[0]
    assert (r.method, r.target, r.minor) == ("GET", "/", 1)
    assert r.one("host") == one.address
    assert r.one("user-agent").startswith("evenkeel-health/")
    assert r.one("connection") == "close"
    assert not r.has("content-length") and not r.has("transfer-encoding")


def test_the_request_by_options(lb, backend):
    switched, other = Switched(), Switched()
    one, two = backend(other, name="one"), backend(switched, name="two")
    lb([one], pool=QUICK + "health_method = OPTIONS\nhealth_path = /up?now=1\n"
       f"health_host = www.example.com\nhealth_port = {two.port}\n")
    r = until(lambda: switched.checks, "a check")[0]
    assert (r.method, r.target, r.one("host")) == ("OPTIONS", "/up?now=1", "www.example.com")
    assert not other.checks


def test_health_port_is_in_the_host(lb, backend):
    switched = Switched()
    two = backend(switched, name="two")
    lb([backend()], pool=QUICK + f"health_port = {two.port}\n")
    assert until(lambda: switched.checks, "a check")[0].one("host") == two.address


@pytest.mark.parametrize("version,header", [
    ("v1", b"PROXY UNKNOWN\r\n"),
    ("v2", b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0")])
@pytest.mark.parametrize("kind", ["tcp", "http"])
@pytest.mark.plain_only("back: the header comes before TLS, as in test_tls_health.py")
def test_proxy_protocol(lb, backend, version, header, kind):
    seen = []

    def script(conn):
        seen.append(conn.stream.rest() if kind == "tcp" else conn.sock.recv(len(header)))
        if kind == "http":
            conn.request()
            conn.answer(b"x")
    proxy = lb([backend(script, name="one")], admin=True,
               pool=f"health = {kind}\nhealth_interval = 20ms\nproxy_protocol = {version}\n")
    until(lambda: len(seen) >= 3, "three checks")
    assert set(seen) == {header}
    assert condition(proxy, "one")["state"] == "up"


def test_unix_sockets(lb, backend, tmp_path):
    path = str(tmp_path / "s")
    switched = Switched()
    one = backend(switched, name="one", address=path)
    proxy = lb([one], pool=QUICK, admin=True)
    assert until(lambda: switched.checks, "a check")[0].one("host") == "localhost"
    os.unlink(path)
    proxy.said_at("backend one is down: 3 checks failed, last: no such socket file")


# ---- what is no good answer ----

def after_request(data, end=None):
    def script(conn):
        conn.request()
        if data:
            conn.send(data)
        if end:
            getattr(conn, end)()
        else:
            conn.closed()
    return script


def drip(conn):
    """A head that never ends, a byte at a time."""
    conn.request()
    conn.send(b"HTTP/1.1 200 OK\r\nX: ")
    pause = threading.Event()
    while not pause.wait(0.02):
        conn.send(b"x")


HEAD = b"HTTP/1.1 200 OK\r\n"
ANSWERS = {
    "garbage": (after_request(b"hello\r\n\r\n"), "", "malformed answer: "),
    "http2": (after_request(b"HTTP/2 200 OK\r\n\r\n"), "", "malformed answer: "),
    "two lengths": (after_request(HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n"),
                    "", "malformed answer: more than one Content-Length"),
    "bare lf": (after_request(b"HTTP/1.1 200 OK\nContent-Length: 0\n\n"), "", "malformed answer: bare CR or LF"),
    "endless head": (after_request(HEAD + b"X: " + b"x" * 100000), "", "malformed answer: head too long"),
    "too many fields": (after_request(HEAD + b"X: x\r\n" * 2000), "", "malformed answer: too many fields"),
    "100 flood": (after_request(b"HTTP/1.1 100 Continue\r\n\r\n" * 20000), "",
                  "too many informational responses"),
    "dripping head": (drip, "", "timed out after 0.3 s (no whole answer)"),
    "part of a head": (after_request(b"HTTP/1.1 200 O"), "",
                       "timed out after 0.3 s (no whole answer)"),
    "silence": (after_request(b""), "", "timed out after 0.3 s (no answer)"),
    "end": (after_request(b"", "close"), "", "closed without an answer"),
    "half close": (after_request(b"", "half_close"), "", "closed without an answer"),
    "reset": (after_request(b"", "reset"), "", "connection reset"),
    "end in the head": (after_request(b"HTTP/1.1 200 OK\r\nX", "close"), "",
                        "closed inside the response head"),
    "503": (after_request(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"), "", "status 503"),
    "404": (after_request(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"), "", "status 404"),
    "redirect": (after_request(b"HTTP/1.1 302 F\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"),
                 "health_status = 200-299, 304\n", "status 302"),
    "switched": (after_request(b"HTTP/1.1 101 S\r\nUpgrade: x\r\n\r\n"), "", "status 101"),
    "other body": (after_request(HEAD + b"Content-Length: 5\r\n\r\nwrong"),
                   "health_body = good\n", 'body does not contain "good"'),
    "no body": (after_request(HEAD + b"Content-Length: 0\r\n\r\n"),
                "health_body = good\n", 'body does not contain "good"'),
    "cut body": (after_request(HEAD + b"Content-Length: 50\r\n\r\nwrong", "close"),
                 "health_body = good\n", "closed inside the body"),
    "body until close": (after_request(HEAD + b"\r\nwrong", "close"),
                         "health_body = good\n", 'body does not contain "good"'),
    "too late": (after_request(HEAD + b"Content-Length: 5000\r\n\r\n" + b"x" * 4093 + b"good"),
                 "health_body = good\n", 'body does not contain "good"'),
    "bad chunk": (after_request(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0x4\r\ngood\r\n"),
                  "health_body = good\n", "malformed answer: invalid chunk size"),
    "part of a body": (after_request(HEAD + b"Content-Length: 50\r\n\r\ngoo"),
                       "health_body = good\n", "timed out after 0.3 s (no whole answer)"),
}


@pytest.mark.plain_only("back: checks of 0.3 s; test_tls_health.py has those over TLS")
@pytest.mark.parametrize("name", ANSWERS)
def test_bad_answers(lb, backend, name):
    script, options, why = ANSWERS[name]
    proxy = lb([backend(script, name="one"), backend(name="two")], pool=QUICK + options,
               admin=True)
    proxy.said_at(f"pool web: backend one is down: 3 checks failed, last: {why}")
    entry = condition(proxy, "one")
    assert entry["state"] == "down" and entry["last_check_failed"]
    assert entry["reason"].startswith(f"3 checks failed, last: {why}")
    assert proxy.verb("status").stdout.count(entry["reason"]) >= 1


CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
GOOD = {
    "at once": (HEAD + b"Content-Length: 4\r\n\r\ngood", "health_body = good\n"),
    "in one-byte chunks": (HEAD + CHUNKED + b"".join(b"1;x=y\r\n%c\r\n" % c
                                                     for c in b"it is good") + b"0\r\n\r\n",
                           "health_body = is good\n"),
    "in the last place": (HEAD + b"Content-Length: 5000\r\n\r\n" + b"x" * 4092 + b"good",
                          "health_body = good\n"),
    "before an end that never comes": (HEAD + CHUNKED + b"4\r\ngood\r\n", "health_body = good\n"),
    "after 1xx": (b"HTTP/1.1 103 E\r\nLink: x\r\n\r\n" * 5 + HEAD + b"Content-Length: 0\r\n\r\n",
                  ""),
    "head alone": (HEAD + b"Content-Length: 1000\r\n\r\n", ""),
    "http/1.0": (b"HTTP/1.0 200 OK\r\n\r\ngood", "health_body = good\n"),
    "304": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", ""),
    "chosen status": (b"HTTP/1.1 503 No\r\n\r\n", "health_status = 503\n"),
    "HEAD": (HEAD + b"Content-Length: 1000\r\n\r\n", "health_method = HEAD\n"),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_answers(lb, backend, name):
    data, options = GOOD[name]
    proxy = lb([backend(after_request(data), name="one")], admin=True,
               pool=QUICK + "health_initial = down\n" + options)
    proxy.said_at("pool web: backend one is up: 2 checks passed")
    until(lambda: condition(proxy, "one")["checks"]["ok"] >= 5, "good checks")
    assert condition(proxy, "one")["checks"]["failed"] == 0


def test_a_text_cut_in_pieces(lb, backend):
    """Each piece arrives by itself."""
    def script(conn):
        conn.request()
        for piece in (HEAD + b"Content-Length: 100\r\n\r", b"\nxxgo", b"o", b"dxx"):
            conn.send(piece)
            arrived(conn.sock)
        conn.closed()
    proxy = lb([backend(script, name="one")], admin=True,
               pool=QUICK + "health_initial = down\nhealth_body = good\n")
    proxy.said_at("pool web: backend one is up: 2 checks passed")


def test_a_stopped_process_times_out(lb, free_port, tmp_path, cleanup):
    port = free_port()
    with subprocess.Popen(["/usr/bin/python3", "-m", "http.server", "-b", "127.0.0.1",
                           "-d", str(tmp_path), str(port)], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as process:
        cleanup["backend"].append(process.kill)
        proxy = lb([f"127.0.0.1:{port} name=one"], pool=QUICK + "health_initial = down\n",
                   admin=True)
        until_state(proxy, "one", "up")
        process.send_signal(signal.SIGSTOP)
        proxy.said_at("backend one is down: 3 checks failed, last: timed out after 0.3 s")
        assert condition(proxy, "one")["checks"]["timeout"] >= 3
        process.send_signal(signal.SIGCONT)
        proxy.said_at("backend one is up again after ")
        process.kill()


def test_slow_is_not_down(lb, backend, client):
    """Checks time out; requests are answered: it stays.  Without them it goes."""
    def script(conn):
        while True:
            request = conn.request()
            if "evenkeel-health" in str(request.fields):
                conn.closed()
                return
            conn.answer(b"x")
    proxy = lb([backend(script, name="one"), backend(name="two")], admin=True,
               pool="health = http\nhealth_interval = 100ms\nhealth_timeout = 100ms\n")
    c = client(proxy)

    def timeouts():
        assert c.ask().status == 200
        return condition(proxy, "one")["checks"]["timeout"]
    until(lambda: timeouts() >= 8, "eight timeouts")
    assert "is down" not in proxy.stderr()
    until_state(proxy, "one", "down")


# ---- what follows ----

def test_a_waiting_request_starts_when_a_backend_comes_up(lb, backend, client):
    gate = Gate()

    def script(conn):
        while True:
            request = conn.request()
            if "evenkeel-health" in str(request.fields):
                gate.wait()
            conn.answer(b"here")
    proxy = lb([backend(script, name="one")], workers=2, admin=True,
               pool="health = http\nhealth_interval = 20ms\nhealth_timeout = 10s\n"
               "health_initial = down\nqueue_timeout = 10s\n")
    waiting = [client(proxy).request() for _ in range(8)]
    until(lambda: proxy.waiting() == 8, "all to wait")
    gate.open()
    for c in waiting:
        assert c.response().body == b"here"
    assert proxy.waiting() == 0


def test_nothing_usable(lb, backend, client, cleanup):
    one = backend(name="one")
    proxy = lb([one], pool="health_interval = 30ms\nhealth = tcp\nqueue_timeout = 50ms\n",
               admin=True)
    with Client(proxy.admin_port) as c:
        assert c.ask(target="/readyz").status == 200
    one.stop()
    proxy.said_at("error pool web: no backend is usable any more: 1 down, 0 ejected, 0 draining")
    with Client(proxy.admin_port) as c:
        r = c.ask(target="/readyz")
        assert (r.status, r.body) == (503, b"no pool has a usable backend\n")
        assert c.ask(target="/healthz").status == 200
    assert status(proxy)["pools"][0]["usable"] == 0
    r = client(proxy).ask()
    assert r.status == 503 and r.has("retry-after")
    again(cleanup, one)
    proxy.said_at("pool web: a backend is usable again")
    with Client(proxy.admin_port) as c:
        assert c.ask(target="/readyz").status == 200
    assert client(proxy).ask().status == 200


def test_backups_take_over(lb, backend, client, cleanup):
    one, two = backend(name="one"), backend(name="two")
    proxy = lb([one, f"{two.address} name=two backup"],
               pool="health_interval = 30ms\nhealth = tcp\n", admin=True)
    assert asked(client, proxy, 5) == ["one"] * 5
    one.stop()
    proxy.said_at("pool web: only backups are usable")
    assert asked(client, proxy, 5) == ["two"] * 5
    again(cleanup, one)
    proxy.said_at("pool web: the backups are not needed any more")
    assert asked(client, proxy, 5) == ["one"] * 5


@pytest.mark.parametrize("balance", ["least_connections", "random_two", "hash"])
def test_every_way_of_balancing_leaves_it_out(lb, backend, client, balance):
    one, two = backend(name="one"), backend(name="two")
    proxy = lb([one, two], pool=f"health = tcp\nhealth_interval = 30ms\nbalance = {balance}\n"
               "hash_on = path\n", admin=True)
    one.stop()
    until_state(proxy, "one", "down")
    c = client(proxy)
    assert {c.ask(target=f"/{i}").body for i in range(40)} == {b"two"}


def test_metrics(lb, backend):
    one = backend(name="one")
    proxy = lb([one, backend(name="two")], pool=QUICK, admin=True)
    until(lambda: condition(proxy, "one")["checks"]["ok"] > 0, "a check")
    one.stop()
    until_state(proxy, "one", "down")
    f = scrape(proxy)
    assert f["evenkeel_backend_up"].values(pool="web", backend="one") == [0]
    assert f["evenkeel_backend_up"].values(pool="web", backend="two") == [1]
    states = {ls["state"]: v for _, ls, v in f["evenkeel_backend_state"].samples
              if ls["backend"] == "one"}
    assert states == {"up": 0, "down": 1, "ejected": 0, "draining": 0}
    checks = f["evenkeel_health_checks_total"]
    assert checks.total(backend="one", result="ok") >= 1
    assert checks.total(backend="one", result="failed") >= 3
    assert checks.values(backend="two", result="timeout") == [0]
    for family in ("retries_total", "retries_denied_total", "backoff_seconds"):
        assert f"evenkeel_{family}" in f


@pytest.mark.threaded
def test_flapping_under_load(lb, backend, client):
    """Rotations are replaced while workers read them."""
    switched = Switched()
    proxy = lb([backend(switched, name="one"), backend(name="two")], workers=3, admin=True,
               pool="health = http\nhealth_interval = 5ms\nhealth_rise = 1\nhealth_fall = 1\n")
    over = threading.Event()

    def load():
        with Client(proxy.port) as c:
            while not over.is_set():
                assert c.ask().status == 200
    threads = [threading.Thread(target=load) for _ in range(4)]
    for t in threads:
        t.start()
    try:
        for i in range(20):
            switched.status = "500 No" if i % 2 == 0 else "200 OK"
            until_state(proxy, "one", "down" if i % 2 == 0 else "up")
    finally:
        over.set()
        for t in threads:
            t.join()
    until(lambda: proxy.stderr().count("backend one is down") >= 10, "ten times down in the log")
    # What was replaced is freed, also when no worker has anything to do.
    until(lambda: status(proxy)["rotations_retired"] == 0, "no rotation left to be freed")


class Held:
    """One check that is answered when the test says so."""

    def __init__(self):
        self.asked, self.answering, self.answered = Gate(), Gate(), Gate()


def test_a_late_evenkeel_takes_nobody_for_down(lb, backend):
    """It stands still beyond health_timeout; the answer comes meanwhile, but late."""
    hold = [None]

    def script(conn):
        held, hold[0] = hold[0], None
        conn.request()
        if held:
            held.asked.open()
            held.answering.wait()
        conn.answer(b"x")
        if held:
            held.answered.open()
    proxy = lb([backend(script, name="one")], admin=True,
               pool="health = http\nhealth_interval = 20ms\nhealth_timeout = 400ms\n"
               "health_fall = 1\n")
    for _ in range(3):
        held = hold[0] = Held()
        held.asked.wait()
        with standing_still(proxy):
            end = time.monotonic() + 0.5
            until(lambda: time.monotonic() > end, "time to pass")
            held.answering.open()
            held.answered.wait()
        count = condition(proxy, "one")["checks"]["ok"]
        until(lambda: condition(proxy, "one")["checks"]["ok"] > count, "good checks")
    checks = condition(proxy, "one")["checks"]
    assert checks["failed"] == 0 and checks["timeout"] == 0


@pytest.mark.plain_only("back: the backend comes after the file is written")
def test_refused_at_once_and_listening_later(lb, free_port, cleanup, client):
    """A backend that is not there at the start comes when it does."""
    port = free_port()
    proxy = lb([f"127.0.0.1:{port} name=late"], pool=FAST + "health = tcp\n", admin=True)
    until_state(proxy, "late", "down")
    made = Backend(None, "late", address=("127.0.0.1", port))
    cleanup["backend"].append(made.stop)
    until_state(proxy, "late", "up")
    assert client(proxy).ask().body == b"late"


def test_many_backends_are_spread(lb, backend, evenkeel):
    """Of many, the first checks do not come all at once."""
    lines = many(backend, 200)
    proxy = evenkeel("[global]\nworkers = 1\n[admin]\nlisten = 127.0.0.1:0\n"
                     "[listener main]\nbind = 127.0.0.1:0\n"
                     f"[pool web]\n{lines}health_interval = 2s\n")

    def checked():
        return sum(b["checks"]["ok"] for b in status(proxy)["pools"][0]["backends"])
    counts = []

    def note():
        counts.append(checked())
        return counts[-1] >= 200
    until(note, "all to be checked once")
    assert sum(1 for a, b in zip(counts, counts[1:]) if b > a) >= 10, counts
    assert status(proxy)["pools"][0]["usable"] == 200
    assert status(proxy)["pools"][0]["backends"][0]["since_s"] < 60


def test_out_of_descriptors_is_nobodys_fault(lb, backend, tool, evenkeel):
    """Checks that cannot be made here take no backend out."""
    lines = many(backend, 60)
    proxy = evenkeel("[global]\nworkers = 1\nmax_connections = 1000\n"
                     "[admin]\nlisten = 127.0.0.1:0\n"
                     "[listener main]\nbind = 127.0.0.1:0\n"
                     f"[pool web]\n{lines}health = tcp\nhealth_interval = 50ms\n"
                     "health_timeout = 20ms\n", prefix=(tool("prlimit"), "--nofile=64:64"))
    held = []
    try:
        for _ in range(100):
            held.append(socket.create_connection(("127.0.0.1", proxy.port)))
        proxy.said_at("could not be checked: out of file descriptors")
        assert "is down" not in proxy.stderr()
    finally:
        for s in held:
            s.close()
