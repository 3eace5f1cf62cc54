"""Every n-th allocation and call fails: the process lives, and serves the next request.

Needs evenkeel_faults (test/fault), which lies beside the sanitized debug build.
EVENKEEL_FAULTS=full also fails the n-th and those behind it, and takes every error
everywhere; ./dev test takes a part of that.
"""
import concurrent.futures
import itertools
import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

from harness import Backend, Broken, Client, Evenkeel, until
from harness import metrics
from harness.backend import answer
from harness.faults import Board, fault_build
from harness.flow import BLOCK
from harness.proxy import REPORTS, environment, files_of
from harness.tls import certs

FULL = os.environ.get("EVENKEEL_FAULTS") == "full"
# Whatever they say, it is dealt with in the same way: in short, one error is enough.
ALIKE = {"accept4", "socket", "connect", "epoll_ctl", "open", "opendir", "close"}
# Nothing here waits for a timeout of evenkeel: they are far longer.
ANSWER_S = 6
# Beyond what was counted, as other threads count, too.
MARGIN = 3
AT_REST_S = 0.1
# Of a sweep with a process for each n, to run beside each other.
PARTS = 2
UPLOAD = BLOCK * 3
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"

pytestmark = [pytest.mark.skipif(not fault_build().exists(), reason=f"no {fault_build()}"),
              pytest.mark.plain_only("its figures are those of plain connections")]


class Refused(Exception):
    """evenkeel said that it could not."""


# ---- the other side ----

def chunked(body, size):
    parts = [body[i:i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts) + b"0\r\n\r\n"


ARRIVED = set()  # targets that were asked for once
NTH = itertools.count()  # makes them different


def first_time(target):
    before = target in ARRIVED
    ARRIVED.add(target)
    return not before


def obey(conn):
    """Does what the target of each request says."""
    while True:
        message = conn.request()
        if message.target.startswith("/cut/") and first_time(message.target):
            return
        if message.target.startswith("/busy/") and first_time(message.target):
            conn.send(answer(b"503 busy", "503 Busy", ["Proxy-Status: backend"]))
        elif message.target == "/tunnel":
            conn.send(SWITCH)
            while not conn.stream.ended or conn.stream.buf:
                conn.stream.need(bool)
                data, conn.stream.buf = conn.stream.buf, b""
                conn.send(data)
        elif message.target == "/chunked":
            conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
                      chunked(message.body, 5000))
        elif message.target == "/large":
            conn.send(answer(UPLOAD))
        elif message.target == "/large/chunked":
            conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
                      chunked(UPLOAD, 40000))
        elif message.target == "/large/close":
            conn.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + UPLOAD)
            return
        else:
            conn.send(answer(message.body or b"plain"))


def obey_proxied(conn):
    """One that is told who the client is."""
    assert conn.stream.line().split()[:2] in ([b"PROXY", b"TCP4"], [b"PROXY", b"UNKNOWN"])
    obey(conn)


CONFIG = """
[global]
workers = {workers}
shutdown_timeout = 5s
access_log = access.log
access_log_format = json
{top}
[admin]
listen = 127.0.0.1:0
[listener tcp]
pool = fresh
bind = 127.0.0.1:0
{times}
[listener greeted]
bind = 127.0.0.1:0
proxy_protocol = on
pool = fresh
{times}
[listener path]
bind = unix:{folder}/front
pool = path
{times}
[pool fresh]
backend = {address} name=fresh
keepalive = 0
{waits}
[pool kept]
backend = {address} name=kept
{waits}
[pool path]
backend = unix:{folder}/back name=path
keepalive = 0
{waits}
[pool queue]
backend = {address} name=queue max=1
keepalive = 0
{waits}
[pool hash]
backend = {address} name=h0
backend = {other} name=h1
balance = hash
hash_on = header:X-Key
{waits}
[pool told]
backend = {told} name=told
proxy_protocol = v1
{waits}
[pool refusing]
backend = 127.0.0.1:1 name=refusing
{waits}
[pool again]
backend = {address} name=a0
backend = {other} name=a1
{retried}
[pool elsewhere]
backend = 127.0.0.1:1 name=gone
backend = {other} name=there
{retried}
{routes}
"""
POOLS = ("fresh", "kept", "queue", "hash", "told", "refusing", "again", "elsewhere")
TIMES = "header_timeout = 1m\nbody_timeout = 1m\nsend_timeout = 1m\n"
WAITS = "connect_timeout = 1m\nresponse_timeout = 1m\nqueue_timeout = 1m\nrequest_timeout = 5m\n"
# What happens to one attempt is seen without others behind it, and without
# checks in between, which are calls and descriptors, too.
ONE_ATTEMPT = "health = off\neject_failures = 0\nretry_attempts = 0\n"
# One that the scenario asks for, and one for the fault.
RETRIES = "health = off\neject_failures = 0\nretry_attempts = 3\nretry_budget = 100%\n" \
          "retry_base = 1ms\nretry_cap = 2ms\n"
CHECKS = "health_interval = 20ms\nhealth_timeout = 1m\nhealth_fall = 20\n"


class Bench:
    """evenkeel_faults with its board, between backends that obey."""

    def __init__(self, folder, top="", workers=1, checks=None):
        self.folder, self.answers = folder, []
        self.board = Board(folder / "board")
        patient = {"deadline_s": 600}
        self.backends = [Backend(obey, **patient), Backend(obey, **patient),
                         Backend(obey_proxied, **patient),
                         Backend(obey, address=str(folder / "back"), **patient)]
        waits, retried = WAITS + ONE_ATTEMPT, WAITS + RETRIES
        if checks is not None:
            waits, retried = (text.replace("health = off\n", f"health = {checks}\n{CHECKS}")
                              for text in (waits, retried))
        text = CONFIG.format(
            top=top, workers=workers, folder=folder, times=TIMES, waits=waits, retried=retried,
            address=self.backends[0].address, other=self.backends[1].address, told=self.backends[2].address,
            routes="\n".join(f"[route {p}]\nhost = {p}.test\nlistener = tcp\npool = {p}"
                             for p in POOLS))
        self.lb = Evenkeel(folder, text, binary=fault_build(), env=self.board.env)
        self.board.ready()
        self.files = self.lb.open_files()

    def client(self, to=None):
        made = Client(to or self.lb.port, deadline_s=ANSWER_S)
        made.log = self.answers
        return made

    def drop_backends(self):
        """Idle connections to backends end."""
        for b in self.backends:
            for conn in b.conns:
                conn.close()
            b.conns.clear()

    def metric(self, name):
        with self.client(self.lb.admin_port) as c:
            return metrics.parse(c.ask(target="/metrics").body.decode())[name].total()

    def at_rest(self):
        """No thread turns in circles."""
        spent = []
        for task in pathlib.Path(f"/proc/{self.lb.pid}/task").iterdir():
            spent.append(task / "schedstat")

        def total():
            return sum(int(p.read_text().split()[0]) for p in spent) / 1e9
        before = total()
        time.sleep(AT_REST_S)  # the pace is what is looked at
        assert total() - before < AT_REST_S / 2, "it is busy with nothing"

    def settled(self):
        """Nobody is there, and nothing of them is left."""
        self.board.disarm()
        self.board.at.one_byte = 0
        self.drop_backends()
        until(lambda: self.lb.open_files() == self.files,
              lambda: f"{self.files} descriptors, there are {self.lb.open_files()}")
        assert self.lb.few_pipes(), files_of(self.lb.pid)
        for name in ("evenkeel_connections", "evenkeel_backend_inflight",
                     "evenkeel_queue_length"):
            assert self.metric(name) == 0, name
        self.at_rest()

    def stop(self):
        self.lb.stop()
        for b in self.backends:
            b.stop()


@pytest.fixture
def bench(tmp_path):
    made = []

    def make(**more):
        folder = tmp_path / f"b{len(made)}"
        folder.mkdir()
        made.append(Bench(folder, **more))
        return made[-1]
    yield make
    errors = []
    for b in made:
        try:
            b.stop()
        except AssertionError as e:
            errors.append(e)
    if errors:
        raise errors[0]


# ---- scenarios: whole, Refused, or Broken ----

def got(c, body=b"plain"):
    """The answer is this one, or none: never another."""
    try:
        r = c.response()
    except Broken as e:
        assert e.message is None or body.startswith(e.message.body)
        raise
    if r.status in (502, 503, 504):
        assert r.has("proxy-status") and r.body.startswith(b"%d " % r.status)
        raise Refused(r.status)
    assert r.status == 200 and r.body == body, (r.status, r.body[:100])
    c.log.append((r.head, r.body, r.trailers))


def plain(b):
    with b.client() as c:
        got(c.request(host="fresh.test"))


def kept_alive(b):
    with b.client() as c:
        for _ in range(3):
            got(c.request(host="kept.test"))


def pipelined(b):
    with b.client() as c:
        c.send(b"GET / HTTP/1.1\r\nHost: kept.test\r\n\r\n" * 4)
        for _ in range(4):
            got(c)


def post_length(b):
    with b.client() as c:
        c.request("POST", body=BLOCK[:5000], host="fresh.test")
        got(c, BLOCK[:5000])


def post_expecting(b):
    with b.client() as c:
        c.request("POST", fields=["Expect: 100-continue", "Content-Length: 4"],
                  host="fresh.test").send(b"body")
        got(c, b"body")


def chunked_both_ways(b):
    with b.client() as c:
        c.request("POST", "/chunked", host="fresh.test", fields=["Transfer-Encoding: chunked"])
        c.send(chunked(BLOCK[:9000], 1000)[:-2] + b"X-Trailer: yes\r\n\r\n")
        got(c, BLOCK[:9000])


def large_download(b):
    with b.client() as c:
        got(c.request(target="/large", host="fresh.test"), UPLOAD)


def large_chunked(b):
    with b.client() as c:
        got(c.request(target="/large/chunked", host="fresh.test"), UPLOAD)


def large_until_close(b):
    """A client of HTTP/1.0 gets it as it comes, and it ends with the connection."""
    with b.client() as c:
        got(c.send(b"GET /large/close HTTP/1.0\r\nHost: fresh.test\r\n\r\n"), UPLOAD)


def retried(b):
    """The first backend asked says nothing or 503; another one answers."""
    with b.client() as c:
        for kind in ("cut", "busy"):
            got(c.request(target=f"/{kind}/{next(NTH)}", host="again.test"))


def retried_elsewhere(b):
    with b.client() as c:
        got(c.request(host="elsewhere.test"))
        got(c.request(host="elsewhere.test"))


def replayed(b):
    """Bodies that are kept and sent a second time; one outgrows its buffer."""
    with b.client() as c:
        for kind, body in (("cut", BLOCK[:5000]), ("busy", BLOCK[:60000])):
            c.request("PUT", f"/{kind}/{next(NTH)}", body=body, host="again.test")
            got(c, body)


def large_upload(b):
    with b.client() as c:
        c.request("POST", body=UPLOAD, host="fresh.test")
        got(c, UPLOAD)


def tunnel(b):
    with b.client() as c:
        c.request(target="/tunnel", fields=["Connection: Upgrade", "Upgrade: echo"],
                  host="fresh.test")
        r = c.response()
        if r.status != 101:
            assert r.status in (502, 503, 504)
            raise Refused(r.status)
        for i in range(3):
            c.send(b"frame %d" % i)
            c.stream.need(lambda buf, i=i: buf == b"frame %d" % i)
            c.stream.buf = b""
        c.half_close()
        assert c.stream.rest() == b""
        if c.stream.was_reset:
            raise Broken("reset")


def queued(b):
    """The first holds the only connection; its other half comes when the second waits."""
    with b.client() as first, b.client() as second, b.client() as third:
        first.request("POST", host="queue.test", fields=["Content-Length: 4"]).send(b"he")
        second.request(host="queue.test")
        got(third.request(host="fresh.test"))
        first.send(b"ld")
        got(first, b"held")
        got(second)


def unix_sockets(b):
    with b.client(str(b.folder / "front")) as c:
        got(c.request())


def greeted(b):
    with b.client(b.lb.ports[1]) as c:
        c.send(b"PROXY TCP4 203.0.113.9 192.0.2.1 5000 80\r\n")
        got(c.request())


def told(b):
    with b.client() as c:
        got(c.request(host="told.test"))


def hashed(b):
    with b.client() as c:
        for key in "abcd":
            got(c.request(host="hash.test", fields=[f"X-Key: {key}"]))


def refusing(b):
    with b.client() as c:
        c.request(host="refusing.test")
        try:
            got(c)
        except Refused:
            got(c.request(host="fresh.test"))


def bad_request(b):
    with b.client() as c:
        c.send(b"GET / HTTP/1.1\r\nHost: h\r\nBad Name: x\r\n\r\n")
        r = c.response()
        assert r.status in (400, 503)
        if not c.at_end() or r.status == 503:
            raise Broken("no clean end")


def page(target, check):
    def scenario(b):
        with b.client(b.lb.admin_port) as c:
            r = c.ask(target=target)
            if r.status == 503:
                raise Refused(r.status)
            assert r.status == 200
            check(r.body.decode())
    return scenario


def control_status(b):
    with b.client(str(b.lb.control)) as c:
        r = c.ask(target="/status")
        if r.status == 503:
            raise Refused(r.status)
        assert r.status == 200 and "pool" in r.body.decode()


def full_house(b):
    """With max_connections = 1: the second is let in when the first leaves."""
    with b.client() as first:
        got(first.request(host="fresh.test"))
        second = b.client().request(host="fresh.test")
    with second:
        got(second)


SCENARIOS = {
    "plain": plain, "kept alive": kept_alive, "pipelined": pipelined,
    "length": post_length, "expecting": post_expecting, "chunked": chunked_both_ways,
    "large download": large_download, "large chunked": large_chunked,
    "large until close": large_until_close, "large upload": large_upload, "tunnel": tunnel,
    "retried": retried, "retried elsewhere": retried_elsewhere, "replayed": replayed,
    "queued": queued, "unix sockets": unix_sockets, "greeted": greeted, "told": told,
    "hashed": hashed, "refusing": refusing, "bad request": bad_request,
    "metrics": page("/metrics", metrics.parse), "status page": page("/status", json.loads),
    "control status": control_status,
}


# ---- sweeps ----

def whole(b, scenario):
    """Runs it; whether it came to its end, or was refused or broken off."""
    try:
        scenario(b)
        return True
    except TimeoutError:
        raise
    except (Refused, Broken, OSError):
        return False


def faulty(b, scenario, kind, nth, run=1, variant=0):
    """One fault; then the same without one must go well.  -> whether it struck."""
    b.board.arm(kind, nth, run, variant)
    try:
        served = whole(b, scenario)
        b.board.disarm()
        assert served or run > 1 or not b.board.harmless(kind), "it should make no difference"
        assert b.lb.process.poll() is None, "the process ended"
        scenario(b)
    except Exception as e:
        raise AssertionError(
            f"{kind} {nth}, {run} of them, variant {variant} ({b.board.last(kind)}): "
            f"{e!r}\n{b.lb.stderr()[-3000:]}") from e
    return b.board.failed(kind) > 0


def count(b, scenario, kind):
    """How many of a kind the scenario makes."""
    most = 0
    for _ in range(3):
        b.board.arm(kind, 0)
        scenario(b)
        most = max(most, b.board.count(kind))
    return most


def errors_to_try(b, kind, short):
    """How many of the errors that fit what failed last."""
    if kind == "allocs" or short and b.board.last(kind) in ALIKE:
        return 1
    return b.board.variants()


def sweep(b, scenario, kind, short=not FULL):
    """Every n, the errors that fit, and bursts; -> how many struck."""
    struck = 0
    for nth in range(1, count(b, scenario, kind) + MARGIN + 1):
        for run in (1,) if short else (1, 2, 3, 8):
            variant = 0
            while faulty(b, scenario, kind, nth, run, variant):
                struck += 1
                variant += 1
                if variant >= errors_to_try(b, kind, short):
                    break
    return struck


@pytest.mark.parametrize("kind", ["calls", "allocs"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_one_fails_and_the_next_is_served(bench, name, kind):
    b = bench()
    scenario = SCENARIOS[name]
    scenario(b)
    short = not FULL and name != "plain"
    assert sweep(b, scenario, kind, short) > 0, "nothing failed: the hook is not at work"
    # Bodies in bulk of known length or until the end pass through pipes.
    if name in ("large download", "large until close", "large upload"):
        assert {"pipe2", "setpipe", "splice"} <= b.board.seen()
    b.settled()


@pytest.mark.parametrize("kind", ["calls", "allocs"])
@pytest.mark.parametrize("checks", ["tcp", "http"])
def test_checks_go_on(bench, checks, kind):
    """Whatever fails, in a check or beside it: it is no backend's fault, nor a client's."""
    still = bench()
    files = still.files
    still.stop()
    b = bench(checks=checks)
    b.files = files

    def scenario(b):
        retried(b)
        large_download(b)
    scenario(b)
    assert sweep(b, scenario, kind) > 0
    before = b.metric("evenkeel_health_checks_total")
    until(lambda: b.metric("evenkeel_health_checks_total") > before + 20, "more checks")
    b.lb.verb("status")
    b.settled()


# What this side is out of: memory, descriptors; and where it is missed.
WANTS = [("socket", 0), ("socket", 2), ("connect", 4), ("epoll_ctl", 0), ("sendmsg", 5),
         ("send", 5), ("send", 6), ("recv", 4)]


@pytest.mark.parametrize("call, variant", WANTS)
def test_want_is_no_fault_of_a_backend(bench, call, variant):
    """It is told at once, with 503; nobody is asked instead, and nobody is ejected for it."""
    b = bench()
    b.lb.stop()
    text = b.lb.file.read_text().replace("eject_failures = 0", "eject_failures = 1")
    text = text.replace("[pool again]\n", "[pool again]\nkeepalive = 0\n")
    b.lb = Evenkeel(b.folder, text, binary=fault_build(), env=b.board.env)
    b.files = b.lb.open_files()
    refused, before = 0, -1
    # The first recv is the client's: one that breaks there asked for nothing.
    for nth in range(1 + (call == "recv"), 9):
        with b.client() as c:
            got(c.request(host="again.test"))
            before = len(b.lb.access(before + 2))
            # Out of descriptors: an idle connection is closed, and it tries again.
            b.board.arm("calls", nth, 2 if call == "socket" else 1, variant, only=call)
            c.request("PUT", "/", body=BLOCK[:60000], host="again.test")
            whole(b, lambda _, c=c: got(c, BLOCK[:60000]))
            b.board.disarm()
        record = b.lb.access(before + 1)[-1]
        if record["status"] == 503:
            refused += 1
            assert record["end"] == "internal" and record["retries"] == 0, record
            assert [a["outcome"] for a in record["attempts"]] == ["cancelled"], record
    assert refused
    state = json.loads(b.lb.verb("status", "--json").stdout)
    again = next(p for p in state["pools"] if p["name"] == "again")
    assert all(x["state"] == "up" for x in again["backends"]), again
    b.settled()


# A pipe that is not to be had, or not to be used: large bodies are copied.
NO_PIPES = [("pipe2", 0), ("setpipe", 0), ("splice", 1), ("splice", 2), ("splice", 3),
            ("splice", 5)]


@pytest.mark.parametrize("scenario", [large_download, large_upload, large_until_close])
@pytest.mark.parametrize("call, variant", NO_PIPES)
def test_without_pipes_bodies_are_copied(bench, call, variant, scenario):
    """From the first, or from the third on, so that some bytes lie in a pipe."""
    b = bench()
    for nth in (1, 2, 3):
        b.board.arm("calls", nth, 10**9 if variant not in (1, 2) else 40, variant, only=call)
        scenario(b)
        if nth == 1:
            assert b.board.failed("calls")
    b.settled()


@pytest.mark.parametrize("kind", ["calls", "allocs"])
def test_full_house(bench, kind):
    b = bench(top="max_connections = 1")
    full_house(b)
    assert sweep(b, full_house, kind) > 0
    b.settled()


def test_mail_between_workers(bench):
    """Whoever frees the slot another worker waits for wakes it, also when interrupted."""
    b = bench(workers=2)
    for nth in range(1, 21 if not FULL else 201):
        b.board.arm("calls", nth % 3 + 1, run=nth % 2 + 1, only=("write", "read")[nth % 2])
        queued(b)
    b.settled()


def test_logs_opened_anew(bench):
    """USR1 with failures keeps the old file or takes the new one; the next USR1 works."""
    b = bench()
    plain(b)
    for nth in range(1, 16):
        for variant in range(5 if FULL else 2):
            b.board.arm("calls", nth, 1, variant)
            b.lb.signal(signal.SIGUSR1)
            assert whole(b, plain) or b.board.failed("calls")
            b.board.disarm()
            aside = b.lb.access_path.rename(b.folder / "aside")
            b.lb.signal(signal.SIGUSR1)
            until(b.lb.access_path.exists, f"a new file after {nth}, {variant}")
            plain(b)
            b.lb.access(1)
            aside.unlink()
    b.settled()


COLD = {"plain": plain, "chunked": chunked_both_ways, "queued": queued,
        "metrics": SCENARIOS["metrics"]}


@pytest.mark.parametrize("name, one_byte", [(name, one) for name in COLD for one in (0, 1)
                                            if not one or name == "plain" or FULL])
def test_the_first_of_a_process(bench, name, one_byte):
    """What is only allocated once fails in a process of its own each."""
    first, scenario = bench(), COLD[name]
    first.board.at.one_byte = one_byte
    first.board.arm("allocs", 0)
    scenario(first)
    for nth in range(1, first.board.count("allocs") + 1):
        b = bench()
        b.board.at.one_byte = one_byte
        faulty(b, scenario, "allocs", nth, run=nth % 2 + 1)
        b.settled()
        b.stop()


# Call, variant, scenario: what a system that is out of something says to all.
OUTAGES = [("allocs", None, 0, plain), ("allocs", None, 0, kept_alive),
           ("calls", "accept4", 0, plain), ("calls", "accept4", 1, plain),
           ("calls", "accept4", 4, plain), ("calls", "socket", 0, plain),
           ("calls", "connect", 0, plain), ("calls", "epoll_ctl", 0, plain),
           ("calls", "recv", 3, plain), ("calls", "recv", 4, large_upload),
           ("calls", "send", 5, plain), ("calls", "send", 5, large_download),
           ("calls", "write", 2, plain), ("calls", "open", 0, SCENARIOS["metrics"]),
           ("calls", "setsockopt", 0, plain), ("calls", "shutdown", 0, tunnel)]


@pytest.mark.parametrize("kind, call, variant, scenario", OUTAGES)
def test_an_outage_ends(bench, kind, call, variant, scenario):
    """All of them fail while clients come; when they work again, so does evenkeel."""
    b = bench()
    scenario(b)
    b.board.arm(kind, 1, 10**9, variant, only=call)
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        clients = [pool.submit(whole, b, scenario) for _ in range(12)]
        until(lambda: b.board.failed(kind), "a failure")
        concurrent.futures.wait(clients, timeout=0.4)
        struck = b.board.failed(kind)
        b.board.disarm()
        for c in clients:
            c.result()
    # An accept that reports one connection's end is tried at once again.
    assert struck < 3000 or (call, variant) == ("accept4", 1), f"{struck} failures: a spin"
    scenario(b)
    b.settled()


SMALL = [n for n in SCENARIOS if not n.startswith("large") and n != "metrics"]


@pytest.mark.parametrize("name", SMALL)
def test_one_byte_at_a_time(bench, name):
    """Every read and write carries one byte: the answers are the same."""
    b = bench()
    answers = []
    for one_byte in (0, 1):
        b.board.at.one_byte = one_byte
        b.answers = []
        SCENARIOS[name](b)
        answers.append(b.answers)
    assert answers[0] == answers[1]
    for record in b.lb.access():
        assert record["status"]
    b.settled()


def stop_with(bench, kind, nth, variant=0):
    """A stop with one failure, while a request is in flight; -> whether it struck."""
    b = bench()
    kept_alive(b)
    with b.client() as idle, b.client() as busy:
        got(idle.request(host="kept.test"))
        busy.request("POST", host="fresh.test", fields=["Content-Length: 4"]).send(b"he")
        plain(b)
        b.board.arm(kind, nth, 1, variant)
        b.lb.signal(signal.SIGTERM)
        assert whole(b, lambda _: idle.at_end()) or nth
        whole(b, lambda _: got(busy.send(b"ld"), b"held"))
        assert b.lb.wait() == 0, f"{kind} {nth} ({b.board.last(kind)})"
    b.stop()
    return b


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("kind", ["calls", "allocs"])
def test_a_stop_is_clean(bench, kind, part):
    most = stop_with(bench, kind, 0).board.count(kind)
    for nth in range(1 + part, most + 1, PARTS if FULL else 2 * PARTS):
        b = stop_with(bench, kind, nth, nth % 2)
        for variant in range(2, b.board.variants() if FULL and kind == "calls" else 0):
            stop_with(bench, kind, nth, variant)


# ---- processes that begin, or are short ----

VERBS = {"check": ["check"], "secure": ["check"], "serve": ["run"], "refuse": ["check"], "config": ["config", "--defaults"], "status": ["status"],
         "run": ["run"]}
BEGIN = """
[global]
workers = 2
control = {folder}/ctl
access_log = {folder}/access.log
log = {folder}/log
[admin]
listen = 127.0.0.1:0
[listener tcp]
bind = 127.0.0.1:0, unix:{folder}/front
trusted_proxies = 10.0.0.0/8
[pool a]
backend = localhost:1
backend = unix:{folder}/back
[pool b]
backend = 127.0.0.1:2 weight=3
balance = hash
[route b]
listener = tcp
host = b.test
pool = b
[route a]
listener = tcp
pool = a
"""
TLS = """
[listener tls]
bind = 127.0.0.1:0
pool = tls
tls_certificate = {pair.certificate}
tls_key = {pair.key}
tls_client_ca = {ca.certificate}
[pool tls]
backend = https://127.0.0.1:3
backend = https://127.0.0.1:4
tls_ca = {ca.certificate}
tls_certificate = {pair.certificate}
tls_key = {pair.key}
"""
SECURE = ("secure", "serve")


class Beginning:
    """One verb, with its own file and board, started anew each time."""

    def __init__(self, folder, verb, status_of=None):
        self.folder, self.verb, self.runs = folder, verb, VERBS[verb] == ["run"]
        self.board = Board(folder / "board")
        self.file = folder / "lb.ini"
        text = BEGIN.format(folder=status_of or folder)
        if verb in SECURE:
            ca = certs.Authority(folder / "ca")
            text += TLS.format(ca=ca, pair=ca.issue("one", ["DNS:one.test"]))
        self.file.write_text(text + "colour = red\n" if verb == "refuse" else text)
        self.log = folder / "log"

    def ended_or_ready(self, process):
        return process.poll() is not None or \
            (self.log.exists() and "evenkeel ready" in self.log.read_text())

    def once(self, kind, nth, variant=0):
        """Starts it with one failure; -> whether there was one."""
        self.log.unlink(missing_ok=True)
        self.board.arm(kind, nth, 1, variant)
        with open(self.folder / "out", "w+b") as out, open(self.folder / "err", "w+b") as err:
            process = subprocess.Popen(
                [str(fault_build()), "-c", str(self.file), *VERBS[self.verb]], stdout=out,
                stderr=err, env=environment(self.board.env), stdin=subprocess.DEVNULL)
            try:
                if self.runs:
                    until(lambda: self.ended_or_ready(process), "ready, or the end")
                    self.board.disarm()
                    process.terminate()
                code = process.wait(ANSWER_S)
            finally:
                process.kill()
            out.seek(0), err.seek(0)
            said, errors = out.read(), err.read().decode(errors="replace")
        what = f"{kind} {nth} variant {variant} ({self.board.last(kind)}): exit {code}\n{errors}"
        assert code in (0, 1, 2) and not REPORTS.search(errors), what
        assert code == 0 or errors.startswith(("evenkeel: ", str(self.file))), what
        assert code != 0 or self.runs or said, what
        assert code != 0 or self.verb != "refuse", what
        assert code == (2 if self.verb == "refuse" else 0) or self.board.failed(kind), what
        return self.board.failed(kind) > 0


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("kind", ["calls", "allocs"])
@pytest.mark.parametrize("verb", VERBS)
def test_a_failure_at_the_start_is_told(tmp_path, bench, verb, kind, part):
    """A start that fails ends with code 1 or 2 and says why; it neither crashes nor leaks."""
    running = bench().folder if verb == "status" else None
    b = Beginning(tmp_path, verb, running)
    b.once(kind, 0)
    most = b.board.count(kind)
    assert most > 0
    step = 2 * PARTS if kind == "calls" and b.runs and not FULL else PARTS
    # Most of it is what `run` does, too.
    step *= 3 if verb == "serve" and not FULL else 1
    for nth in range(1 + part, most + 1, step):
        variant = nth // step % 2
        struck = b.once(kind, nth, variant)
        for variant in range(variant + 1, b.board.variants() if FULL and struck else 0):
            if kind == "calls":
                b.once(kind, nth, variant)
