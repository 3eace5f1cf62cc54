"""Certificates, trust and listeners that change while connections live."""
import os
import shutil
import socket
import ssl

import pytest

from harness import Gate, tls, until
from harness.crowd import Crowd
from harness.health import scrape
from harness.reload import counts, generation, hup, refuse, reload, site, status_json, write
from harness.wire import Broken
from secure import (accepted, context, hello, https, knock, lines, only, secured, served, trusting,
                    whose)

pytestmark = pytest.mark.plain_only("speaks TLS itself")
LOCAL = ("IP:127.0.0.1", "IP:::1", "DNS:localhost")


class Slot:
    """A place for a certificate and its key, as a program that renews them has it."""

    def __init__(self, folder, name="site"):
        self.certificate, self.key = folder / f"{name}.pem", folder / f"{name}.key"

    def put(self, pair, key=None):
        """Both files are replaced at once, as far as one can."""
        for path, source in ((self.certificate, pair.certificate), (self.key, (key or pair).key)):
            fresh = path.with_suffix(".new")
            shutil.copyfile(source, fresh)
            fresh.chmod(0o600)
            fresh.rename(path)
        return self

    def ini(self):
        return f"tls_certificate = {self.certificate}\ntls_key = {self.key}\n"


@pytest.fixture
def renewals(pki):
    """Certificates for the same name, one after the other."""
    return [pki.pair(f"renewal{n}", "DNS:lb.test") for n in range(4)]


@pytest.mark.parametrize("how", [reload, hup])
def test_new_certificate(evenkeel, backend, pki, renewals, tmp_path, how):
    """The same paths, other files: new handshakes get the new one, old connections live."""
    slot = Slot(tmp_path).put(renewals[0])
    proxy = evenkeel(site([backend()], listener=slot.ini(), workers=2))
    ctx, old = context(pki), []
    for n, pair in enumerate(renewals):
        if n:
            slot.put(pair)
            with knock(proxy, ctx) as c:  # nothing changes before the reload
                assert whose(c, *renewals) is renewals[n - 1]
            how(proxy)
        c = knock(proxy, ctx)
        assert whose(c, *renewals) is pair
        old.append(c)
        for c in old:
            assert c.ask().status == 200
    for c in old:
        assert c.ask().status == 200
        c.close()


def test_what_a_reload_says(evenkeel, backend, pki, renewals, tmp_path):
    """A renewed file is no other configuration, and yet something that has changed."""
    slot = Slot(tmp_path).put(renewals[0])
    proxy = evenkeel(site([backend()], listener=slot.ini()))
    slot.put(renewals[1])
    said = reload(proxy)
    assert str(slot.certificate) in said or "tls_certificate" in said, said
    family = scrape(proxy)["evenkeel_tls_certificate_expiry_timestamp_seconds"]
    assert family.values(file=str(slot.certificate)) == [renewals[1].expires()]


def test_a_request_under_way(evenkeel, backend, pki, renewals, tmp_path):
    """Its answer comes over the connection it was asked on."""
    gate = Gate()

    def script(conn):
        conn.request()
        gate.wait()
        conn.answer(b"late")
    slot, b = Slot(tmp_path).put(renewals[0]), backend(script)
    proxy = evenkeel(site([b], listener=slot.ini()))
    with knock(proxy, context(pki)) as c:
        c.request()
        b.wait_requests(1)
        slot.put(renewals[1])
        reload(proxy)
        gate.open()
        assert c.response().body == b"late"


def test_a_handshake_under_way(evenkeel, backend, pki, renewals, tmp_path):
    """Begun before the reload, ended after it: with the certificate it began with, or the new."""
    slot = Slot(tmp_path).put(renewals[0])
    proxy = evenkeel(site([backend()], listener=slot.ini()))
    first = hello()
    s = socket.create_connection(("127.0.0.1", proxy.port), 10)
    s.sendall(first[:60])
    slot.put(renewals[1])
    reload(proxy)
    s.sendall(first[60:])
    assert s.recv(5)[:1] == b"\x16"
    s.close()
    with knock(proxy, context(pki)) as c:
        assert whose(c, *renewals) is renewals[1]


def bad_changes(slot, pairs):
    """{what: what to do to the files}; the file that must be named comes back."""
    def mismatch():
        slot.put(pairs[1], key=pairs[2])
        return slot.key

    def garbage():
        slot.certificate.write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END")
        return slot.certificate

    def gone():
        slot.certificate.unlink()
        return slot.certificate

    def key_gone():
        slot.key.unlink()
        return slot.key

    def empty_key():
        slot.key.write_bytes(b"")
        return slot.key

    def half():
        data = pairs[1].certificate.read_bytes()
        slot.certificate.write_bytes(data[:len(data) // 2])
        return slot.certificate

    def swapped():
        slot.certificate.write_bytes(pairs[1].key.read_bytes())
        return slot.certificate

    def folder():
        slot.certificate.unlink()
        slot.certificate.mkdir()
        return slot.certificate
    return {f.__name__: f for f in (mismatch, garbage, gone, key_gone, empty_key, half, swapped,
                                    folder)}


@pytest.mark.parametrize("what", ["mismatch", "garbage", "gone", "key_gone", "empty_key", "half",
                                  "swapped", "folder"])
def test_broken_pairs_refuse_all(evenkeel, backend, client, pki, renewals, tmp_path, what):
    """File and reason are told; nothing at all has changed, not even what was fine."""
    slot = Slot(tmp_path).put(renewals[0])
    one, two = backend(name="one"), backend(name="two")
    proxy = evenkeel(site([one], listener=slot.ini(), rest="[listener plain]\n"
                          "bind = 127.0.0.1:0\npool = web\n"))
    before = generation(proxy)
    named = bad_changes(slot, renewals)[what]()
    said = refuse(proxy, site([two], listener=slot.ini(), rest="[listener plain]\n"
                              "bind = 127.0.0.1:0\npool = web\n"))
    assert str(named) in said and "[listener main] tls_" in said, said
    with knock(proxy, context(pki)) as c:
        assert whose(c, *renewals) is renewals[0]
        assert c.ask().body == b"one"
    assert client(proxy.ports[1]).ask().body == b"one"
    assert generation(proxy) == before and counts(proxy)["refused"] == 1
    if slot.certificate.is_dir():
        slot.certificate.rmdir()
    slot.put(renewals[3])
    reload(proxy)
    with knock(proxy, context(pki)) as c:
        assert whose(c, *renewals) is renewals[3]
        assert c.ask().body == b"two"


def test_all_that_is_wrong_is_told(evenkeel, backend, pki, tmp_path):
    """Of listeners and pools, in one pass, with lines."""
    proxy = evenkeel(site([backend()], listener=lines(pki.usual())))
    said = refuse(proxy, site(
        ["https://127.0.0.1:1"], pool="tls_ca = /nowhere/ca.pem\n",
        listener="tls_certificate = /nowhere/a.pem\ntls_key = /nowhere/a.key\n",
        rest=f"[listener two]\nbind = 127.0.0.1:0\n{pki.usual().ini()}"
             "tls_client_ca = /nowhere/c.pem\n"))
    for path in ("/nowhere/ca.pem", "/nowhere/a.pem", "/nowhere/c.pem"):
        assert path in said, said
    with knock(proxy, context(pki)) as c:
        assert c.ask().status == 200


def test_plain_becomes_tls_and_back(evenkeel, backend, client, pki):
    """On one port; connections of before go on as they were."""
    b = backend()
    proxy = evenkeel(site([b]))
    plain = client(proxy)
    assert plain.ask().status == 200
    reload(proxy, site([b], listener=lines(pki.usual())))
    secure = knock(proxy, context(pki))
    assert secure.ask().status == 200 and plain.ask().status == 200
    assert client(proxy).ask().status == 400
    reload(proxy, site([b]))
    assert client(proxy).ask().status == 200
    assert secure.ask().status == 200 and plain.ask().status == 200
    with pytest.raises((OSError, Broken)):
        knock(proxy, context(pki))
    seen = [r.one("x-forwarded-proto") for r in b.requests]
    assert seen == ["http", "https", "http", "http", "https", "http"]
    secure.close()


def test_versions_and_names_change(evenkeel, backend, pki):
    """Each key of a TLS listener takes effect for new handshakes."""
    b, one, two = backend(), pki.usual(), pki.pair("a")
    proxy = evenkeel(site([b], listener=lines(one)))
    with knock(proxy, only(pki, "1.2")) as c:
        assert c.ask().status == 200
    reload(proxy, site([b], listener=lines(one) + "tls_min_version = 1.3\n"))
    with pytest.raises(ssl.SSLError):
        knock(proxy, only(pki, "1.2"))
    reload(proxy, site([b], listener=lines(one, two)))
    with knock(proxy, context(), name="a.test") as c:
        assert whose(c, one, two) is two
    reload(proxy, site([b], listener=lines(two, one)))
    with knock(proxy, context(), name="unknown.test") as c:
        assert whose(c, one, two) is two
    reload(proxy, site([b], listener=lines(one) +
                       "tls_ciphers = ECDHE-ECDSA-AES256-GCM-SHA384\n"))
    with knock(proxy, only(pki, "1.2")) as c:
        assert c.sock.tls.cipher()[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"


def test_a_listener_begins_to_redirect(evenkeel, backend, client, pki):
    b = backend()
    proxy = evenkeel(site([b]))
    old = client(proxy)
    assert old.ask().status == 200
    reload(proxy, site([b], listener="redirect = https\n"))
    r = client(proxy).ask(target="/x")
    assert r.status == 301 and r.one("location") == "https://lb.test/x"
    reload(proxy, site([b]))
    assert client(proxy).ask().status == 200


# --- backends ----------------------------------------------------------------------------

def test_other_trust_ends_idle_connections(evenkeel, backend, client, pki):
    """tls_ca changes: what was believed for the old one's sake is not used again."""
    b = backend(secure=served(pki.pair("inner", *LOCAL)))
    pool = "retry_attempts = 0\neject_failures = 0\n"
    proxy = evenkeel(site([https(b)], pool=trusting(pki) + pool))
    c = client(proxy)
    assert c.ask().status == 200 and len(b.conns) == 1
    reload(proxy, site([https(b)], pool=trusting(pki, ca="other") + pool))
    assert c.ask().status == 502
    assert proxy.access(2)[-1]["attempts"][0]["outcome"] == "tls_failed"
    reload(proxy, site([https(b)], pool=trusting(pki) + pool))
    assert c.ask().status == 200
    assert len(b.requests) == 2


@pytest.mark.parametrize("what", ["name", "certificate", "verify", "content"])
def test_other_terms_need_other_connections(evenkeel, backend, client, pki, what):
    """A connection is good for the terms it was made under."""
    b = backend(secure=served(pki.pair("inner", *LOCAL, "DNS:in.test")))
    path = pki.folder / f"trust-{what}.pem"
    path.write_bytes(pki.ca().certificate.read_bytes())
    base = f"tls_ca = {path}\nretry_attempts = 0\n"
    later = {"name": base + "tls_server_name = in.test\n",
             "certificate": base + pki.client("terms").ini(),
             "verify": base.replace(f"tls_ca = {path}", "tls_verify = no"),
             "content": base}[what]
    proxy = evenkeel(site([https(b)], pool=base))
    c = client(proxy)
    assert c.ask().status == c.ask().status == 200
    assert len(b.conns) == 1
    if what == "content":
        path.write_bytes(pki.bundle("more.pem", pki.ca(), pki.ca("other")).read_bytes())
    reload(proxy, site([https(b)], pool=later))
    assert c.ask().status == c.ask().status == 200
    assert len(b.conns) == 2


def test_the_same_terms_keep_connections(evenkeel, backend, client, pki):
    """A reload that changes something else costs no handshake."""
    b = backend(secure=served(pki.pair("inner", *LOCAL)))
    proxy = evenkeel(site([https(b)], pool=trusting(pki)))
    c = client(proxy)
    assert c.ask().status == 200
    for n in range(3):
        reload(proxy, site([https(b)], pool=trusting(pki) + f"queue_size = {100 + n}\n"))
        assert c.ask().status == 200
    assert len(b.conns) == 1


def test_plain_backend_becomes_https(evenkeel, backend, client, pki):
    """The scheme is part of what a backend is: no plain connection is used for it."""
    plain, secure = backend(name="one"), backend(name="one2", secure=served(
        pki.pair("inner", *LOCAL)))
    proxy = evenkeel(site([f"{plain.address} name=x"]))
    c = client(proxy)
    assert c.ask().body == b"one"
    reload(proxy, site([f"https://{secure.address} name=x"], pool=trusting(pki)))
    assert c.ask().body == b"one2"
    reload(proxy, site([f"{plain.address} name=x"]))
    assert c.ask().body == b"one"


def test_a_client_certificate_is_renewed(evenkeel, backend, client, pki, tmp_path):
    """Ours, towards backends: new connections show the new one."""
    b = backend(secure=accepted(tls.server_context(pki.pair("inner", *LOCAL), client_ca=pki.ca())))
    slot = Slot(tmp_path, "mine").put(pki.client("mine-old", subject="/CN=old"))
    proxy = evenkeel(site([https(b)], pool=trusting(pki) + slot.ini()))
    c = client(proxy)
    assert c.ask().status == 200
    slot.put(pki.client("mine-new", subject="/CN=new"))
    reload(proxy)
    assert c.ask().status == 200
    names = [conn.sock.tls.getpeercert()["subject"][0][0][1] for conn in b.conns]
    assert names == ["old", "new"]


# --- privileges ----------------------------------------------------------------------------

def test_keys_that_the_user_cannot_read(evenkeel, backend, pki, tmp_path):
    """They are read as `user`: what only root can read is told by check and refused."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    slot = Slot(tmp_path).put(pki.usual())
    slot.key.chmod(0o600)
    proxy = evenkeel(site([backend()]))
    write(proxy, f"[global]\nuser = nobody\nworkers = 1\n[listener main]\nbind = 127.0.0.1:0\n"
                 f"{slot.ini()}[pool web]\nbackend = 127.0.0.1:9\n")
    r = proxy.verb("check")
    assert r.returncode == 2 and str(slot.key) in r.stdout + r.stderr, r.stdout + r.stderr
    assert "ermission denied" in r.stdout + r.stderr


# --- under load ------------------------------------------------------------------------------

@pytest.mark.threaded
def test_replaced_under_load(evenkeel, backend, pki, renewals, tmp_path):
    """Certificates replaced again and again by reload: no request fails, no connection breaks."""
    slot = Slot(tmp_path).put(renewals[0])
    two = [backend(name="one"), backend(name="two")]
    proxy = evenkeel(site(two, listener=slot.ini(), workers=2, pool="eject_failures = 0\n"))
    with Crowd(proxy.port, size=12, rate=120, secure=secured(context(pki), settle=False)) as crowd:
        for n in range(10):
            slot.put(renewals[n % len(renewals)])
            reload(proxy)
            crowd.more(10)
    assert counts(proxy) == {"applied": 10, "refused": 0}


@pytest.mark.threaded
def test_both_sides_under_load(evenkeel, backend, pki, renewals, tmp_path):
    """TLS both ways; trust and certificates of both sides change."""
    slot = Slot(tmp_path).put(renewals[0])
    two = [backend(name=f"s{n}", secure=served(pki.pair("inner", *LOCAL))) for n in range(2)]
    path = tmp_path / "trust.pem"
    both = pki.bundle("both-cas.pem", pki.ca(), pki.ca("other")).read_bytes()

    def text():
        return site([https(b) for b in two], listener=slot.ini(), workers=2,
                    pool=f"tls_ca = {path}\neject_failures = 0\n")
    path.write_bytes(both)
    proxy = evenkeel(text())
    with Crowd(proxy.port, size=8, rate=80, secure=secured(context(pki), settle=False)) as crowd:
        for n in range(8):
            slot.put(renewals[n % len(renewals)])
            fresh = path.with_suffix(".new")
            fresh.write_bytes(pki.ca().certificate.read_bytes() if n % 2 else both)
            fresh.rename(path)
            reload(proxy)
            crowd.more(8)
    assert counts(proxy) == {"applied": 8, "refused": 0}


def test_reloads_leave_nothing(evenkeel, backend, pki, renewals, tmp_path, release_bin):
    """Fifty reloads with other certificates: no more memory than for one."""
    slot = Slot(tmp_path).put(renewals[0])
    proxy = evenkeel(site([backend()], listener=slot.ini(), workers=2), binary=release_bin)

    def some(count):
        for n in range(count):
            slot.put(renewals[n % len(renewals)])
            reload(proxy)
            with knock(proxy, context(pki)) as c:
                assert c.ask().status == 200
        until(lambda: status_json(proxy)["snapshots"] == 1, "one configuration")
        return proxy.rss_bytes(), proxy.open_files()
    first = some(15)
    last = some(50)
    assert last[0] - first[0] < 2 << 20, f"{(last[0] - first[0]) / 1024:.0f} KB more"
    assert abs(last[1] - first[1]) <= 1
