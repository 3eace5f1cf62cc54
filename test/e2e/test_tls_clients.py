"""Certificates of clients, their names for backends; OCSP responses that are sent along."""
import re

import pytest

from harness import Client, ini, until
from harness.reload import refuse, reload, site
from harness.wire import Broken
from secure import (CLOSING, VERSIONS, context, failed_handshakes, knock, lines, only, s_client,
                    secured)

pytestmark = pytest.mark.plain_only("speaks TLS itself")
TLS = pytest.mark.parametrize("version", VERSIONS)
SUBJECT = "x-client-cert-subject"


@pytest.fixture
def closed(lb, backend, pki):
    """closed(...) -> an Evenkeel that wants client certificates of the root CA; .b its backend."""
    def make(ca=None, listener="", **more):
        b = backend()
        proxy = lb([b], listener=lines(pki.usual()) + listener +
                   f"tls_client_ca = {ca or pki.ca().certificate}\n", **more)
        proxy.b = b
        return proxy
    return make


def gets_in(proxy, ctx):
    with knock(proxy, ctx) as c:
        assert c.ask().status == 200
    return proxy.b.requests[-1]


def stays_out(proxy, ctx):
    """TLS 1.2 says so in the handshake, 1.3 right after it; the text of what it said."""
    before = len(proxy.b.requests)
    with pytest.raises((OSError, Broken)) as error:
        with Client(proxy.port, secure=secured(ctx, settle=False)) as c:
            c.ask()
    assert len(proxy.b.requests) == before
    return str(error.value)


@TLS
def test_required(closed, pki, version):
    proxy = closed(admin=True)
    stays_out(proxy, only(pki, version))
    failed_handshakes(proxy, 1)
    gets_in(proxy, only(pki, version, pair=pki.client()))
    assert [r["status"] for r in proxy.access(1)] == [200]


@TLS
def test_who_stays_out(closed, pki, version):
    proxy = closed()
    strangers = {
        "other CA": pki.client("stranger", ca="other"),
        "expired": pki.client("late", start=-20, end=-1),
        "not yet valid": pki.client("early", start=1, end=20),
        "signed by itself": pki.lonely(),
        "a server's": pki.pair("server-only", usage="serverAuth"),
        "middle one missing": pki.client("torn", ca="middle", chain=False),
    }
    for what, pair in strangers.items():
        assert stays_out(proxy, only(pki, version, pair=pair)), what
    gets_in(proxy, only(pki, version, pair=pki.client()))
    gets_in(proxy, only(pki, version, pair=pki.client("through", ca="middle")))
    assert len(proxy.access(2)) == 2


def test_a_bundle_of_cas(closed, pki):
    proxy = closed(ca=pki.bundle("two-cas.pem", pki.ca(), pki.ca("other")))
    gets_in(proxy, context(pki, pair=pki.client()))
    gets_in(proxy, context(pki, pair=pki.client("stranger", ca="other")))
    text = s_client(proxy.port, "-tls1_2", check=False)
    assert "CN = root CA" in text and "CN = other CA" in text  # whom it asks for


def test_renegotiated_certificates_are_no_way_in(closed, pki):
    """RFC 8446 4.6.2 (post-handshake authentication) is not offered."""
    stays_out(closed(), context(pki))


# --- the name -------------------------------------------------------------------------

def rdns(text):
    """An RFC 4514 text, read back: [(type, value)] in the order of the certificate."""
    parts, at = [], 0
    while at <= len(text):
        m = re.compile(r'([A-Za-z][A-Za-z0-9-]*|[0-9.]+)=((?:\\[ "#+,;<=>\\]|\\[0-9A-Fa-f]{2}|'
                       r'[^\\,+"<>;\x00-\x1f\x7f])*)([,+]|$)').match(text, at)
        assert m, f"no RFC 4514 at {text[at:]!r} of {text!r}"
        raw = re.sub(rb'\\([0-9A-Fa-f]{2})|\\(.)',
                     lambda e: bytes([int(e[1], 16)]) if e[1] else e[2],
                     m[2].encode("latin-1"))
        parts.append((m[1], raw.decode()))
        at = m.end() if m[3] else len(text) + 1
    return list(reversed(parts))


NAMES = {
    "simple": ("/CN=alice", [("CN", "alice")]),
    "several": ("/C=DE/O=Acme/OU=Web/CN=alice", [("C", "DE"), ("O", "Acme"), ("OU", "Web"),
                                                  ("CN", "alice")]),
    "commas": ("/O=Acme, Inc./CN=a,b", [("O", "Acme, Inc."), ("CN", "a,b")]),
    "quotes": ('/CN="alice" \\\\ \'bob\'', [("CN", '"alice" \\ \'bob\'')]),
    "signs": ("/CN=a<b>;c#d\\+e=f", [("CN", "a<b>;c#d+e=f")]),
    "hash first": ("/CN=#abc", [("CN", "#abc")]),
    "blanks": ("/CN= alice  ", [("CN", " alice  ")]),
    "utf8": ("/O=Größe AG/CN=Zoë 樹", [("O", "Größe AG"), ("CN", "Zoë 樹")]),
    "line break": ("/CN=a\r\nX-Admin: yes", [("CN", "a\r\nX-Admin: yes")]),
    "controls": ("/CN=a\tb\x01c\x7fd", [("CN", "a\tb\x01c\x7fd")]),
    "long": ("/CN=" + "n" * 64 + "".join(f"/OU={'u' * 60}{i}" for i in range(8)),
             [("CN", "n" * 64)] + [("OU", "u" * 60 + str(i)) for i in range(8)]),
    "mail": ("/CN=al/emailAddress=al@acme.test", [("CN", "al"), ("emailAddress", "al@acme.test")]),
}


@pytest.mark.parametrize("what", NAMES)
def test_subjects(closed, pki, what):
    """RFC 4514, in one line, whatever is in it."""
    text, want = NAMES[what]
    pair = pki.client(f"name-{what.replace(' ', '-')}", subject=text)
    seen = gets_in(closed(), context(pki, pair=pair))
    value = seen.one(SUBJECT)
    assert not re.search(r"[\x00-\x1f\x7f]", value)
    got = [("emailAddress" if kind == "1.2.840.113549.1.9.1" else kind, v)
           for kind, v in rdns(value)]
    assert got == want, value
    assert not seen.has("x-admin")


SPOOFS = ["X-Client-Cert-Subject: CN=root", "x-client-cert-subject: CN=root",
          "X_Client_Cert_Subject: CN=root", "X-Client_Cert-Subject: CN=root",
          "X-CLIENT-CERT-SUBJECT:CN=root"]


@TLS
def test_spoofed_names_are_removed(closed, pki, version):
    proxy = closed()
    with knock(proxy, only(pki, version, pair=pki.client())) as c:
        assert c.ask(fields=SPOOFS).status == 200
        assert c.ask(fields=["Connection: X-Client-Cert-Subject", *SPOOFS]).status == 200
    for seen in proxy.b.requests:
        assert seen.one(SUBJECT) == "CN=client-visitor"
        assert b"root" not in seen.head


def test_spoofed_names_where_nobody_asks_for_certificates(evenkeel, backend, client, pki):
    """On plain listeners and on TLS ones without client certificates nothing gets through."""
    b = backend()
    proxy = evenkeel(ini([b], listener=lines(pki.usual()),
                         rest="[listener plain]\nbind = 127.0.0.1:0\npool = web\n"
                              "trusted_proxies = 127.0.0.1\n"))
    with knock(proxy, context(pki)) as c:
        assert c.ask(fields=SPOOFS).status == 200
    assert client(proxy.ports[1]).ask(fields=SPOOFS).status == 200
    for seen in b.requests:
        assert b"root" not in seen.head and not seen.has(SUBJECT)
        assert not any("client" in n and "cert" in n for n, _ in seen.fields)


def test_the_name_in_every_request_of_a_connection(closed, pki):
    proxy = closed()
    with knock(proxy, context(pki, pair=pki.client())) as c:
        for _ in range(3):
            assert c.ask("POST", body=b"x" * 5000).status == 200
    assert [r.one(SUBJECT) for r in proxy.b.requests] == ["CN=client-visitor"] * 3


def test_the_name_survives_a_retry(lb, lab, pki, backend):
    """The second backend is told, too."""
    bad = backend(lambda conn: (conn.request(), conn.reset()))
    good = backend()
    proxy = lb([bad, good], pool="retry_base = 1ms\n", listener=lines(pki.usual()) +
               f"tls_client_ca = {pki.ca().certificate}\n")
    with knock(proxy, context(pki, pair=pki.client())) as c:
        for _ in range(4):
            assert c.ask(fields=SPOOFS).status == 200
    assert {r.one(SUBJECT) for r in bad.requests + good.requests} == {"CN=client-visitor"}


def test_plain_http_where_certificates_are_wanted(closed, client):
    proxy = closed()
    r = client(proxy).ask(fields=SPOOFS)
    assert r.status == 400 and not proxy.b.conns


def test_a_reload_that_closes_the_door(evenkeel, backend, pki):
    """New connections need a certificate; those that live go on."""
    b = backend()
    proxy = evenkeel(site([b], listener=lines(pki.usual())))
    with knock(proxy, context(pki)) as old:
        assert old.ask().status == 200
        reload(proxy, site([b], listener=lines(pki.usual()) +
                           f"tls_client_ca = {pki.ca().certificate}\n"))
        with pytest.raises((OSError, Broken)):
            with knock(proxy, context(pki), settle=False) as c:
                c.ask()
        assert old.ask().status == 200
        with knock(proxy, context(pki, pair=pki.client())) as c:
            assert c.ask().status == 200
    assert b.requests[-1].one(SUBJECT) == "CN=client-visitor"
    assert not b.requests[1].has(SUBJECT)


# --- OCSP responses ---------------------------------------------------------------------

def stapled(proxy, *args):
    """What s_client says about the response that came, or None."""
    text = s_client(proxy.port, "-status", *args, request=CLOSING)
    assert " 200 OK" in text
    if "OCSP response: no response sent" in text:
        return None
    assert "OCSP Response Status: successful" in text, text
    return re.search(r"Serial Number: ([0-9A-F]+)", text).group(1)


@TLS
def test_staple(lb, backend, pki, version):
    pair = pki.pair("stapled", "DNS:lb.test")
    proxy = lb([backend()], listener=lines(pair, staples=[pki.ca().staple(pair, "one")]))
    how = "-tls" + version.replace(".", "_")
    assert stapled(proxy, how) == pair.serial()
    # Only who asks for it gets it.
    assert "OCSP" not in s_client(proxy.port, how, request=CLOSING)


def test_a_staple_for_each_certificate(lb, backend, pki):
    one, two = pki.pair("stapled", "DNS:lb.test"), pki.pair("stapled-two", "DNS:two.test")
    ca = pki.ca()
    proxy = lb([backend()], listener=lines(one, two, staples=[ca.staple(one, "first"),
                                                             ca.staple(two, "second")]))
    assert stapled(proxy, "-servername", "lb.test") == one.serial()
    assert stapled(proxy, "-servername", "two.test") == two.serial()
    assert stapled(proxy, "-noservername") == one.serial()


def test_fewer_staples_than_certificates(lb, backend, pki):
    one, two = pki.pair("stapled", "DNS:lb.test"), pki.pair("a")
    proxy = lb([backend()], listener=lines(one, two, staples=[pki.ca().staple(one, "alone")]))
    assert stapled(proxy, "-servername", "lb.test") == one.serial()
    assert stapled(proxy, "-servername", "a.test") is None


def test_staples_of_both_kinds_of_keys(lb, backend, pki):
    ec = pki.pair("st-ec", "DNS:lb.test")
    rsa = pki.pair("st-rsa", "DNS:lb.test", kind="rsa")
    ca = pki.ca()
    proxy = lb([backend()], listener=lines(ec, rsa, staples=[ca.staple(ec, "e"),
                                                            ca.staple(rsa, "r")]))
    assert stapled(proxy, "-tls1_3", "-sigalgs", "rsa_pss_rsae_sha256") == rsa.serial()
    assert stapled(proxy, "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256") == ec.serial()


def test_no_staple(lb, backend, pki):
    assert stapled(lb([backend()], listener=lines(pki.usual()))) is None


def test_a_staple_that_is_out_of_date(evenkeel, backend, pki):
    """Warned about and not sent: a client would take it for a broken server."""
    pair = pki.pair("stapled", "DNS:lb.test")
    old = pki.ca().staple(pair, "old", shift_years=-1)
    proxy = evenkeel(site([backend()], listener=lines(pair, staples=[old])))
    assert stapled(proxy) is None
    said = proxy.verb("check")
    assert said.returncode == 0 and str(old) in said.stdout + said.stderr
    until(lambda: str(old) in proxy.stderr(), "the log to say so")


def test_staples_that_are_refused(evenkeel, backend, pki, tmp_path):
    """Garbage, an error, one about another certificate: with the file, and nothing changes."""
    pair, other = pki.pair("stapled", "DNS:lb.test"), pki.pair("a")
    good, b = pki.ca().staple(pair, "good"), backend()
    proxy = evenkeel(site([b], listener=lines(pair, staples=[good])))
    bad = {
        "garbage": b"\x30\x82\xff\xffxxxx", "empty": b"", "try later": b"\x30\x03\x0a\x01\x03",
        "cut": good.read_bytes()[:-20], "pem": pair.leaf.read_bytes(),
        "other": pki.ca().staple(other, "others").read_bytes(),
    }
    for what, content in bad.items():
        path = tmp_path / f"{what.replace(' ', '-')}.ocsp"
        path.write_bytes(content)
        said = refuse(proxy, site([b], listener=lines(pair, staples=[path])))
        assert "tls_ocsp_staple" in said and str(path) in said, (what, said)
        assert stapled(proxy) == pair.serial()
    gone = tmp_path / "gone.ocsp"
    assert str(gone) in refuse(proxy, site([b], listener=lines(pair, staples=[gone])))


def test_a_new_staple_by_reload(evenkeel, backend, pki, tmp_path):
    """As a cron job does it: another file under the same name, and a reload."""
    pair, path, b = pki.pair("stapled", "DNS:lb.test"), tmp_path / "now.ocsp", backend()
    path.write_bytes(pki.ca().staple(pair, "v1", days=3).read_bytes())
    proxy = evenkeel(site([b], listener=lines(pair, staples=[path])))

    def next_update():
        text = s_client(proxy.port, "-status", request=CLOSING)
        return re.search("Next Update: (.*)", text).group(1)
    first = next_update()
    path.write_bytes(pki.ca().staple(pair, "v2", days=6).read_bytes())
    assert next_update() == first
    reload(proxy)
    assert next_update() != first
