"""Found by a reviewer: access records that said something else than what was."""
import re
import socket

import pytest

from harness import Gate, ini, until
from harness.freeze import arrived, reset_arrived, standing_still


def test_record_of_half_a_head_in_a_pipeline(lb, backend, client):
    """Its own target and its own bytes, not those of the request before it."""
    first = b"GET /first?token=abcdef HTTP/1.1\r\nHost: h\r\n\r\n"
    second = b"GET /second/long/path HTTP/1.1\r\nHos"
    proxy = lb([backend()], listener="header_timeout = 200ms\n")
    c = client(proxy).send(first + second)
    assert [c.response().status for _ in range(2)] == [200, 408]
    records = proxy.access(2)
    assert [r["target"] for r in records] == ["/first?token=abcdef", "/second/long/path"]
    assert [r["bytes_in"] for r in records] == [len(first), len(second)]


@pytest.mark.parametrize("before", [b"", b"GET /good?secret HTTP/1.1\r\nHost: h\r\n\r\n"])
def test_record_of_a_bad_head(lb, backend, client, before):
    bad = b"GET /bad HTTP/1.1\r\nHo st: h\r\n\r\n"
    proxy = lb([backend()])
    c = client(proxy).send(before + bad)
    statuses = [c.response().status for _ in range(2 if before else 1)]
    assert statuses[-1] == 400
    record = proxy.access(len(statuses))[-1]
    assert (record["method"], record["target"], record["status"]) == ("GET", "/bad", 400)
    assert 0 < record["bytes_in"] <= len(bad)


def test_size_of_answers_made_here(evenkeel, backend, client):
    """In the combined format: the bytes of the body, as for every other answer."""
    b = backend()
    proxy = evenkeel(ini([b], top="access_log = access.log\n",
                         listener="max_header_size = 1k\n"))
    sizes = [len(client(proxy).ask(fields=fields).body) for fields in ([], ["A b: x"])]
    b.stop()
    sizes.append(len(client(proxy).ask().body))

    def logged():
        if not proxy.access_path.exists():
            return []
        return re.findall(r'" (\d{3}) (\d+|-) "', proxy.access_path.read_text())
    until(lambda: len(logged()) == 3, "three records")
    assert logged() == [(str(s), str(n)) for s, n in zip((200, 400, 502), sizes)]
    assert min(sizes) > 0


def held(gate):
    def script(conn):
        conn.request()
        gate.wait()
        conn.answer(b"x")
    return script


def test_reset_hidden_behind_the_next_request_is_seen(lb, backend, client):
    """The client is gone, the backend slow: 499 before it answers."""
    gate = Gate()
    b = backend(held(gate))
    proxy = lb([b])
    c = client(proxy).request("POST", body=b"")
    b.wait_requests(1)
    port = c.sock.getsockname()[1]
    with standing_still(proxy):
        c.send(b"G")
        arrived(c.sock)
        c.reset()
        reset_arrived(proxy.port, port)
    record = proxy.access(1)[0]
    assert (record["status"], record["end"]) == (499, "client_gone")
    gate.open()


def test_client_gone_before_anything_was_sent_is_499(lb, backend, client):
    """An answer that is ready, but of which no byte left, was not given."""
    gate, sent = Gate(), Gate()

    def script(conn):
        conn.request()
        gate.wait()
        conn.answer(b"x")
        arrived(conn.sock)
        sent.open()
        conn.closed()
    b = backend(script)
    proxy = lb([b])
    c = client(proxy).request()
    b.wait_requests(1)
    port = c.sock.getsockname()[1]
    with standing_still(proxy):
        gate.open()
        sent.wait()
        c.reset()
        reset_arrived(proxy.port, port)
    record = proxy.access(1)[0]
    assert (record["status"], record["end"]) == (499, "client_gone")


def test_full_queue_of_a_unix_backend_is_named(lb, client, tmp_path):
    path = str(tmp_path / "full")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)
        s.listen(0)
        waiting = []
        try:
            while True:
                waiting.append(socket.socket(socket.AF_UNIX))
                waiting[-1].setblocking(False)
                waiting[-1].connect(path)
        except BlockingIOError:
            pass
        proxy = lb([f"unix:{path}"], pool="retry_attempts = 0\n")
        assert client(proxy).ask().status == 502
        for w in waiting:
            w.close()
    record = proxy.access(1)[0]
    assert [a["outcome"] for a in record["attempts"]] == ["connect_failed"]
    assert "queue" in record["why"], record
