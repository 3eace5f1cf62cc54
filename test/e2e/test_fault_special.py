"""
Rows that do not fit the table of faults: uploads that go on while a backend
fails, Expect, HTTP/1.0, pipelines, idle connections that end at the worst
moment, what is passed on in the end.
"""
import socket
import struct
import threading
import time

import pytest

from harness import Backend, Gate, until
from harness.backend import answer
from harness.freeze import arrived, reset_arrived, standing_still
from lab import Fault, good_body

QUIET = """health = off
eject_failures = 0
retry_base = 1ms
retry_cap = 2ms
connect_timeout = 500ms
"""
BUSY = Fault("answer", "503 Service Unavailable")
RESET = Fault("request", "reset")
LIMIT = "retry_body_limit = 4k\n"
METHODS = [("PUT", ()), ("POST", ("Idempotency-Key: 1",))]


def outcomes(record):
    return [a["outcome"] for a in record["attempts"]]


def begin(client, method, size, part, fields=()):
    """A request whose body has only begun.  size None: chunked."""
    framing = f"Content-Length: {size}" if size is not None else "Transfer-Encoding: chunked"
    head = "\r\n".join([f"{method} / HTTP/1.1", "Host: h", framing, *fields, "", ""])
    client.send(head.encode() + (part if size is not None else chunk(part)))
    return client


def chunk(data, extension=b""):
    return b"%x%s\r\n%s\r\n" % (len(data), extension, data) if data else b""


def faulty_uploads(part):
    """
    (script, seen): of two backends that share it, the first connection ends
    with a reset when it has `part` of a body, all others answer.
    """
    lock, seen = threading.Lock(), {"cut": None, "whole": [], "cut_at": Gate()}

    def script(conn):
        message = conn.head()
        with lock:
            first, seen["cut"] = seen["cut"] is None, conn
        if first:
            conn.stream.need(lambda b: part in b)
            conn.reset()
            seen["cut_at"].open()
            return
        conn.body(message)
        seen["whole"].append(message)
        conn.answer(good_body("x", message.body))
        conn.closed()
    return script, seen


# --- uploads ----------------------------------------------------------------------

@pytest.mark.plain_only("a turn with TLS is so long that the rest may come in it, before the reset")
@pytest.mark.parametrize("size", [3000, 20000, None], ids=["within", "beyond", "chunked"])
@pytest.mark.parametrize("method, fields", METHODS, ids=["PUT", "POST+key"])
def test_an_upload_goes_on_at_the_next_backend(lb, backend, client, size, method, fields):
    """What was sent so far is replayed; the rest streams, though it is over the limit."""
    part = b"1" * 1000
    script, seen = faulty_uploads(part)
    proxy = lb([backend(script), backend(script)], pool=QUIET + LIMIT)
    c = begin(client(proxy), method, size, part, fields)
    seen["cut_at"].wait()
    rest = b"2" * ((size or 20000) - 1000)
    c.send(rest if size else chunk(rest) + b"0\r\n\r\n")
    r = c.response()
    assert (r.status, r.body) == (200, good_body("x", part + rest))
    assert [m.body for m in seen["whole"]] == [part + rest]
    record = proxy.access(1)[0]
    assert (outcomes(record), record["retries"], record["end"]) == (["reset", "ok"], 1, "ok")


@pytest.mark.parametrize("method, fields", METHODS, ids=["PUT", "POST+key"])
def test_an_upload_beyond_the_limit_is_not_begun_again(lb, backend, client, method, fields):
    part = b"1" * 9000
    script, seen = faulty_uploads(part)
    proxy = lb([backend(script), backend(script)], pool=QUIET + LIMIT)
    c = begin(client(proxy), method, 20000, part, fields)
    seen["cut_at"].wait()
    assert c.response().status == 502
    assert not seen["whole"]
    assert outcomes(proxy.access(1)[0]) == ["reset"]


@pytest.mark.parametrize("size", [3000, None], ids=["length", "chunked"])
def test_an_upload_that_is_not_idempotent_is_not_repeated(lb, backend, client, size):
    script, seen = faulty_uploads(b"1" * 1000)
    bs = [backend(script), backend(script)]
    proxy = lb(bs, pool=QUIET + LIMIT)
    c = begin(client(proxy), "POST", size, b"1" * 1000)
    seen["cut_at"].wait()
    assert c.response().status == 502
    assert sum(len(b.requests) for b in bs) == 1
    assert outcomes(proxy.access(1)[0]) == ["reset"]


@pytest.mark.parametrize("size", [20000, 2000000, None])
def test_a_failed_connect_never_costs_an_upload(lab, lb, client, size):
    """No byte beyond the limit was taken before a connection stood."""
    bed = lab("B")
    dead = f"127.0.0.1:{bed.refusing[0]}"
    proxy = lb([dead + " name=A", bed.backends["B"]], pool=QUIET + LIMIT)
    body = bytes(range(256)) * ((size or 20000) // 256)
    bed.play("/", body=body)
    c = begin(client(proxy), "POST", len(body) if size else None, body[:9000])
    c.send(body[9000:] if size else chunk(body[9000:]) + b"0\r\n\r\n")
    r = c.response()
    assert (r.status, r.body) == (200, good_body("B", body))
    assert outcomes(proxy.access(1)[0]) == ["connect_refused", "ok"]


def test_a_slow_connect_takes_no_more_of_a_body_than_it_keeps(lab, lb, client):
    """The same with a connection that nobody answers, and a body that waits meanwhile."""
    bed = lab("B")
    proxy = lb([f"127.0.0.1:{bed.silent[0]} name=A", bed.backends["B"]], pool=QUIET + LIMIT)
    body = b"x" * 300000
    bed.play("/", body=body)
    r = client(proxy).ask("POST", body=body)
    assert (r.status, r.body) == (200, good_body("B", body))
    assert outcomes(proxy.access(1)[0]) == ["connect_timeout", "ok"]


def test_a_chunked_upload_is_replayed_without_extensions_and_trailers(lb, backend, client):
    bodies = []

    def script(conn):
        message = conn.request()
        bodies.append(message)
        if len(bodies) == 1:
            conn.reset()
        else:
            conn.answer(b"ok")
    proxy = lb([backend(script), backend(script)], pool=QUIET)
    c = client(proxy)
    c.send(b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n" +
           chunk(b"hello ", b";ext=1") + chunk(b"world") + b"0\r\nX-T: 1\r\n\r\n")
    assert c.response().status == 200
    assert [m.body for m in bodies] == [b"hello world"] * 2
    assert all(not m.trailers for m in bodies)
    assert c.ask().status == 200


@pytest.mark.parametrize("size", [4096, 4097])
def test_the_limit_itself_is_within(lab, lb, client, size):
    bed = lab("A", "B")
    proxy = lb(bed.all(), pool=QUIET + LIMIT)
    play = bed.play("/", RESET, body=b"x" * size)
    r = client(proxy).ask("PUT", body=play.body)
    assert r.status == (200 if size == 4096 else 502)


# --- Expect -----------------------------------------------------------------------

def expecting(script, lb, backend, client, method):
    bs = [backend(script, name="A"), backend(script, name="B")]
    proxy = lb(bs, pool=QUIET)
    c = client(proxy)
    c.send(f"{method} / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n"
           "Expect: 100-continue\r\n\r\n".encode())
    return proxy, c


def continued(c):
    """Waits for the beginning of an answer, unread; True: it is 100 Continue."""
    c.stream.need(lambda b: len(b) >= 13 or None)
    assert c.stream.buf.startswith((b"HTTP/1.1 100 ", b"HTTP/1.1 502 ")), c.stream.buf
    return c.stream.buf.startswith(b"HTTP/1.1 100 ")


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_expect_and_a_reset_before_100(lb, backend, client, method):
    """A POST whose head was sent may have been processed, body or not."""
    heads = []

    def script(conn):
        message = conn.head()
        heads.append(message)
        if len(heads) == 1:
            conn.reset()
            return
        conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        conn.answer(conn.body(message).body)
    proxy, c = expecting(script, lb, backend, client, method)
    if method == "POST":
        if continued(c):  # evenkeel's own: it may answer it at once
            c.send(b"hello")
        assert c.response().status == 502 and len(heads) == 1
        return
    assert continued(c)
    c.send(b"hello")
    r = c.response()
    assert (r.status, r.body, len(heads)) == (200, b"hello", 2)
    assert outcomes(proxy.access(1)[0]) == ["reset", "ok"]


def test_expect_and_a_reset_after_100(lb, backend, client):
    """The body the client has sent is there for the next backend; 100 did not commit."""
    heads = []

    def script(conn):
        message = conn.head()
        heads.append(message)
        if message.has("expect") or len(heads) == 1:
            conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        conn.body(message)
        if len(heads) == 1:
            conn.reset()
            return
        conn.answer(message.body)
    proxy, c = expecting(script, lb, backend, client, "PUT")
    assert continued(c)
    c.send(b"hello")
    r = c.response()
    assert (r.status, r.body, len(heads)) == (200, b"hello", 2)
    assert proxy.access(1)[0]["retries"] == 1


def test_expect_and_a_backend_that_refuses(lab, lb, backend, client):
    def script(conn):
        message = conn.head()
        conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        conn.answer(conn.body(message).body)
    dead = f"127.0.0.1:{lab().refusing[0]}"
    proxy = lb([dead, backend(script)], pool=QUIET)
    c = client(proxy)
    c.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
    assert continued(c)
    c.send(b"hello")
    r = c.response()
    assert (r.status, r.body) == (200, b"hello")


def test_other_1xx_do_not_commit(lb, backend, client):
    def script(conn):
        conn.request()
        if conn.backend.name == "A":
            conn.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
            conn.reset()
            return
        conn.answer(b"good")
    proxy = lb([backend(script, name="A"), backend(script, name="B")], pool=QUIET)
    r = client(proxy).ask()
    assert (r.status, r.body) == (200, b"good")
    assert outcomes(proxy.access(1)[0]) == ["reset", "ok"]


# --- clients ----------------------------------------------------------------------

@pytest.mark.parametrize("fault", [BUSY, RESET, Fault("resp_head", "close")], ids=str)
@pytest.mark.parametrize("fields", [b"", b"Connection: keep-alive\r\n"], ids=["", "keep"])
def test_http_1_0(lab, lb, client, fault, fields):
    bed = lab("A", "B")
    proxy = lb(bed.all(), pool=QUIET)
    bed.play("/", fault)
    r = client(proxy).send(b"GET / HTTP/1.0\r\n" + fields + b"\r\n").response()
    assert (r.status, r.body) in ((200, good_body("A", b"")), (200, good_body("B", b"")))
    assert proxy.access(1)[0]["retries"] == 1


def test_pipelined_requests_behind_a_retried_one(lab, lb, client):
    bed = lab("A", "B")
    proxy = lb(bed.all(), pool=QUIET)
    bodies = [b"one", b"two", b"three", b"four"]
    plays = [bed.play(f"/{i}", RESET if i % 2 == 0 else BUSY, body=body)
             for i, body in enumerate(bodies)]
    c = client(proxy)
    c.send(b"".join(b"PUT /%d HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s" %
                    (i, len(body), body) for i, body in enumerate(bodies)))
    for play, body in zip(plays, bodies):
        r = c.response()
        assert r.status == 200 and r.body[2:] == good_body("A", body)[2:]
        # a connection that an earlier one left idle may be stale, besides
        assert not play.wrong and 2 <= len(play.executed) <= 3
    assert [r["retries"] for r in proxy.access(4)] == [1] * 4


# --- what is passed on in the end -----------------------------------------------------

def numbered(lock, count, statuses):
    """Answers with the next of `statuses` ("reset" ends), and its number."""
    def script(conn):
        while True:
            conn.request()
            with lock:
                count.append(conn)
                status = statuses[min(len(count), len(statuses)) - 1]
            if status == "reset":
                conn.reset()
                return
            n = len(count)
            conn.answer(b"answer %d" % n, status, [f"X-N: {n}", "Retry-After: 0"])
    return script


@pytest.mark.parametrize("statuses, want", [
    (["503 Busy", "502 Bad", "504 Slow"], (504, b"answer 3", "3")),
    (["503 Busy", "500 Broken", "504 Slow"], (500, b"answer 2", "2")),
    (["503 Busy", "404 Gone"], (404, b"answer 2", "2")),
    (["503 Busy", "503 Busy", "reset"], (502, None, None)),
    (["reset", "reset", "503 Busy"], (503, b"answer 3", "3")),
    (["503 Busy", "204 No"], (204, b"", "2")),
])
def test_the_last_answer_is_passed_on(lb, backend, client, statuses, want):
    script = numbered(threading.Lock(), [], statuses)
    if want[0] == 204:
        def no_content(conn, plain=script):
            real = conn.answer

            def without_body(body, status, fields):
                if status.startswith("204"):
                    conn.send(("HTTP/1.1 204 No\r\n" + "".join(f + "\r\n" for f in fields) +
                               "\r\n").encode())
                else:
                    real(body, status, fields)
            conn.answer = without_body
            plain(conn)
        script = no_content
    proxy = lb([backend(script)], pool=QUIET)
    r = client(proxy).ask()
    assert r.status == want[0]
    if want[1] is not None:
        assert (r.body, r.one("x-n")) == want[1:]
    else:
        assert r.has("proxy-status") and b"answer" not in r.body


@pytest.mark.parametrize("framing", ["chunked", "close", "large"])
def test_an_answer_that_is_not_passed_on_reaches_nobody(lb, backend, client, framing):
    """However its body is framed; the connection serves on or is closed."""
    def script(conn):
        while True:
            conn.request()
            if conn.backend.name == "B":
                conn.answer(b"good")
            elif framing == "chunked":
                conn.send(b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n"
                          b"6\r\nPOISON\r\n0\r\nX: 1\r\n\r\n")
            elif framing == "large":
                conn.answer(b"POISON" * 300000, "503 Busy")
            else:
                conn.send(b"HTTP/1.1 503 Busy\r\nConnection: close\r\n\r\nPOISON")
                return
    proxy = lb([backend(script, name="A"), backend(script, name="B")], pool=QUIET)
    c = client(proxy)
    for _ in range(6):
        r = c.ask()
        assert (r.status, r.body) == (200, b"good")


def test_an_endless_answer_does_not_hold_up_the_retry(lb, backend, client):
    """A 503 whose body never ends: the retry does not wait for it."""
    def script(conn):
        conn.request()
        if conn.backend.name == "B":
            conn.answer(b"good")
            return
        conn.send(b"HTTP/1.1 503 Busy\r\nContent-Length: 1000\r\n\r\nbegun")
        conn.closed()
    proxy = lb([backend(script, name="A"), backend(script, name="B")], pool=QUIET)
    started = time.monotonic()
    assert client(proxy).ask().body == b"good"
    assert time.monotonic() - started < 5


def test_nothing_usable_is_503_after_the_queue(lb, held, client):
    proxy = lb([f"{held.address} max=1 name=A"], pool=QUIET + "queue_timeout = 300ms\n")
    first = client(proxy).request(target="/1")
    held.wait_requests(1)
    started = time.monotonic()
    r = client(proxy).ask(target="/2")
    assert r.status == 503 and r.one("retry-after").isdigit()
    assert time.monotonic() - started >= 0.29
    record = proxy.access(1)[0]
    assert (record["end"], record["attempts"]) == ("no_backend", [])
    held.gate.open()
    assert first.response().status == 200


def test_request_timeout_ends_the_queue(lb, held, client):
    proxy = lb([f"{held.address} max=1 name=A"],
               pool=QUIET + "queue_timeout = 20s\nrequest_timeout = 400ms\n"
               "response_timeout = 20s\n")
    client(proxy).request(target="/1")
    held.wait_requests(1)
    assert client(proxy).ask(target="/2").status == 504
    assert all(r["duration_ms"] < 5000 for r in proxy.access(1))
    held.gate.open()


def test_a_retry_waits_in_the_queue_too(lb, backend, client):
    """Its place at the backend is somebody else's by then."""
    gate, targets = Gate(), []

    def script(conn):
        while True:
            targets.append(conn.request().target)
            if targets.count("/retried") == 1 and targets[-1] == "/retried":
                conn.reset()
                return
            if targets[-1] == "/held":
                gate.wait()
            conn.answer(b"x")
    b = backend(script)
    own = QUIET.replace("1ms", "300ms").replace("2ms", "300ms") + "retry_jitter = none\n"
    proxy = lb([f"{b.address} name=A max=1"], pool=own + "queue_timeout = 8s\n")
    retried = client(proxy).request(target="/retried")
    b.wait_requests(1)
    held = client(proxy).request(target="/held")
    until(lambda: "/held" in targets, "the place to be taken")
    until(lambda: proxy.waiting() == 1, "the retry to wait")
    gate.open()
    assert held.response().status == 200 and retried.response().status == 200
    record = next(r for r in proxy.access(2) if r["target"] == "/retried")
    assert outcomes(record) == ["reset", "ok"]


# --- connections that end at the worst moment ------------------------------------------

def test_a_backend_that_resets_at_accept(lb, client, free_port, cleanup):
    """Before or after the request's bytes: connect or reset, both fine for a GET."""
    made = Listener(linger=True)
    cleanup["backend"].append(made.stop)
    good = Backend(name="B")
    cleanup["backend"].append(good.stop)
    proxy = lb([f"127.0.0.1:{made.port} name=A", good], pool=QUIET + "retry_budget = 100%\n")
    for i in range(20):
        assert client(proxy).ask(target=f"/{i}").status == 200
    known = {"connect_failed", "connect_refused", "reset", "ok"}
    for record in proxy.access(20):
        assert set(outcomes(record)) <= known and outcomes(record)[-1] == "ok", record
    posts = [client(proxy).ask("POST", f"/p{i}", body=b"x").status for i in range(20)]
    assert set(posts) <= {200, 502}
    for status, record in zip(posts, proxy.access(40)[20:]):
        got = outcomes(record)
        assert (status == 200) == (got[-1] == "ok") and "reset" not in got[:-1], record


class Listener:
    """Accepts and ends every connection at once."""

    def __init__(self, linger):
        self.sock = socket.socket()
        self.sock.bind(("127.0.0.1", 0))
        self.sock.listen(64)
        self.port, self.linger = self.sock.getsockname()[1], linger
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                conn, _ = self.sock.accept()
            except OSError:
                return
            if self.linger:
                conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            conn.close()

    def stop(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()


def test_an_idle_connection_that_was_closed_is_not_used(lb, backend, client):
    closed = Gate()

    def script(conn):
        conn.request()
        conn.answer(b"1")
        if conn is conn.backend.conns[0]:
            conn.half_close()
            assert conn.closed()
            closed.open()
            return
        conn.request()
        conn.answer(b"2")
    proxy = lb([backend(script)], pool=QUIET)
    c = client(proxy)
    assert c.ask().body == b"1"
    closed.wait()
    assert c.ask("POST", body=b"x").body == b"1"
    record = proxy.access(2)[1]
    assert [(a["outcome"], a["reused"]) for a in record["attempts"]] == [("ok", False)]


@pytest.mark.parametrize("method, body", [("GET", None), ("PUT", b"x"), ("POST", b"x")])
def test_a_reset_that_is_there_before_the_request_is_safe_for_any_method(
        lb, backend, client, method, body):
    """The kernel takes no byte of it, whichever of the two events comes first."""
    gate = Gate()

    def script(conn):
        conn.request()
        conn.answer(b"1")
        if conn is not conn.backend.conns[0]:
            conn.closed()
            return
        gate.wait()
        conn.reset()
    b = backend(script)
    proxy = lb([b], pool=QUIET)
    c = client(proxy)
    assert c.ask().status == 200
    port = b.conns[0].sock.getpeername()[1]
    with standing_still(proxy):
        c.request(method, body=body)
        arrived(c.sock)
        gate.open()
        b.conns[0].ended.wait(10)
        reset_arrived(port, b.port)
    assert c.response().status == 200
    record = proxy.access(2)[1]
    assert len(b.requests) == 2 and record["retries"] == 0
    assert outcomes(record) in (["ok"], ["stale", "ok"])


def test_a_late_end_of_a_reused_connection_is_no_stale_one(lb, backend, client):
    """More than 1 s after the request's last byte: reset, and a retry that counts."""
    def script(conn):
        conn.request()
        conn.answer(b"1")
        message = conn.request()
        if conn is conn.backend.conns[0]:
            assert message.target == "/late"
            time.sleep(1.3)  # the pace is what is tested
            return
        conn.answer(b"2")
    proxy = lb([backend(script)], pool=QUIET)
    c = client(proxy)
    assert c.ask().body == b"1"
    assert c.ask(target="/late").body == b"1"
    record = proxy.access(2)[1]
    assert [(a["outcome"], a["reused"]) for a in record["attempts"]] == \
        [("reset", True), ("ok", False)]
    assert record["retries"] == 1


def test_a_second_stale_connection_counts_as_reset(lb, backend, client):
    """
    One replacement for each request.  Every connection answers once, the
    second time it ends: the warm one, and that which a retry uses again.
    """
    def script(conn):
        warm = conn.request().target == "/warm"
        conn.answer(b"x", "200 OK" if warm else "503 Busy")
        conn.request()
        conn.half_close()
        conn.closed()
    b = backend(script)
    proxy = lb([b], pool=QUIET + "retry_attempts = 4\n")
    c = client(proxy)
    assert c.ask(target="/warm").status == 200
    r = c.ask()
    record = proxy.access(2)[1]
    got = [(a["outcome"], a["reused"]) for a in record["attempts"]]
    assert got[:2] == [("stale", True), ("status", False)], got
    assert all(g in (("reset", True), ("status", False)) for g in got[1:]), got
    assert len(got) == 6 and record["retries"] == 4 and r.status in (502, 503)


def test_a_stale_connection_leaves_all_retries(lb, backend, client):
    """It is no attempt: after it there are still retry_attempts of them."""
    def script(conn):
        if conn.request().target == "/warm":
            conn.answer(b"warm")
            conn.request()
        conn.reset()
    b = backend(script)
    proxy = lb([b], pool=QUIET + "retry_attempts = 3\n")
    c = client(proxy)
    assert c.ask(target="/warm").status == 200
    assert c.ask().status == 502
    record = proxy.access(2)[1]
    assert outcomes(record) == ["stale", "reset", "reset", "reset", "reset"]
    assert record["retries"] == 3 and len(b.requests) == 6


def test_hundreds_of_stale_connections_fail_nobody(lb, backend, client):
    """A backend that closes each connection with its second request."""
    def script(conn):
        conn.request()
        conn.answer(b"x")
        conn.request()
    proxy = lb([backend(script), backend(script)], pool=QUIET)
    c = client(proxy)
    assert {c.ask(target=f"/{i}").status for i in range(300)} == {200}
    assert all(r["retries"] == 0 for r in proxy.access(300))


def test_a_failure_after_the_commit_breaks_off(lb, backend, client):
    """Never a second attempt, and never a false end of the body."""
    go = Gate()

    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        go.wait()
        conn.reset()
    bs = [backend(script), backend(script)]
    proxy = lb(bs, pool=QUIET)
    c = client(proxy).request()
    c.stream.need(lambda buf: b"hello" in buf)
    go.open()
    rest = c.stream.rest()
    assert b"0\r\n\r\n" not in rest
    assert sum(len(b.requests) for b in bs) == 1
    assert proxy.access(1)[0]["end"] == "backend_broke_off"


def test_plain_answers_are_never_repeated(lb, backend, client):
    """Any status that retry_on does not name is the answer, and so is a 1xx before it."""
    def script(conn):
        while True:
            status = conn.request().target[1:]
            conn.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" + answer(b"x", f"{status} Text"))
    bs = [backend(script), backend(script)]
    proxy = lb(bs, pool=QUIET)
    c = client(proxy)
    wanted = [200, 201, 301, 400, 401, 404, 408, 409, 425, 429, 431, 451, 500, 501, 505, 599]
    assert [c.ask(target=f"/{s}").status for s in wanted] == wanted
    assert sum(len(b.requests) for b in bs) == len(wanted)
