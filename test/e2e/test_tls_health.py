"""Health checks over TLS: with the pool's trust, name and certificate."""
import socket
import threading

import pytest

from harness import Gate, tls, until
from harness.health import Switched, condition, scrape, until_state
from harness.reload import reload, site
from secure import accepted, https, served, trusting

pytestmark = pytest.mark.plain_only("speaks TLS itself")
LOCAL = ("IP:127.0.0.1", "IP:::1", "DNS:localhost")
HTTP = "health = http\nhealth_interval = 20ms\nhealth_rise = 1\nhealth_fall = 2\n"
TCP = HTTP.replace("http", "tcp", 1)


@pytest.fixture
def good(backend, pki):
    def make(script=None, **more):
        return backend(script, secure=served(pki.pair("inner", *LOCAL)), **more)
    return make


def test_up_and_down(lb, good, client, pki):
    """The answer decides, as on plain connections."""
    switch = Switched()
    b = good(switch)
    proxy = lb([https(b)], pool=trusting(pki) + HTTP, admin=True)
    until(lambda: len(switch.checks) >= 2, "checks")
    until_state(proxy, b.name, "up")
    switch.status = "503 Service Unavailable"
    until_state(proxy, b.name, "down")
    switch.status = "200 OK"
    until_state(proxy, b.name, "up")
    assert client(proxy).ask().status == 200
    assert scrape(proxy)["evenkeel_health_checks_total"].total(result="ok") > 0


BAD = {
    "expired": ("certificate has expired", dict(start=-20, end=-1)),
    "wrong CA": ("unable to get local issuer certificate", dict(ca="other")),
    "wrong name": ("not in the certificate", None),
}


@pytest.mark.parametrize("what", BAD)
def test_not_believed(lb, backend, good, client, pki, what):
    """Down with the reason in status and in the log; traffic goes to the other one."""
    words, more = BAD[what]
    pair = pki.pair("a") if more is None else pki.pair(f"h-{what.replace(' ', '-')}", *LOCAL, **more)
    bad, fine = backend(secure=served(pair), name="bad"), good(name="fine")
    proxy = lb([https(bad), https(fine)], pool=trusting(pki) + HTTP, admin=True)
    until_state(proxy, "bad", "down")
    entry = condition(proxy, "bad")
    assert words in str(entry), entry
    until(lambda: words in proxy.stderr(), lambda: f"{words!r} in the log:\n{proxy.stderr()}")
    told = proxy.verb("status")
    assert told.returncode == 0 and words in told.stdout, told.stdout
    c = client(proxy)
    assert [c.ask().body for _ in range(4)] == [b"fine"] * 4
    assert not bad.requests


def test_not_verified(lb, backend, pki):
    b = backend(secure=served(pki.lonely()))
    proxy = lb([https(b)], pool="tls_verify = no\n" + HTTP, admin=True)
    b.wait_requests(2)
    until_state(proxy, b.name, "up")


def test_tcp_is_a_connection_only(lb, backend, pki):
    """`health = tcp` knows nothing of certificates."""
    b = backend(secure=served(pki.pair("late", *LOCAL, start=-20, end=-1)))
    proxy = lb([https(b)], pool=trusting(pki) + TCP, admin=True)
    b.wait_conns(4)
    assert condition(proxy, b.name)["state"] == "up"
    assert not b.requests


def test_name_and_certificate_of_checks(lb, backend, pki):
    """tls_server_name and our certificate, as for requests."""
    names = []
    ctx = tls.server_context(pki.pair("a"), client_ca=pki.ca())
    ctx.sni_callback = lambda _, name, __: names.append(name)
    b = backend(secure=accepted(ctx))
    proxy = lb([https(b)], admin=True, pool=trusting(pki, "tls_server_name = a.test") +
               pki.client("checker").ini() + HTTP)
    b.wait_requests(2)
    until_state(proxy, b.name, "up")
    assert set(names) == {"a.test"}
    assert "evenkeel-health" in str(b.requests[0].fields)


def test_certificate_wanted_and_not_given(lb, backend, pki):
    """TLS 1.3 refuses after the handshake: down all the same, and it says why."""
    ctx = tls.server_context(pki.pair("inner", *LOCAL), client_ca=pki.ca())
    b = backend(secure=accepted(ctx))
    proxy = lb([https(b)], pool=trusting(pki) + HTTP, admin=True)
    until_state(proxy, b.name, "down")
    assert "certificate" in str(condition(proxy, b.name))


def test_handshakes_that_stand(lb, backend, pki):
    """health_timeout is for all of it."""
    gate = Gate()

    def wrap(sock):
        gate.wait()
        raise OSError("it stood still")
    b = backend(secure=wrap)
    proxy = lb([https(b)], pool=trusting(pki) + HTTP + "health_timeout = 100ms\n", admin=True)
    until_state(proxy, b.name, "down")
    assert scrape(proxy)["evenkeel_health_checks_total"].total(result="timeout") >= 2
    gate.open()


def test_handshakes_that_break(lb, backend, pki):
    """Closed, reset, garbage: down; and up again when it is well."""
    pair, how = served(pki.pair("inner", *LOCAL)), ["close"]

    def wrap(sock):
        if how[0] == "well":
            return pair(sock)
        if how[0] == "reset":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, tls.NO_LINGER)
        elif how[0] == "garbage":
            sock.sendall(b"220 mail.example ESMTP\r\n")
        sock.close()
        raise OSError("cut")
    b = backend(secure=wrap)
    proxy = lb([https(b)], pool=trusting(pki) + HTTP, admin=True)
    for bad in ("close", "reset", "garbage"):
        how[0] = bad
        until_state(proxy, b.name, "down")
        how[0] = "well"
        until_state(proxy, b.name, "up")


def test_body_and_host(lb, good, pki):
    """health_body, health_host and health_method over TLS."""
    seen = []

    def script(conn):
        while True:
            seen.append(conn.request())
            conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                      b"6\r\nall is\r\n5\r\n well\r\n0\r\n\r\n")
    b = good(script)
    proxy = lb([https(b)], admin=True, pool=trusting(pki) + HTTP +
               "health_body = all is well\nhealth_host = check.test\nhealth_path = /alive\n")
    until(lambda: len(seen) >= 3, "checks")
    until_state(proxy, b.name, "up")
    assert {(m.one("host"), m.target) for m in seen} == {("check.test", "/alive")}


def test_another_port(lb, good, backend, client, pki):
    """health_port of an https backend is TLS, too."""
    b, checked = good(), good()
    proxy = lb([https(b)], pool=trusting(pki) + HTTP + f"health_port = {checked.port}\n",
               admin=True)
    checked.wait_requests(2)
    until_state(proxy, b.name, "up")
    assert client(proxy).ask().body == b.name.encode()


def test_mixed_pool(lb, good, backend, pki, tmp_path):
    """Each is checked as it is talked to."""
    three = [good(name="secure"), backend(name="plain"),
             backend(name="path", address=str(tmp_path / "b.sock"))]
    proxy = lb([https(three[0]), three[1], three[2]], pool=trusting(pki) + HTTP, admin=True)
    for b in three:
        b.wait_requests(2)
        until_state(proxy, b.name, "up")


def test_trust_changes(evenkeel, good, pki):
    """A reload with another CA: the next check knows."""
    b = good()
    proxy = evenkeel(site([https(b)], pool=trusting(pki) + HTTP))
    until_state(proxy, b.name, "up")
    b.wait_requests(1)
    reload(proxy, site([https(b)], pool=trusting(pki, ca="other") + HTTP))
    until_state(proxy, b.name, "down")
    reload(proxy, site([https(b)], pool=trusting(pki) + HTTP))
    until_state(proxy, b.name, "up")


def test_proxy_protocol_and_checks(lb, backend, pki):
    """The header of its own connection comes before TLS."""
    headers, pair = [], served(pki.pair("inner", *LOCAL))

    def wrap(sock):
        header = b""
        while not header.endswith(b"\r\n"):
            header += sock.recv(1)
        headers.append(header)
        return pair(sock)
    b = backend(secure=wrap)
    proxy = lb([https(b)], pool=trusting(pki) + HTTP + "proxy_protocol = v1\n", admin=True)
    b.wait_requests(2)
    until_state(proxy, b.name, "up")
    assert set(headers) == {b"PROXY UNKNOWN\r\n"}


@pytest.mark.threaded
def test_checks_beside_traffic(lb, good, client, pki):
    """Sessions of checks and of requests do not mix up; all answer."""
    two = [good(), good()]
    proxy = lb([https(b) for b in two], workers=2, admin=True,
               pool=trusting(pki) + HTTP.replace("20ms", "5ms") + "keepalive = 0\n")
    errors = []

    def visit():
        c = client(proxy)
        for _ in range(40):
            if c.ask().status != 200:
                errors.append(1)
    crowd = [threading.Thread(target=visit) for _ in range(4)]
    for t in crowd:
        t.start()
    for t in crowd:
        t.join()
    assert not errors
    assert all(condition(proxy, b.name)["state"] == "up" for b in two)
