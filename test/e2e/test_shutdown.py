"""Ending: requests in flight finish, new ones are refused, twice is at once."""
import signal
import socket
import time

import pytest

from harness import Client, until


def refused(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except ConnectionError:
        return True
    return False


@pytest.mark.threaded
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_request_in_flight_finishes(lb, held, client, number):
    proxy = lb([held], workers=2)
    c = client(proxy).request()
    held.wait_requests(1)
    proxy.signal(number)
    until(lambda: refused(proxy.port), "new connections to be refused")
    assert proxy.process.poll() is None
    held.gate.open()
    r = c.response()
    assert r.body == b"x" and "close" in r.tokens("connection")
    assert c.at_end()
    assert proxy.wait() == 0


def test_idle_connections_do_not_hold_it(lb, backend, client):
    proxy = lb([backend()])
    c, silent = client(proxy), client(proxy)
    assert c.ask().status == 200
    start = time.monotonic()
    proxy.signal(signal.SIGTERM)
    assert proxy.wait() == 0 and time.monotonic() - start < 3
    assert c.at_end() and silent.at_end()


def test_second_term_ends_at_once(lb, held, client):
    proxy = lb([held])
    client(proxy).request()
    held.wait_requests(1)
    proxy.signal(signal.SIGTERM)
    until(lambda: refused(proxy.port), "new connections to be refused")
    start = time.monotonic()
    proxy.signal(signal.SIGTERM)
    proxy.wait(5)
    proxy.expected_exit = None
    assert time.monotonic() - start < 2
    proxy.check_reports()


def test_shutdown_timeout_ends_what_does_not(lb, held, client):
    proxy = lb([held], top="")
    proxy.stop()
    text = proxy.file.read_text().replace("shutdown_timeout = 5s", "shutdown_timeout = 300ms")
    proxy.file.write_text(text)
    again = type(proxy)(proxy.folder, text)
    c = client(again).request()
    held.wait_requests(1)
    start = time.monotonic()
    again.signal(signal.SIGTERM)
    assert again.wait(5) == 0 and 0.25 < time.monotonic() - start < 3
    assert again.access(1)[0]["end"] == "shutdown"
    c.close()
    again.check_reports()


@pytest.mark.threaded
def test_no_request_is_lost_by_a_stop_under_load(lb, backend):
    """Whoever got through is answered whole; keep-alive ends in order."""
    proxy = lb([backend(), backend()], workers=2)
    clients = [Client(proxy.port) for _ in range(20)]
    for c in clients:
        assert c.ask().status == 200
    for c in clients:
        c.request()
    proxy.signal(signal.SIGTERM)
    answered = 0
    for c in clients:
        try:
            assert c.response().status == 200
            answered += 1
        except Exception as e:
            assert "Broken" in type(e).__name__
        c.close()
    assert proxy.wait() == 0
    assert answered >= 18  # sent before TERM: a few may have crossed it
    assert len(proxy.access()) == 20 + answered


def test_access_records_are_written_before_the_end(lb, backend, client):
    proxy = lb([backend()])
    c = client(proxy)
    for _ in range(10):
        c.ask()
    proxy.stop()
    assert len(proxy.access()) == 10
