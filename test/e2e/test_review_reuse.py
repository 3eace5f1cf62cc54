"""Found by a reviewer: idle backend connections, and requests sent twice."""
import time

import pytest

from harness import Gate, ini
from harness.backend import answer
from harness.freeze import arrived, reset_arrived, standing_still


def test_bytes_that_came_before_the_request_reach_nobody(lb, backend, client):
    """They lie in the kernel already when the idle connection is taken."""
    gate, sent = Gate(), Gate()

    def script(conn):
        conn.request()
        conn.answer(b"right")
        if conn is conn.backend.conns[0]:
            gate.wait()
            conn.send(answer(b"POISON"))
            arrived(conn.sock)
            sent.open()
        conn.request()
        conn.answer(b"right")
    b = backend(script)
    proxy = lb([b])
    c = client(proxy)
    assert c.ask(target="/1").body == b"right"
    with standing_still(proxy):
        c.request(target="/2")
        arrived(c.sock)
        gate.open()
        sent.wait()
    r = c.response()
    assert r.status == 502 or r.body == b"right"
    assert client(proxy).ask(target="/3").body == b"right"
    assert len(b.conns) >= 2


@pytest.mark.parametrize("lines", [
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nX",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\nX",
    b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na",
    answer(b"a") + b"HTTP/1.1 ",
], ids=["304", "chunked", "http10", "begun"])
def test_what_came_too_much_ends_the_connection(lb, backend, client, lines):
    def script(conn):
        while conn.request().target == "/plain":
            conn.answer(b"plain")
        conn.send(lines)
        conn.closed()
    b = backend(script)
    c = client(lb([b]))
    for _ in range(3):
        assert c.ask(target="/much").body in (b"", b"a")
        assert c.ask(target="/plain").body == b"plain"
    assert c.ask("POST", "/plain", body=b"x").body == b"plain"
    assert len(b.conns) == 4


def stale_once(gate=None, pause_s=0.0):
    """The first connection dies, with a request it has read, instead of answering it."""
    def script(conn):
        conn.request()
        conn.answer(b"first")
        if conn is conn.backend.conns[0]:
            conn.request()
            if gate:
                gate.wait()
            time.sleep(pause_s)
            return
        conn.closed()
    return script


def attempts(record):
    return [(a["outcome"], a["reused"]) for a in record["attempts"]]


def test_put_is_sent_again_though_the_backend_took_its_time(lb, backend, client):
    """The look for a client that has left must not use up the body."""
    b = backend(stale_once(pause_s=0.4))  # a backend that is slow
    proxy = lb([b])
    c = client(proxy)
    assert c.ask().body == b"first"
    assert c.ask("PUT", body=b"hello").status == 200
    assert [(m.method, m.body) for m in b.requests] == \
        [("GET", b""), ("PUT", b"hello"), ("PUT", b"hello")]
    record = proxy.access(2)[1]
    assert attempts(record) == [("stale", True), ("ok", False)]


def test_put_of_a_half_closed_client_is_sent_again(lb, backend, client):
    gate = Gate()
    b = backend(stale_once(gate))
    proxy = lb([b])
    assert client(proxy).ask().body == b"first"
    c = client(proxy)
    with standing_still(proxy):
        c.request("PUT", body=b"hello").half_close()
        arrived(c.sock)
    b.wait_requests(2)
    gate.open()
    assert c.response().status == 200
    assert [m.body for m in b.requests] == [b"", b"hello", b"hello"]


def test_request_that_went_well_in_the_end_has_no_why(lb, backend, client):
    b = backend(stale_once())
    proxy = lb([b])
    c = client(proxy)
    assert c.ask().body == b"first" and c.ask().body == b"first"
    record = proxy.access(2)[1]
    assert attempts(record) == [("stale", True), ("ok", False)]
    assert (record["status"], record["end"], record["why"]) == (200, "ok", "")


def test_idle_backend_connections_give_way(evenkeel, backend, client, tool):
    """Descriptors run out while most of them are idle: nobody is refused for that."""
    count, pools = 16, 4

    def together(conn):
        while True:
            path = conn.request().target
            conn.backend.gates[path].wait()
            conn.answer(b"ok")
    bs = [backend(together) for _ in range(pools)]
    rest = ""
    for i, b in enumerate(bs):
        b.gates = {f"/{i}": Gate()}
        rest += f"[pool p{i}]\nbackend = {b.address}\n[route r{i}]\npath = /{i}\npool = p{i}\n"
    proxy = evenkeel(ini(["127.0.0.1:9"], rest=rest, listener="pool = web\n",
                         top=f"max_connections = {count}\n"),
                     prefix=(tool("prlimit"), "--nofile=80:80"))
    for i, b in enumerate(bs):
        clients = [client(proxy).request(target=f"/{i}") for _ in range(count)]
        b.wait_requests(count)  # each has a connection of its own
        b.gates[f"/{i}"].open()
        assert [c.response().status for c in clients] == [200] * count, i
        for c in clients:
            c.close()


@pytest.mark.parametrize("method, body", [("GET", None), ("PUT", b"y"), ("POST", b"y")])
def test_nothing_is_sent_where_a_reset_hides_behind_the_answer(lb, backend, client, method, body):
    """Answer and reset come as one event: the connection is not idle, it is gone."""
    gate = Gate()

    def script(conn):
        conn.request()
        if conn is not conn.backend.conns[0]:
            conn.answer(b"2")
            conn.closed()
        gate.wait()
        conn.answer(b"1")
        arrived(conn.sock)
        conn.reset()
    b = backend(script)
    proxy = lb([b])
    c = client(proxy).request("POST", body=b"x")
    b.wait_requests(1)
    port = b.conns[0].sock.getpeername()[1]
    with standing_still(proxy):
        gate.open()
        b.conns[0].ended.wait(10)
        reset_arrived(port, b.port)
    assert c.response().body == b"1"
    r = c.ask(method, body=body)
    assert r.status == 200 and r.body == b"2"
