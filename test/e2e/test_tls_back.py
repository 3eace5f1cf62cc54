"""TLS to backends: whom evenkeel believes, what it sends, what failures are called."""
import random
import socket
import ssl
import threading
import time

import pytest

from harness import Client, Gate, tls, until
from harness.backend import answer
from harness.flow import BLOCK, digest_of, receive_stream, send_stream
from harness.health import condition, scrape
from harness.wire import Broken
from secure import (VERSIONS, Host, accepted, context, handshakes, https, knock, lines, served,
                    trusting)

pytestmark = pytest.mark.plain_only("speaks TLS itself")
TLS = pytest.mark.parametrize("version", VERSIONS)
ONCE = "retry_attempts = 0\neject_failures = 0\n"
QUICK = "retry_base = 1ms\neject_failures = 0\n"
LOCAL = ("IP:127.0.0.1", "IP:::1", "DNS:localhost")


def server(pair, version=None, **more):
    """A context for backends, of one version when told."""
    made = tls.server_context(pair, **more)
    if version:
        made.minimum_version = made.maximum_version = VERSIONS[version]
    return made


@pytest.fixture
def good(backend, pki):
    """good(script) -> a Backend whose certificate is as it should be."""
    def make(script=None, version=None, **more):
        return backend(script, secure=accepted(server(pki.pair("inner", *LOCAL), version)), **more)
    return make


@TLS
def test_trusted(lb, good, client, pki, version):
    b = good(version=version)
    proxy = lb([https(b)], pool=trusting(pki))
    c = client(proxy)
    for _ in range(3):
        assert c.ask("POST", body=b"x" * 3000).body == b.name.encode()
    assert len(b.conns) == 1
    record = proxy.access(1)[0]
    assert [a["outcome"] for a in record["attempts"]] == ["ok"]
    assert b.conns[0].sock.tls.selected_alpn_protocol() == "http/1.1"
    assert b.conns[0].sock.tls.version() == f"TLSv{version}"


@TLS
@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_kinds_of_keys_and_chains(lb, backend, client, pki, kind, version):
    pair = pki.pair(f"mid-{kind}", *LOCAL, ca="middle", kind=kind)
    b = backend(secure=accepted(server(pair, version)))
    assert client(lb([https(b)], pool=trusting(pki))).ask().status == 200


def test_name_of_a_backend(lb, good, client, pki):
    """Without name= it is the address as it was written."""
    b = good()
    proxy = lb([f"https://{b.address}"], pool=trusting(pki), admin=True)
    assert client(proxy).ask().status == 200
    assert proxy.access(1)[0]["backend"] == f"https://{b.address}"
    family = scrape(proxy)["evenkeel_attempts_total"]
    assert family.total(backend=f"https://{b.address}", outcome="ok") == 1


def wrong(pki, what):
    """(pair, words of the reason) of a backend that is not to be believed."""
    return {
        "wrong CA": lambda: (pki.pair("alien", *LOCAL, ca="other"),
                             "unable to get local issuer certificate"),
        "wrong name": lambda: (pki.pair("a"), "is not in the certificate"),
        "wrong address": lambda: (pki.pair("off", "IP:127.0.0.2", "DNS:127.0.0.1"),
                                  "is not in the certificate"),
        "expired": lambda: (pki.pair("late", *LOCAL, start=-20, end=-1),
                            "certificate has expired"),
        "not yet valid": lambda: (pki.pair("early", *LOCAL, start=1), "not yet valid"),
        "self-signed": lambda: (pki.lonely(), "self-signed certificate"),
        "middle one missing": lambda: (pki.pair("torn", *LOCAL, ca="middle", chain=False),
                                       "unable to get local issuer certificate"),
        "a client's": lambda: (pki.pair("visitor-only", *LOCAL, usage="clientAuth"),
                                "not made for this side"),
    }[what]()


WRONG = ["wrong CA", "wrong name", "wrong address", "expired", "not yet valid", "self-signed",
         "middle one missing", "a client's"]


@TLS
@pytest.mark.parametrize("what", WRONG)
def test_not_believed(lb, backend, client, pki, what, version):
    """502, tls_failed, and why in plain words; no byte of the request gets there."""
    pair, words = wrong(pki, what)
    b = backend(secure=accepted(server(pair, version)))
    proxy = lb([https(b)], pool=trusting(pki) + ONCE)
    r = client(proxy).ask("POST", body=b"secret")
    assert r.status == 502 and r.has("proxy-status")
    record = proxy.access(1)[0]
    assert [a["outcome"] for a in record["attempts"]] == ["tls_failed"], record
    assert words in record["why"], record["why"]
    assert record["end"] == "backend_failed" and not b.requests


@pytest.mark.parametrize("what", WRONG)
def test_verification_off(lb, backend, client, pki, what):
    b = backend(secure=served(wrong(pki, what)[0]))
    proxy = lb([https(b)], pool="tls_verify = no\n" + ONCE)
    assert client(proxy).ask().status == 200


def test_the_system_trusts_nobody_of_ours(lb, good, client):
    """Without tls_ca the system's store decides."""
    proxy = lb([https(good())], pool=ONCE)
    assert client(proxy).ask().status == 502
    record = proxy.access(1)[0]
    assert record["attempts"][0]["outcome"] == "tls_failed" and "certificate" in record["why"]


@pytest.mark.parametrize("method, fields", [("GET", []), ("POST", []), ("PATCH", []),
                                            ("DELETE", [])])
@pytest.mark.parametrize("what", ["expired", "wrong name", "wrong CA"])
def test_another_backend_is_asked(lb, backend, good, client, pki, what, method, fields):
    """Whatever the method: no byte has reached an application."""
    bad, fine = backend(secure=served(wrong(pki, what)[0])), good()
    proxy = lb([https(bad), https(fine)], pool=trusting(pki) + QUICK)
    c = client(proxy)
    for _ in range(4):
        r = c.ask(method, fields=fields, body=b"once" if method in ("POST", "PATCH") else None)
        assert r.status == 200 and r.body == fine.name.encode()
    tried = [[(a["backend"], a["outcome"]) for a in r["attempts"]] for r in proxy.access(4)]
    assert [(bad.name, "tls_failed"), (fine.name, "ok")] in tried
    assert len(fine.requests) == 4 and not bad.requests


def test_budget(lb, backend, good, client, pki):
    """Only refused and timed out connects are free of the budget: a handshake costs both sides."""
    bad, fine = backend(secure=served(wrong(pki, "expired")[0])), good()
    pool = trusting(pki) + QUICK + "retry_budget = 0%\nretry_budget_min = 0\n"
    proxy = lb([https(bad), https(fine)], pool=pool, admin=True)
    assert sorted(client(proxy).ask().status for _ in range(2)) == [200, 502]
    assert scrape(proxy)["evenkeel_retries_denied_total"].total(reason="budget") == 1


def test_cause_in_metrics(lb, backend, good, client, pki):
    bad, fine = backend(secure=served(wrong(pki, "expired")[0])), good()
    proxy = lb([https(bad), https(fine)], pool=trusting(pki) + QUICK, admin=True)
    c = client(proxy)
    for _ in range(4):
        assert c.ask().status == 200
    f = scrape(proxy)
    count = f["evenkeel_attempts_total"].total(backend=bad.name, outcome="tls_failed")
    assert count >= 2 and count == len(bad.conns) == handshakes(proxy, "backend", "failed")
    assert f["evenkeel_retries_total"].total(cause="connect") == count
    assert handshakes(proxy, "backend", "full") == len(fine.conns)


def test_not_retried_when_retry_on_has_no_connect(lb, backend, good, client, pki):
    bad, fine = backend(secure=served(wrong(pki, "expired")[0])), good()
    proxy = lb([https(bad), https(fine)], pool=trusting(pki) + QUICK + "retry_on = reset\n")
    c = client(proxy)
    assert sorted(c.ask().status for _ in range(2)) == [200, 502]


def test_ejected(lb, backend, good, client, pki):
    """Failed handshakes count against a backend."""
    bad, fine = backend(secure=served(wrong(pki, "expired")[0])), good()
    proxy = lb([https(bad), https(fine)], admin=True, workers=1,
               pool=trusting(pki) + "retry_base = 1ms\neject_failures = 3\n")
    c = client(proxy)

    def ejected():
        assert c.ask().status == 200
        return condition(proxy, bad.name)["state"] == "ejected"
    until(ejected, "its ejection")
    tried = len(bad.conns)
    # A request may have been faster than the news of the third failure.
    assert 3 <= tried <= 6
    assert condition(proxy, bad.name)["reason"].endswith(
        " attempts failed in a row, last: tls_failed (certificate has expired)")
    for _ in range(6):
        assert c.ask().status == 200
    assert len(bad.conns) == tried


# --- names ---------------------------------------------------------------------------------

@pytest.fixture
def curious(backend):
    """curious(pair) -> a Backend that notes the names it is asked for, in .names"""
    def make(pair, version=None):
        ctx, names = server(pair, version), []
        ctx.sni_callback = lambda _, name, __: names.append(name)
        b = backend(secure=accepted(ctx))
        b.names = names
        return b
    return make


@TLS
def test_sni(lb, curious, client, pki, version):
    """The host as it stands in the configuration; an address is not sent."""
    b = curious(pki.pair("inner", *LOCAL), version)
    for host, want in (("localhost", "localhost"), ("127.0.0.1", None)):
        proxy = lb([https(b, host=host)], pool=trusting(pki) + ONCE)
        assert client(proxy).ask(host="other.test").status == 200
        assert b.names[-1] == want
    assert len(b.names) == 2


@TLS
def test_server_name(lb, curious, client, pki, version):
    """tls_server_name is what is asked for, and what the certificate must have."""
    b = curious(pki.pair("a"), version)
    proxy = lb([https(b)], pool=trusting(pki, "tls_server_name = a.test") + ONCE)
    assert client(proxy).ask().status == 200 and b.names == ["a.test"]
    other = lb([https(b)], pool=trusting(pki, "tls_server_name = b.test") + ONCE)
    assert client(other).ask().status == 502
    assert "the name is not in the certificate" in other.access(1)[0]["why"]


@pytest.mark.parametrize("sans, name, fine", [
    (("DNS:*.w.test",), "x.w.test", True), (("DNS:*.w.test",), "w.test", False),
    (("DNS:*.w.test",), "x.y.w.test", False), (("DNS:*.test.w.test",), "a.test.w.test", True),
    (("DNS:A.Test",), "a.test", True), (("DNS:a.test",), "A.TEST", True),
    (("DNS:a.test.evil.test",), "a.test", False), (("DNS:x*.w.test",), "xy.w.test", False),
    (("DNS:b.test",), "a.test", False), (("DNS:*.*.test",), "a.b.test", False),
])
def test_names_in_certificates(lb, backend, client, pki, sans, name, fine):
    """RFC 6125 6.4.3; CN is no name where there are others."""
    pair = pki.pair(f"names-{'-'.join(sans)}".replace("*", "star").replace(":", "-"), *sans,
                    subject=f"/CN={name.lower()}")
    b = backend(secure=served(pair))
    proxy = lb([https(b)], pool=trusting(pki, f"tls_server_name = {name}") + ONCE)
    assert client(proxy).ask().status == (200 if fine else 502), proxy.access(1)


def test_ipv6(lb, backend, client, pki):
    b = backend(address=("::1", 0), secure=served(pki.pair("inner", *LOCAL)))
    assert client(lb([https(b)], pool=trusting(pki))).ask().status == 200
    bare = backend(address=("::1", 0), secure=served(pki.pair("four", "IP:127.0.0.1")))
    proxy = lb([https(bare)], pool=trusting(pki) + ONCE)
    assert client(proxy).ask().status == 502


# --- our own certificate -----------------------------------------------------------------

@TLS
def test_client_certificate(lb, backend, client, pki, version):
    """Shown when asked for."""
    b = backend(secure=accepted(server(pki.pair("inner", *LOCAL), version, client_ca=pki.ca())))
    mine = pki.client("balancer")
    proxy = lb([https(b)], pool=trusting(pki) + mine.ini())
    assert client(proxy).ask().status == 200
    subject = b.conns[0].sock.tls.getpeercert()["subject"]
    assert subject == ((("commonName", "client-balancer"),),)


def test_client_certificate_with_its_chain(lb, backend, client, pki):
    b = backend(secure=accepted(server(pki.pair("inner", *LOCAL), client_ca=pki.ca())))
    proxy = lb([https(b)], pool=trusting(pki) + pki.client("deep", ca="middle").ini())
    assert client(proxy).ask().status == 200


@TLS
@pytest.mark.parametrize("mine", ["none", "of another CA"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_client_certificate_refused(lb, backend, good, client, pki, version, mine, method):
    """TLS 1.3 says so only after the handshake: tls_failed all the same, and POST goes on, too."""
    closed = backend(secure=accepted(server(pki.pair("inner", *LOCAL), version,
                                            client_ca=pki.ca())))
    fine = good()
    pool = trusting(pki) + QUICK
    if mine != "none":
        pool += pki.client("stranger", ca="other").ini()
    proxy = lb([https(closed), https(fine)], pool=pool)
    c = client(proxy)
    for _ in range(4):
        assert c.ask(method, body=b"once" if method == "POST" else None).status == 200
    outcomes = [a["outcome"] for r in proxy.access(4) for a in r["attempts"]
                if a["backend"] == closed.name]
    assert outcomes and set(outcomes) == {"tls_failed"}, proxy.access()
    assert len(fine.requests) == 4 and not closed.requests


@TLS
def test_client_certificate_refused_alone(lb, backend, client, pki, version):
    closed = backend(secure=accepted(server(pki.pair("inner", *LOCAL), version,
                                            client_ca=pki.ca())))
    proxy = lb([https(closed)], pool=trusting(pki) + ONCE)
    assert client(proxy).ask("POST", body=b"x").status == 502
    record = proxy.access(1)[0]
    assert [a["outcome"] for a in record["attempts"]] == ["tls_failed"]
    words = "handshake failure" if version == "1.2" else "certificate"
    assert words in record["why"], record["why"]


# --- sessions ----------------------------------------------------------------------------

@TLS
def test_sessions_are_reused(lb, good, client, pki, version):
    """Connections are not kept here, sessions are: one full handshake a backend."""
    two = [good(version=version) for _ in range(2)]
    proxy = lb([https(b) for b in two], pool=trusting(pki) + "keepalive = 0\n", admin=True)
    c = client(proxy)
    for _ in range(12):
        assert c.ask().status == 200
    for b in two:
        reused = [conn.sock.tls.session_reused for conn in b.conns]
        assert len(reused) == 6 and reused[0] is False and all(reused[1:]), reused
    assert handshakes(proxy, "backend", "full") == 2
    assert handshakes(proxy, "backend", "resumed") == 10


def test_a_backend_that_forgets_sessions(lb, backend, client, pki):
    """Restarted with other ticket keys: a full handshake, no failure."""
    pair = pki.pair("inner", *LOCAL)
    ctx = [server(pair)]
    b = backend(secure=lambda sock: tls.Secured(sock, ctx[0], server=True))
    proxy = lb([https(b)], pool=trusting(pki) + "keepalive = 0\n" + ONCE)
    c = client(proxy)
    for _ in range(3):
        assert c.ask().status == 200
        ctx[0] = server(pair)
    assert [conn.sock.tls.session_reused for conn in b.conns] == [False] * 3


def test_a_session_does_not_replace_trust(lb, backend, client, pki):
    """A backend whose certificate is not believed gets no session to be resumed later."""
    ctx = server(wrong(pki, "expired")[0])
    b = backend(secure=accepted(ctx))
    proxy = lb([https(b)], pool=trusting(pki) + ONCE)
    c = client(proxy)
    for _ in range(5):
        assert c.ask().status == 502
    assert not b.requests


# --- mixes, misunderstandings ------------------------------------------------------------

def test_mixed_pool(lb, backend, good, client, pki, tmp_path):
    """https, plain and unix in one pool, in turn."""
    three = [good(name="secure"), backend(name="plain"),
             backend(name="path", address=str(tmp_path / "b.sock"))]
    proxy = lb([https(three[0]), three[1], three[2]], pool=trusting(pki))
    c = client(proxy)
    got = [c.ask().body.decode() for _ in range(9)]
    assert sorted(got) == sorted(["secure", "plain", "path"] * 3)


def test_plain_and_tls_at_one_address(lb, good, client, pki):
    """The scheme is part of what a backend is: both entries live beside each other."""
    b = good()
    proxy = lb([f"https://{b.address}", b.address], pool=trusting(pki) + QUICK)
    c = client(proxy)
    assert [c.ask().status for _ in range(4)] == [200] * 4
    names = {a["backend"]: a["outcome"] for r in proxy.access(4) for a in r["attempts"]}
    assert names[f"https://{b.address}"] == "ok" and names[b.address] != "ok"


def test_a_plain_backend_taken_for_a_tls_one(lb, backend, client, pki):
    def script(conn):
        conn.stream.fill(time.monotonic() + 5)
        conn.send(answer(b"plain words", "400 Bad Request"))
    b = backend(script)
    proxy = lb([f"https://{b.address}"], pool=trusting(pki) + ONCE)
    r = client(proxy).ask()
    assert r.status == 502 and b"plain words" not in r.body
    assert proxy.access(1)[0]["attempts"][0]["outcome"] == "tls_failed"


def test_a_tls_backend_taken_for_a_plain_one(lb, good, client):
    b = good()
    proxy = lb([b.address], pool=ONCE)
    assert client(proxy).ask().status == 502
    assert proxy.access(1)[0]["attempts"][0]["outcome"] in ("bad_response", "reset")


@TLS
def test_words_before_the_handshake(lb, backend, client, pki, version):
    """nginx's CVE-2026-1642: an answer put in front of TLS by somebody between reaches nobody."""
    ctx = server(pki.pair("inner", *LOCAL), version)

    def wrap(sock):
        sock.sendall(answer(b"injected"))
        return tls.Secured(sock, ctx, server=True)
    b = backend(secure=wrap)
    proxy = lb([https(b)], pool=trusting(pki) + ONCE)
    r = client(proxy).ask()
    assert r.status == 502 and b"injected" not in r.body
    assert proxy.access(1)[0]["attempts"][0]["outcome"] == "tls_failed"


def test_old_versions_of_backends(lb, backend, client, pki):
    ctx = tls.server_context(pki.pair("inner", *LOCAL))
    ctx.set_ciphers("ALL:@SECLEVEL=0")
    ctx.minimum_version, ctx.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    proxy = lb([https(backend(secure=accepted(ctx)))], pool=trusting(pki) + ONCE)
    assert client(proxy).ask().status == 502
    assert proxy.access(1)[0]["attempts"][0]["outcome"] == "tls_failed"


# --- handshakes that end or stand ---------------------------------------------------------

class Cutting:
    """A server's socket that ends after so many bytes of what it sends."""

    def __init__(self, sock, limit, how):
        self._sock, self.left, self.how = sock, limit, how

    def __getattr__(self, name):
        return getattr(self._sock, name)

    def send(self, data):
        n = self._sock.send(data[:self.left]) if self.left else 0
        self.left -= n
        if not self.left:
            if self.how == "stall":
                raise Stalled
            if self.how == "reset":
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, tls.NO_LINGER)
            self._sock.close()
            raise OSError("cut")
        return n


class Stalled(OSError):
    """Nothing more is said."""


def flight(pair, version):
    """How many bytes a server sends before the client's second flight."""
    ctx, a, b = server(pair, version), ssl.MemoryBIO(), ssl.MemoryBIO()
    first = ssl.MemoryBIO(), ssl.MemoryBIO()
    c = context(verify=False).wrap_bio(*first, server_hostname="localhost")
    s = ctx.wrap_bio(a, b, server_side=True)
    for side in (c, s):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            pass
        if side is c:
            a.write(first[1].read())
    return len(b.read())


@TLS
@pytest.mark.parametrize("how", ["close", "reset"])
def test_handshake_cut_at_every_byte(lb, backend, client, pki, version, how):
    """The server's flight cut: tls_failed, and nothing hangs."""
    pair = pki.pair("inner", *LOCAL)
    ctx, total, limit = server(pair, version), flight(pair, version), [0]

    def wrap(sock):
        if limit[0] == 0:
            if how == "reset":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, tls.NO_LINGER)
            sock.close()
            raise OSError("cut")
        return tls.Secured(Cutting(sock, limit[0], how), ctx, server=True)
    b = backend(secure=wrap)
    proxy = lb([https(b)], pool=trusting(pki) + ONCE)
    step = 1 if total < 400 else 3
    limits = list(range(0, total - 1, step))
    for limit[0] in limits:
        with Client(proxy.port) as c:
            assert c.ask("POST", body=b"x").status == 502
    outcomes = [r["attempts"][0]["outcome"] for r in proxy.access(len(limits))]
    # Reset before the first byte, it may be that there was no connection.
    assert set(outcomes[1:]) == {"tls_failed"}, set(outcomes)
    assert outcomes[0] in ("tls_failed", "connect_failed")
    limit[0] = 1 << 30
    assert client(proxy).ask().status == 200


@TLS
@pytest.mark.parametrize("said", [0, 50])
def test_stalled_handshake(lb, backend, client, pki, version, said):
    """connect_timeout is for TCP and TLS together, and such a retry is free."""
    ctx, gate = server(pki.pair("inner", *LOCAL), version), Gate()

    def wrap(sock):
        try:
            if said:
                tls.Secured(Cutting(sock, said, "stall"), ctx, server=True)
        except Stalled:
            pass
        gate.wait()
        raise OSError("it stood still")
    b = backend(secure=wrap)
    proxy = lb([https(b)], pool=trusting(pki) + ONCE + "connect_timeout = 300ms\n")
    start = time.monotonic()
    assert client(proxy).ask().status == 504
    assert 0.25 < time.monotonic() - start < 5
    assert proxy.access(1)[0]["attempts"][0]["outcome"] == "connect_timeout"
    gate.open()


def test_time_of_the_handshake_is_time_to_connect(lb, backend, client, pki):
    """connect_ms has the handshake in it."""
    ctx, gate = server(pki.pair("inner", *LOCAL)), Gate()

    def wrap(sock):
        gate.wait()
        return tls.Secured(sock, ctx, server=True)
    b = backend(secure=wrap)
    proxy = lb([https(b)], pool=trusting(pki) + ONCE)
    c = client(proxy)
    c.request()
    b.wait_conns(1)
    start = time.monotonic()
    until(lambda: time.monotonic() - start > 0.2, "some time to pass")
    gate.open()
    assert c.response().status == 200
    assert proxy.access(1)[0]["attempts"][0]["connect_ms"] >= 190


def test_garbage_from_a_backend(lb, backend, client, pki):
    """Instead of a ServerHello, or behind the handshake."""
    dice = random.Random("back")
    ctx = server(pki.pair("inner", *LOCAL))
    what = [None]

    def wrap(sock):
        if what[0] is None:
            return tls.Secured(sock, ctx, server=True)
        sock.settimeout(5)
        sock.recv(5)
        sock.sendall(what[0])
        raise OSError("enough")
    proxy = lb([https(backend(secure=wrap))], pool=trusting(pki) + ONCE)
    c = client(proxy)
    for n in range(60):
        what[0] = dice.choice([b"", b"\x16\x03\x03\x00\x40", b"\x15\x03\x03\x00\x02\x02\x28"]) + \
            dice.randbytes(dice.randrange(1, 200))
        assert c.ask().status == 502
    assert {r["attempts"][0]["outcome"] for r in proxy.access(60)} == {"tls_failed"}
    what[0] = None
    assert c.ask().status == 200


def test_broken_record_in_an_answer(lb, good, client, pki):
    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
        conn.raw.setblocking(True)
        conn.raw.sendall(b"\x17\x03\x03\x00\x20" + b"x" * 32)
        conn.closed()
    proxy = lb([https(good(script))], pool=trusting(pki) + ONCE)
    with pytest.raises(Broken):
        client(proxy).ask()
    assert proxy.access(1)[0]["end"] == "backend_broke_off"


# --- ends ----------------------------------------------------------------------------------

def ending(framing, how):
    """A script: one answer, framed so, and then an end of that kind."""
    def script(conn):
        conn.request()
        body = b"all of it"
        if framing == "length":
            conn.send(answer(body))
        elif framing == "chunked":
            conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nall of it\r\n"
                      b"0\r\n\r\n")
        else:
            conn.send(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        if how == "close_notify":
            conn.half_close()
            conn.closed()
        elif how == "notify alone":
            conn.sock.say_end()
            conn.closed()
        else:
            conn.raw.shutdown(socket.SHUT_WR)
            conn.stream.rest()
    return script


@TLS
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("how", ["close_notify", "notify alone", "fin"])
def test_ends_of_answers(lb, good, client, pki, version, framing, how):
    """What is framed is whole in any case; what ends with the connection needs close_notify."""
    b = good(ending(framing, how), version=version)
    proxy = lb([https(b)], pool=trusting(pki) + ONCE)
    c = client(proxy)
    if (framing, how) == ("close", "fin"):
        with pytest.raises(Broken):
            c.ask()
        assert proxy.access(1)[0]["end"] == "backend_broke_off"
        return
    assert c.ask().body == b"all of it"
    assert c.ask().body == b"all of it"  # by a fresh connection
    assert [r["end"] for r in proxy.access(2)] == ["ok"] * 2


@TLS
def test_end_without_an_answer(lb, good, client, pki, version):
    """After the handshake and a request, no answer: reset, not tls_failed."""
    for end in (lambda conn: conn.half_close(), lambda conn: conn.raw.shutdown(socket.SHUT_WR),
                lambda conn: conn.reset()):
        def script(conn):
            conn.request()
            end(conn)
            conn.stream.rest()
        proxy = lb([https(good(script, version=version))], pool=trusting(pki) + ONCE)
        assert client(proxy).ask().status == 502
        assert proxy.access(1)[0]["attempts"][0]["outcome"] == "reset"


@TLS
def test_backend_that_leaves_idle_connections(lb, good, client, pki, version):
    """close_notify, or a FIN alone, on an idle connection: the next request has a fresh one."""
    for end in ("notify", "fin", "both"):
        def script(conn):
            conn.request()
            conn.answer(b"one")
            if end != "fin":
                conn.sock.say_end()
            if end != "notify":
                conn.raw.shutdown(socket.SHUT_WR)
            conn.stream.rest()
        b = good(script, version=version)
        proxy = lb([https(b)], pool=trusting(pki) + ONCE)
        c = client(proxy)
        for n in range(3):
            assert c.ask("POST", body=b"x").body == b"one"
            until(lambda: b.conns[n].ended.is_set(), "evenkeel's own end")
        assert [r["status"] for r in proxy.access(3)] == [200] * 3


def test_evenkeel_ends_in_order(lb, good, client, pki):
    """Connections it does not keep end with close_notify."""
    ends = []

    def script(conn):
        conn.request()
        conn.answer(b"x")
        conn.closed()
        ends.append(conn.stream.was_reset)
    proxy = lb([https(good(script))], pool=trusting(pki) + "keepalive = 0\n")
    assert client(proxy).ask().status == 200
    until(lambda: ends, "the end")
    idle = lb([https(good(script))], pool=trusting(pki) + "keepalive_timeout = 50ms\n")
    assert client(idle).ask().status == 200
    until(lambda: len(ends) == 2, "the end of the idle one")
    assert ends == [False, False]


def test_surplus_reaches_nobody(lb, good, client, pki):
    """Bytes behind a response, or on an idle connection."""
    def script(conn):
        conn.request()
        conn.send(answer(b"mine") + answer(b"surplus"))
        conn.closed()
    b = good(script)
    c = client(lb([https(b)], pool=trusting(pki) + ONCE))
    for n in range(3):
        assert c.ask().body == b"mine"
    assert len(b.conns) == 3


def test_idle_connections_are_reused(lb, good, client, pki):
    """Tickets that come late on an idle connection are no bytes of a response."""
    b = good()
    proxy = lb([https(b)], pool=trusting(pki), workers=1)
    c = client(proxy)
    for n in range(20):
        assert c.ask("POST" if n % 2 else "GET", body=b"x" if n % 2 else None).status == 200
    assert len(b.conns) == 1


def test_key_update_from_a_backend(lb, client, pki, free_port):
    """openssl's s_server asks for new keys between and within answers."""
    port, pair = free_port(), pki.pair("inner", *LOCAL)
    with Host(port, pair, "-tls1_3") as talk:
        proxy = lb([f"https://127.0.0.1:{port}"], pool=trusting(pki) + ONCE)
        c = client(proxy)
        for n in range(3):
            c.request(target=f"/{n}")
            talk.hear(f"GET /{n} ")
            # A command is one only when it comes alone.
            talk.say(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
            c.stream.need(lambda buf: b"\r\n\r\n" in buf)
            talk.say(b"K\n").hear("SSL_do_handshake -> 1")
            talk.say(b"hello\n")
            assert c.response().body == b"hello\n"
            talk.say(b"k\n").hear("SSL_do_handshake -> 1")


# --- PROXY protocol, large bodies, tunnels -------------------------------------------------

@pytest.mark.parametrize("version, start", [("v1", b"PROXY TCP4 127.0.0.1 127.0.0.1 "),
                                            ("v2", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c")])
def test_proxy_protocol(lb, backend, client, pki, version, start):
    """The header comes first, then TLS."""
    ctx, headers = server(pki.pair("inner", *LOCAL)), []

    def wrap(sock):
        header = b""
        while not (header.endswith(b"\r\n") if version == "v1" else len(header) == 28):
            header += sock.recv(1)
        headers.append(header)
        return tls.Secured(sock, ctx, server=True)
    b = backend(secure=wrap)
    proxy = lb([https(b)], pool=trusting(pki) + f"proxy_protocol = {version}\n")
    c = client(proxy)
    assert c.ask().status == c.ask().status == 200
    assert headers and all(h.startswith(start) for h in headers)


TOTAL = 24 << 20


@TLS
def test_large_bodies(lb, good, client, pki, version):
    seen = []

    def script(conn):
        message = conn.head()
        if message.method == "PUT":
            first, conn.stream.buf = conn.stream.buf, b""
            seen.append(receive_stream(conn.sock, first, TOTAL))
            conn.answer(b"taken")
        else:
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % TOTAL)
            send_stream(conn.send, TOTAL)
    proxy = lb([https(good(script, version=version))], pool=trusting(pki))
    c = client(proxy)
    c.send(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % TOTAL)
    send_stream(c.sock.sendall, TOTAL)
    assert c.response().body == b"taken" and seen == [digest_of(TOTAL)]
    c = client(proxy)
    c.request()
    head = c.stream.need(lambda buf: (buf.find(b"\r\n\r\n") + 1) or None) + 3
    first, c.stream.buf = c.stream.buf[head:], b""
    assert receive_stream(c.sock, first, TOTAL) == digest_of(TOTAL)


def test_a_slow_backend_is_not_flooded(lb, good, pki, release_bin):
    """An upload to a backend that does not read: evenkeel keeps little of it."""
    gate = Gate()

    def script(conn):
        conn.head()
        gate.wait()
    b = good(script)
    proxy = lb([https(b)], pool=trusting(pki) + ONCE, binary=release_bin)
    with Client(proxy.port) as warm:
        warm.send(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000\r\n\r\n")
        b.wait_requests(1)
        before, sent = proxy.rss_bytes(), 0
        warm.sock.settimeout(0.5)
        with pytest.raises(TimeoutError):
            while sent < 1 << 30:
                sent += warm.sock.send(BLOCK)
        assert proxy.rss_bytes() - before < 2 << 20
        gate.open()


@pytest.mark.parametrize("front", [False, True])
def test_tunnels(lb, good, pki, front):
    """WebSocket-like, both ways at once, over TLS to the backend and on both sides."""
    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        while conn.stream.buf or conn.stream.fill(time.monotonic() + 10):
            data, conn.stream.buf = conn.stream.buf, b""
            conn.send(data)
        conn.half_close()
        conn.closed()
    proxy = lb([https(good(script))], pool=trusting(pki),
               listener=lines(pki.usual()) if front else "")
    with (knock(proxy, context(pki)) if front else Client(proxy.port)) as c:
        c.request(fields=["Connection: Upgrade", "Upgrade: x"])
        assert c.response().status == 101
        data = BLOCK * 64
        sender = threading.Thread(target=lambda: (c.sock.sendall(data), c.half_close()))
        sender.start()
        assert c.stream.rest() == data and not c.stream.was_reset
        sender.join()


def test_a_tunnel_that_is_cut(lb, good, client, pki):
    """A backend that breaks off is no orderly end for the client."""
    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
                  b"first words")
        conn.raw.shutdown(socket.SHUT_WR)
        conn.stream.rest()
    proxy = lb([https(good(script))], pool=trusting(pki) + ONCE, listener=lines(pki.usual()))
    with knock(proxy, context(pki)) as c:
        c.request(fields=["Connection: Upgrade", "Upgrade: x"])
        assert c.response().status == 101
        assert c.stream.rest() == b"first words"


@pytest.mark.threaded
def test_many_requests_in_threads(lb, good, pki):
    """Several workers, both sides TLS, kept and fresh connections."""
    three = [good(name=f"s{n}") for n in range(3)]
    proxy = lb([https(b) for b in three], workers=3, listener=lines(pki.usual()), admin=True,
               pool=trusting(pki) + "keepalive = 2\n")
    ctx, errors = context(pki), []

    def visit():
        try:
            for _ in range(5):
                with knock(proxy, ctx) as c:
                    for _ in range(6):
                        assert c.ask("POST", body=b"x" * 2000).status == 200
        except BaseException as e:
            errors.append(e)
    crowd = [threading.Thread(target=visit) for _ in range(6)]
    for t in crowd:
        t.start()
    for t in crowd:
        t.join()
    assert not errors, errors[:2]
    assert sum(len(b.requests) for b in three) == 180
    sizes = [len(b.requests) for b in three]
    assert max(sizes) - min(sizes) <= 1


# --- what is said about it --------------------------------------------------------------

def test_what_the_client_is_told(lb, backend, client, pki):
    """Proxy-Status says that it was TLS, and no more than that."""
    b = backend(secure=served(wrong(pki, "expired")[0]))
    r = client(lb([https(b)], pool=trusting(pki) + ONCE)).ask()
    assert r.status == 502 and "tls" in r.one("proxy-status").lower()
    assert str(b.port).encode() not in r.body


def test_expiry_of_our_own_certificate(lb, good, pki):
    pair = pki.client("soon", start=-80, end=10)
    proxy = lb([https(good())], pool=trusting(pki) + pair.ini(), admin=True)
    family = scrape(proxy)["evenkeel_tls_certificate_expiry_timestamp_seconds"]
    assert family.values(section="pool", name="web", file=str(pair.certificate)) == \
        [pair.expires()]
    said = proxy.verb("check")
    assert said.returncode == 0
    assert str(pair.certificate) in said.stdout + said.stderr
