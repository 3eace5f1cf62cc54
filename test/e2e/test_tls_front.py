"""TLS from clients: which certificate, versions, ciphers, ALPN, what backends are told."""
import re
import socket
import ssl
import subprocess

import pytest

from harness import Client, Evenkeel, build_of, ini, tls, until
from harness.flow import BLOCK
from harness.health import scrape
from harness.proxy import environment
from secure import (CLOSING, RECORDS, V12, V13, VERSIONS, Talk, context, der, failed_handshakes,
                    handshakes, hello, knock, lines, only, s_client, secured, whose)

pytestmark = pytest.mark.plain_only("speaks TLS itself")


@pytest.fixture
def front(lb, backend, pki):
    """front(pairs, **ini options) -> an Evenkeel that takes TLS, and its backend as .b"""
    def make(*pairs, listener="", script=None, **more):
        b = backend(script)
        proxy = lb([b], listener=lines(*(pairs or [pki.usual()])) + listener, **more)
        proxy.b = b
        return proxy
    return make


# --- which certificate ---------------------------------------------------------------

@pytest.fixture
def wardrobe(front, pki):
    """A listener with many certificates; -> (proxy, {what: pair})."""
    pairs = {
        "first": pki.pair("first"),
        "exact": pki.pair("a", "DNS:a.test", "DNS:also.test"),
        "wild": pki.pair("wild", "DNS:*.w.test"),
        "inner": pki.pair("inner", "DNS:x.w.test"),
        "cn": pki.pair("cn.test", "IP:127.0.0.9", subject="/CN=cn.test"),
        "both": pki.pair("shadow", "DNS:san.test", subject="/CN=shadow.test"),
        "upper": pki.pair("upper", "DNS:UPPER.Test"),
        "again": pki.pair("again", "DNS:a.test"),
    }
    return front(*pairs.values()), pairs


@pytest.mark.parametrize("name, want", [
    ("first.test", "first"), ("a.test", "exact"), ("also.test", "exact"), ("A.TEST", "exact"),
    ("b.w.test", "wild"), ("B.W.tEST", "wild"), ("x.w.test", "inner"), ("X.w.test", "inner"),
    ("y.x.w.test", "first"), ("w.test", "first"), (".w.test", "first"), ("xx.w.test", "wild"),
    ("cn.test", "cn"), ("san.test", "both"), ("shadow.test", "first"), ("upper.test", "upper"),
    ("unknown.test", "first"), (None, "first"), ("a.test.evil", "first"), ("test", "first"),
    ("127.0.0.9", "first"), ("a" * 63 + "." + "b" * 63 + ".test", "first"),
    ("*.w.test", "wild"),
])
def test_names(wardrobe, client, name, want):
    """Exact before wildcard, a wildcard is one label, case does not matter."""
    proxy, pairs = wardrobe
    if name and name[0] in ".*":  # Python checks names, openssl does not
        text = s_client(proxy.port, "-servername", name, request=CLOSING)
        assert text.count("BEGIN CERTIFICATE") == 1 and " 200 OK" in text
        got = ssl.PEM_cert_to_DER_cert(re.search(
            "-----BEGIN.*?END CERTIFICATE-----", text, re.S).group(0))
        assert got == der(pairs[want])
        return
    c = knock(proxy, context(), name=name)
    with c:
        got = whose(c, *pairs.values())
        assert got is pairs[want], (got, want)
        assert c.ask(host="other.test").status == 200


def shown(proxy, *args):
    """DER of the certificate that s_client is shown."""
    text = s_client(proxy.port, *args, request=CLOSING)
    assert " 200 OK" in text
    return ssl.PEM_cert_to_DER_cert(re.search(
        "-----BEGIN CERT.*?END CERTIFICATE-----", text, re.S).group(0))


RSA_ALONE = {"1.2": ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"],
             "1.3": ["-tls1_3", "-sigalgs", "rsa_pss_rsae_sha256"]}
EC_ALONE = {"1.2": ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"],
            "1.3": ["-tls1_3", "-sigalgs", "ecdsa_secp256r1_sha256"]}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("first", ["ec", "rsa"])
def test_both_kinds_of_keys(front, pki, version, first):
    """RSA and ECDSA for one name, in any order, exact and wildcard; also without a name."""
    two = {}
    for kind in ("ec", "rsa"):
        two[kind] = pki.pair(f"two-{kind}", "DNS:two.test", "DNS:*.two.test", kind=kind)
    other = pki.pair("other-ec", "DNS:other.test")
    proxy = front(two[first], two["rsa" if first == "ec" else "ec"], other)
    for name in (["-servername", "two.test"], ["-servername", "z.two.test"],
                 ["-servername", "unknown.test"], ["-noservername"]):
        assert shown(proxy, *RSA_ALONE[version], *name) == der(two["rsa"]), name
        assert shown(proxy, *EC_ALONE[version], *name) == der(two["ec"]), name
    assert shown(proxy, *EC_ALONE[version], "-servername", "other.test") == der(other)


def test_a_kind_that_is_missing(front, pki):
    """A client that can do RSA alone gets no ECDSA certificate: the handshake fails."""
    proxy = front(pki.pair("a"), admin=True)
    for version in VERSIONS:
        text = s_client(proxy.port, *RSA_ALONE[version], check=False)
        assert "BEGIN CERTIFICATE" not in text and "alert" in text
    failed_handshakes(proxy, 2)


def test_the_whole_chain_is_sent(front, pki):
    """Intermediate certificates come from the file, the root stays at home."""
    pair = pki.pair("deep", "DNS:lb.test", ca="middle")
    with knock(front(pair), context(pki)) as c:  # verified against the root alone
        assert c.ask().status == 200
    bare = pki.pair("bare", "DNS:lb.test", ca="middle", chain=False)
    with pytest.raises(ssl.SSLCertVerificationError):
        knock(front(bare), context(pki))


def test_ip_addresses(evenkeel, backend, pki):
    """Clients that connect to an address send no name."""
    proxy = evenkeel(ini([backend()], listener="bind = [::1]:0\n" + lines(pki.usual())))
    for name, to in (("127.0.0.1", proxy.port), ("::1", ("::1", proxy.ports[1]))):
        with Client(to, secure=secured(context(pki), name=name)) as c:
            assert c.ask().status == 200


# --- versions and ciphers ------------------------------------------------------------

@pytest.mark.parametrize("version", VERSIONS)
def test_versions(front, pki, version):
    proxy = front()
    with knock(proxy, only(pki, version)) as c:
        assert c.sock.tls.version() == f"TLSv{version}"
        assert c.sock.tls.compression() is None
        for _ in range(3):
            assert c.ask(body=b"x" * 1000, method="POST").status == 200


def test_handshakes_are_counted(front, pki):
    proxy = front(admin=True)
    for n in (1, 2, 3):
        with knock(proxy, context(pki)) as c:
            assert c.ask().status == 200
        until(lambda: handshakes(proxy, "client", "full") == n, f"{n} handshakes")
    assert handshakes(proxy, "client", "resumed") == handshakes(proxy, "client", "failed") == 0
    with pytest.raises(OSError):
        knock(proxy, context(alpn=["h2"]))
    failed_handshakes(proxy, 1)
    assert handshakes(proxy, "backend", "full") == handshakes(proxy, "backend", "failed") == 0


@pytest.mark.parametrize("how", ["-tls1", "-tls1_1"])
def test_old_versions_are_refused(front, how):
    proxy = front(admin=True)
    text = s_client(proxy.port, how, "-cipher", "ALL:@SECLEVEL=0", check=False)
    assert "BEGIN CERTIFICATE" not in text and "protocol version" in text, text
    failed_handshakes(proxy, 1)


def test_lowest_version(front, pki):
    proxy = front(listener="tls_min_version = 1.3\n")
    with knock(proxy, only(pki, "1.3")) as c:
        assert c.ask().status == 200
    with pytest.raises(ssl.SSLError, match="(?i)protocol.version"):
        knock(proxy, only(pki, "1.2"))


WEAK = ["AES128-SHA", "AES128-GCM-SHA256", "AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-SHA",
        "ECDHE-RSA-AES128-SHA256", "DHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-CCM8",
        "PSK-AES128-GCM-SHA256", "AECDH-AES128-SHA", "NULL-SHA256",
        "ECDHE-RSA-AES128-SHA", "DHE-RSA-AES256-SHA256"]


def test_weak_ciphers_are_refused(front, pki):
    """No forward secrecy, no authenticated encryption: no connection."""
    proxy = front(pki.pair("two-ec", "DNS:two.test", "DNS:*.two.test"),
                  pki.pair("two-rsa", "DNS:two.test", "DNS:*.two.test", kind="rsa"))
    for cipher in WEAK:
        text = s_client(proxy.port, "-tls1_2", "-cipher", f"{cipher}:@SECLEVEL=0",
                        request=CLOSING, check=False)
        assert "200 OK" not in text and "BEGIN CERTIFICATE" not in text, cipher
    with knock(proxy, context()) as c:
        assert c.ask().status == 200


@pytest.mark.parametrize("cipher", ["ECDHE-ECDSA-AES256-GCM-SHA384",
                                    "ECDHE-ECDSA-CHACHA20-POLY1305"])
def test_chosen_ciphers(front, pki, cipher):
    proxy = front(listener=f"tls_ciphers = {cipher}\n")
    with knock(proxy, only(pki, "1.2")) as c:
        assert c.sock.tls.cipher()[0] == cipher
    with pytest.raises(ssl.SSLError):
        knock(proxy, only(pki, "1.2", ciphers="ECDHE-ECDSA-AES128-GCM-SHA256"))
    with knock(proxy, only(pki, "1.3")) as c:
        assert c.ask().status == 200


def test_chosen_suites(front, pki):
    proxy = front(listener="tls_ciphersuites = TLS_AES_256_GCM_SHA384\n")
    with knock(proxy, only(pki, "1.3")) as c:
        assert c.sock.tls.cipher()[0] == "TLS_AES_256_GCM_SHA384"
    with knock(proxy, only(pki, "1.2")) as c:
        assert c.ask().status == 200
    text = s_client(proxy.port, "-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256", check=False)
    assert "BEGIN CERTIFICATE" not in text


def test_the_server_chooses(front):
    """AES-128 first; ChaCha20 when the client wants it most."""
    proxy = front()
    for offered, want in (("ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256",
                           "ECDHE-ECDSA-AES128-GCM-SHA256"),
                          ("ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256",
                           "ECDHE-ECDSA-CHACHA20-POLY1305")):
        with knock(proxy, context(high=V12, ciphers=offered)) as c:
            assert c.sock.tls.cipher()[0] == want


@pytest.mark.parametrize("group", ["X25519", "P-256", "P-384"])
def test_groups(front, group):
    text = s_client(front().port, "-tls1_3", "-groups", group, request=CLOSING)
    assert " 200 OK" in text and re.search(
        f"Server Temp Key: (ECDH, )?({group}|{group.replace('P-', 'prime')}v1|"
        f"{group.replace('P-', 'secp')}r1)", text), text


# --- ALPN ------------------------------------------------------------------------------

@pytest.mark.parametrize("version", VERSIONS)
def test_alpn(front, pki, version):
    proxy = front()
    for offer, want in ((["http/1.1"], "http/1.1"), (["h2", "http/1.1"], "http/1.1"),
                        (["http/1.1", "h2"], "http/1.1"), (None, None),
                        (["http/1.0"], "http/1.0")):
        with knock(proxy, only(pki, version, alpn=offer)) as c:
            assert c.sock.tls.selected_alpn_protocol() == want
            assert c.ask().status == 200
    for offer in (["h2"], ["spdy/3", "h3"], ["HTTP/1.1"]):
        with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
            knock(proxy, only(pki, version, alpn=offer))
    assert all(r["status"] == 200 for r in proxy.access(5))


# --- no renegotiation, no compression -------------------------------------------------

def test_no_renegotiation(front):
    """A client that asks for it is refused; the next one is served."""
    proxy = front()
    with Talk(proxy.port, "-tls1_2") as talk:
        talk.hear("Extended master secret: yes\n---")
        talk.say(b"R\n").hear("RENEGOTIATING")
        assert re.search("no renegotiation|error|closed", talk.ended())
    for _ in range(2):
        assert " 200 OK" in s_client(proxy.port, "-tls1_2", request=CLOSING)
    assert len(proxy.b.requests) == 2


def test_no_compression(front):
    for how in ("-tls1_2", "-tls1_3"):
        text = s_client(front().port, how, "-comp", request=CLOSING)
        assert "Compression: NONE" in text and " 200 OK" in text


def test_no_early_data(front, tmp_path):
    """0-RTT could be replayed: no ticket allows it."""
    proxy, kept = front(), tmp_path / "session"
    text = s_client(proxy.port, "-tls1_3", "-sess_out", kept, request=CLOSING)
    assert "Max Early Data: 0" in text and not re.search("Max Early Data: [1-9]", text)
    early = tmp_path / "early"
    early.write_bytes(CLOSING)
    text = s_client(proxy.port, "-tls1_3", "-sess_in", kept, "-early_data", early,
                    request=CLOSING, check=False)
    assert "Early data was accepted" not in text
    assert len(proxy.b.requests) <= 2


# --- what backends are told ------------------------------------------------------------

def test_scheme_is_passed_on(front, pki):
    proxy = front(listener="forwarded = both\n")
    with knock(proxy, context(pki)) as c:
        assert c.ask(fields=["X-Forwarded-Proto: http"]).status == 200
    seen = proxy.b.requests[0]
    assert seen.one("x-forwarded-proto") == "https"
    assert "proto=https" in seen.one("forwarded")
    record = proxy.access(1)[0]
    assert record["status"] == 200 and record["client"].startswith("127.0.0.1")


def test_unix_socket(evenkeel, backend, pki, tmp_path):
    path = tmp_path / "l.sock"
    proxy = evenkeel(ini([backend()], listener=f"bind = unix:{path}\n" + lines(pki.usual())))
    for to in (str(path), proxy.port):
        with Client(to, secure=secured(context(pki))) as c:
            assert c.ask().status == 200


def test_plain_beside_tls(evenkeel, backend, pki):
    """Two listeners of one process, and many connections of both kinds."""
    b = backend()
    proxy = evenkeel(ini([b], listener=lines(pki.usual()),
                         rest="[listener plain]\nbind = 127.0.0.1:0\npool = web"), )
    for _ in range(5):
        with knock(proxy, context(pki)) as c, Client(proxy.ports[1]) as p:
            assert c.ask().status == p.ask().status == 200
    assert [r.one("x-forwarded-proto") for r in b.requests] == ["https", "http"] * 5


# --- misunderstandings -----------------------------------------------------------------

PLAIN = [b"GET / HTTP/1.1\r\nHost: lb.test\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n",
         b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
         b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", b"DELETE / HTTP/1.1\r\nHost: h\r\n\r\n",
         b"GET / HTTP/1.1\r\nHost: lb.test\r\n\r\n" * 5,
         b"HEAD / HTTP/1.1\r\nHost: lb.test\r\n\r\n"]


@pytest.mark.parametrize("request_bytes", PLAIN)
def test_plain_http_on_a_tls_port(front, client, pki, request_bytes):
    proxy = front()
    c = client(proxy).send(request_bytes)
    r = c.response("HEAD" if request_bytes.startswith(b"HEAD") else "GET")
    assert r.status == 400 and "close" in r.tokens("connection")
    if not request_bytes.startswith(b"HEAD"):
        assert b"https" in r.body.lower() or b"TLS" in r.body, r.body
        assert len(r.body) < 2000 and r.body.isascii()
    c.stream.rest()
    record = proxy.access(1)[0]
    assert (record["status"], record["end"], record["listener"]) == (400, "client_bad", "main")
    assert "TLS" in record["why"] or "https" in record["why"]
    assert not proxy.b.conns
    with knock(proxy, context(pki)) as good:
        assert good.ask().status == 200
    assert len(proxy.access(2)) == 2


def test_plain_http_in_pieces_on_a_tls_port(front, client):
    """A byte at a time; the answer comes all the same."""
    proxy = front()
    c = client(proxy)
    for i in range(len(PLAIN[0])):
        c.send(PLAIN[0][i:i + 1])
    assert c.response().status == 400
    assert proxy.access(1)[0]["end"] == "client_bad"


def test_half_a_plain_head_on_a_tls_port(front, client):
    """No end of the head: 400 at once or 408 in time, but never silence for ever."""
    proxy = front(listener="header_timeout = 300ms\n")
    c = client(proxy).send(b"GET / HTTP/1.1\r\nHost: lb")
    assert c.response().status in (400, 408)
    c.stream.rest()
    assert proxy.access(1)[0]["end"] in ("client_bad", "client_slow")


def test_plain_client_that_leaves(front, client):
    proxy = front()
    client(proxy).send(b"GET / HT").close()
    client(proxy).send(b"GET / HT").reset()
    with knock(proxy, context()) as c:
        assert c.ask().status == 200


@pytest.mark.parametrize("version", [None, V12, V13])
def test_tls_on_a_plain_port(lb, backend, client, version):
    """A ClientHello is no request: 400 or an end, and a record that can be read."""
    proxy = lb([backend()])
    c = client(proxy)
    c.send(hello(version=version))
    c.half_close()
    answer = c.stream.rest()
    assert not answer or answer.startswith(b"HTTP/1.1 400 ")
    record = proxy.access(1)[0]
    assert record["status"] == 400 and record["end"] == "client_bad"
    assert record["why"] == "a TLS handshake where plain HTTP is spoken"
    raw = proxy.access_path.read_bytes()
    assert raw.isascii() or raw.decode("utf-8")
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", raw)
    assert client(proxy).ask().status == 200


# --- PROXY protocol --------------------------------------------------------------------

V2 = b"\r\n\r\n\0\r\nQUIT\n" + b"\x21\x11\0\x0c" + bytes([203, 0, 113, 9, 192, 0, 2, 1]) + \
    b"\x13\x88\0\x50"
HEADERS = {"v1": b"PROXY TCP4 203.0.113.9 192.0.2.1 5000 80\r\n", "v2": V2}


class Joined(tls.Secured):
    """Its first flight goes out behind a header, in one send."""

    def __init__(self, sock, ctx, header):
        self._header = header
        super().__init__(sock, ctx)

    def _flush(self, end):
        if self._header:
            with self._lock:
                first = self._out.read()
            assert first
            self._sock.sendall(self._header + first)
            self._header = b""
        super()._flush(end)


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("version", HEADERS)
def test_proxy_protocol(front, pki, version, together):
    """The header comes before the ClientHello, in its segment or before."""
    proxy = front(listener="proxy_protocol = on\n")

    def wrap(sock):
        if not together:
            for i in range(len(HEADERS[version])):
                sock.sendall(HEADERS[version][i:i + 1])
            return secured(context(pki))(sock)
        return Joined(sock, context(pki), HEADERS[version])
    with Client(proxy.port, secure=wrap) as c:
        assert c.ask().status == 200
        assert c.ask().status == 200
    assert proxy.b.requests[0].one("x-forwarded-for") == "203.0.113.9"
    assert proxy.access(2)[0]["client"].startswith("203.0.113.9")


def test_proxy_protocol_missing(front, pki):
    """TLS without the header it was told to expect."""
    proxy = front(listener="proxy_protocol = on\n")
    with pytest.raises(OSError):
        knock(proxy, context(pki))
    until(lambda: "no PROXY header" in proxy.stderr(), "the log to say so")
    assert not proxy.b.conns


def test_proxy_header_then_plain_http(front, client):
    proxy = front(listener="proxy_protocol = on\n")
    c = client(proxy).send(HEADERS["v1"] + PLAIN[0])
    assert c.response().status == 400
    assert proxy.access(1)[0]["client"].startswith("203.0.113.9")


def test_a_proxy_header_inside_tls(front, pki):
    """It is no request, and names nobody."""
    proxy = front()
    with knock(proxy, context(pki)) as c:
        c.send(HEADERS["v1"] + PLAIN[0])
        assert c.response().status == 400
    assert not proxy.b.requests


# --- redirect ------------------------------------------------------------------------

@pytest.fixture
def redirecting(evenkeel):
    def make(value="https"):
        return evenkeel(f"[global]\n{RECORDS}workers = 1\n[listener main]\nbind = 127.0.0.1:0\n"
                        f"redirect = {value}\n[pool other]\nbackend = 127.0.0.1:9\n"
                        "health = off\n")
    return make


@pytest.mark.parametrize("host, target, want", [
    ("shop.test", "/", "https://shop.test/"), ("shop.test:80", "/a?b=c", "https://shop.test/a?b=c"),
    ("shop.test:8080", "/a%20b", "https://shop.test/a%20b"), ("[::1]:80", "/", "https://[::1]/"),
    ("[2001:db8::1]", "/x", "https://[2001:db8::1]/x"), ("192.0.2.1:1", "//x", "https://192.0.2.1//x"),
    ("shop.test", "/\"<>'`|", "https://shop.test/\"<>'`|"),
])
def test_redirect(redirecting, client, host, target, want):
    proxy = redirecting()
    for method, status in (("GET", 301), ("HEAD", 301), ("POST", 308), ("PUT", 308),
                           ("DELETE", 308), ("OPTIONS", 308), ("PATCH", 308)):
        r = client(proxy).ask(method, target, host=host,
                              body=b"x" if method in ("POST", "PUT") else None)
        assert r.status == status and r.one("location") == want, (method, r.head)
    assert [r["status"] for r in proxy.access(7)] == [301, 301] + [308] * 5


def test_redirect_needs_no_pool(evenkeel, client):
    proxy = evenkeel("[listener main]\nbind = 127.0.0.1:0\nredirect = https\n")
    assert client(proxy).ask(target="/x").one("location") == "https://lb.test/x"


def test_redirect_to_a_port(redirecting, client):
    for value, want in (("https:8443", "https://shop.test:8443/p?q"),
                        ("https:443", "https://shop.test/p?q")):
        r = client(redirecting(value)).ask(target="/p?q", host="shop.test:80")
        assert r.status == 301 and r.one("location") == want
    r = client(redirecting("https:65535")).ask(host="[::1]:80")
    assert r.one("location") == "https://[::1]:65535/"


def test_redirect_of_other_forms(redirecting, client):
    """absolute-form has its own authority; HTTP/1.0 without Host has none to send back."""
    proxy = redirecting()
    c = client(proxy)
    r = c.ask(target="http://other.test:81/x", host="shop.test")
    assert r.status == 301 and r.one("location") == "https://other.test/x"
    c = client(proxy).send(b"GET /x HTTP/1.0\r\n\r\n")
    r = c.response()
    assert r.status in (301, 400)
    assert r.status == 400 or r.one("location").startswith("https:///") is False
    for bad in (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
                b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
                b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"):
        assert client(proxy).send(bad).response().status in (400, 405), bad


def test_redirect_reads_bodies(redirecting, client):
    """What follows an upload is the next request, or the connection ends."""
    proxy = redirecting()
    c = client(proxy)
    r = c.ask("POST", "/", body=b"GET /evil HTTP/1.1\r\nHost: evil\r\n\r\n")
    assert r.status == 308
    if "close" not in r.tokens("connection"):
        assert c.ask(target="/next").one("location").endswith("/next")
    c.close()
    assert not any("evil" in r["target"] for r in proxy.access())


def test_redirect_and_tls_beside_each_other(evenkeel, backend, client, pki):
    """As it is used: one port redirects, the other one serves."""
    proxy = evenkeel(ini([backend()], listener=lines(pki.usual()),
                         rest="[listener old]\nbind = 127.0.0.1:0\nredirect = https"))
    r = client(proxy.ports[1]).ask(target="/x")
    assert r.status == 301 and r.one("location") == "https://lb.test/x"
    with knock(proxy, context(pki)) as c:
        assert c.ask(target="/x").status == 200


# --- programs --------------------------------------------------------------------------

def curl(tool, *args, check=True):
    run = subprocess.run([tool("curl"), "-sS", "--max-time", "20", *map(str, args)],
                         capture_output=True, timeout=30, check=False)
    assert not check or run.returncode == 0, run.stderr
    return run.stdout if check else run


def test_curl(front, pki, tool, tmp_path):
    def echo(conn):
        while True:
            conn.answer(conn.request().body or BLOCK)
    proxy = front(script=echo)
    url, ca = f"https://localhost:{proxy.port}/", ["--cacert", pki.ca().certificate]
    assert curl(tool, *ca, url) == BLOCK
    for how in (["--tlsv1.3"], ["--tls-max", "1.2"], ["--http2"], ["--no-alpn"],
                ["--http1.0", "--no-alpn"]):
        assert curl(tool, *ca, *how, url) == BLOCK, how
    big = tmp_path / "big"
    big.write_bytes(BLOCK * 40)
    assert curl(tool, *ca, "-T", big, url) == BLOCK * 40
    assert curl(tool, *ca, "-T", big, "-H", "Transfer-Encoding: chunked", url) == BLOCK * 40
    assert curl(tool, *ca, url, url, url) == BLOCK * 3
    run = curl(tool, url, check=False)
    assert run.returncode == 60 and b"certificate" in run.stderr  # no --cacert
    run = curl(tool, f"http://localhost:{proxy.port}/", "-w", "%{http_code}", check=False)
    assert run.stdout.endswith(b"400")


def test_h2load(front, tool):
    proxy = front(workers=2)
    run = subprocess.run([tool("h2load"), "--h1", "-n1000", "-c16", "-m4",
                          f"https://127.0.0.1:{proxy.port}/"],
                         capture_output=True, text=True, timeout=60, check=True)
    assert "1000 succeeded, 0 failed" in run.stdout, run.stdout
    assert len(proxy.access(1000)) == 1000


# --- what cannot be -----------------------------------------------------------------------

def check(tmp_path, text, binary=None):
    path = tmp_path / "lb.ini"
    path.write_text(text)
    return subprocess.run([binary or build_of(), "-c", path, "check"], capture_output=True,
                          text=True, env=environment(), timeout=20, check=False)


def listener_text(more):
    return f"[listener main]\nbind = 127.0.0.1:0\n{more}[pool web]\nbackend = 127.0.0.1:9\n"


def broken_files(pki, tmp_path):
    """{what: (lines, words that must be said)}."""
    good, other = pki.usual(), pki.pair("a")
    garbage = tmp_path / "garbage.pem"
    garbage.write_bytes(bytes(range(256)) * 8)
    empty = tmp_path / "empty.pem"
    empty.touch()
    half = tmp_path / "half.pem"
    half.write_bytes(good.leaf.read_bytes()[:200])
    locked = tmp_path / "locked.key"
    tls.certs.openssl("ec", "-in", good.key, "-aes128", "-passout", "pass:secret", "-out", locked)
    big = tmp_path / "big.pem"
    big.write_bytes(b"# nothing\n" * (1 << 18))
    gone = tmp_path / "gone.pem"
    pair = "tls_certificate = {}\ntls_key = {}\n".format
    return {
        "mismatch": (pair(good.certificate, other.key), ["tls_key", str(other.key)]),
        "missing certificate": (pair(gone, good.key), ["tls_certificate", str(gone), "no such file"]),
        "missing key": (pair(good.certificate, gone), ["tls_key", str(gone), "no such file"]),
        "garbage": (pair(garbage, good.key), ["tls_certificate", str(garbage)]),
        "garbage key": (pair(good.certificate, garbage), ["tls_key", str(garbage)]),
        "empty": (pair(empty, good.key), ["tls_certificate", str(empty)]),
        "half": (pair(half, good.key), ["tls_certificate", str(half)]),
        "locked key": (pair(good.certificate, locked), ["tls_key", str(locked)]),
        "folder": (pair(tmp_path, good.key), ["tls_certificate", str(tmp_path)]),
        "too big": (pair(big, good.key), ["tls_certificate", str(big)]),
        "a key alone": (f"tls_key = {good.key}\n", ["tls_key"]),
        "a certificate alone": (f"tls_certificate = {good.certificate}\n", ["tls_certificate"]),
        "the key is no certificate": (pair(good.key, good.key), ["tls_certificate", str(good.key)]),
        "client CA": (good.ini() + f"tls_client_ca = {garbage}\n",
                      ["tls_client_ca", str(garbage)]),
        "client CA that is gone": (good.ini() + f"tls_client_ca = {gone}\n",
                                   ["tls_client_ca", str(gone), "no such file"]),
        "version": (good.ini() + "tls_min_version = 1.1\n", ["tls_min_version", "1.1", "1.2"]),
        "version 1.4": (good.ini() + "tls_min_version = 1.4\n", ["tls_min_version", "1.4"]),
        "ciphers": (good.ini() + "tls_ciphers = NO-SUCH-CIPHER\n",
                    ["tls_ciphers", "NO-SUCH-CIPHER"]),
        "suites": (good.ini() + "tls_ciphersuites = TLS_NONE\n", ["tls_ciphersuites", "TLS_NONE"]),
        "alpn": (good.ini() + "alpn = h2\n", ["alpn", "h2", "http/1.1"]),
        "ticket keys": (good.ini() + f"tls_ticket_keys = {empty}\n",
                        ["tls_ticket_keys", str(empty)]),
        "ticket keys of a wrong size": (good.ini() + f"tls_ticket_keys = {half}\n",
                                        ["tls_ticket_keys", str(half)]),
        "redirect": (good.ini() + "redirect = https\n", ["redirect"]),
        "redirect to http": ("redirect = http\n", ["redirect", "https"]),
        "redirect to port 0": ("redirect = https:0\n", ["redirect", "https:0"]),
        "redirect to a large port": ("redirect = https:65536\n", ["redirect"]),
        "more staples": (good.ini() + f"tls_ocsp_staple = {gone}\ntls_ocsp_staple = {gone}\n",
                         ["tls_ocsp_staple"]),
        "client CA without TLS": (f"tls_client_ca = {pki.ca().certificate}\n", ["tls_client_ca"]),
    }


WHATS = ["mismatch", "missing certificate", "missing key", "garbage", "garbage key", "empty",
         "half", "locked key", "folder", "too big", "a key alone", "a certificate alone",
         "the key is no certificate", "client CA", "client CA that is gone", "version",
         "version 1.4", "ciphers", "suites", "alpn", "ticket keys", "ticket keys of a wrong size",
         "redirect", "redirect to http", "redirect to port 0", "redirect to a large port",
         "more staples", "client CA without TLS"]


@pytest.mark.parametrize("what", WHATS)
def test_bad_configurations(pki, tmp_path, what):
    """Refused by `check`, with section, key and file; nothing waits for a passphrase."""
    made = broken_files(pki, tmp_path)
    assert sorted(made) == sorted(WHATS)
    more, words = made[what]
    r = check(tmp_path, listener_text(more))
    said = r.stdout + r.stderr
    assert r.returncode == 2, said
    assert re.search(r"lb\.ini:\d+: \[listener main\] tls_|lb\.ini:\d+: \[listener main\] (alpn|red)",
                     said), said
    for word in words:
        assert word in said, (word, said)


def test_good_configurations(pki, tmp_path):
    good, more = pki.usual(), pki.pair("a")
    for text in (lines(good), lines(good, more), lines(good) + "tls_min_version = 1.3\n",
                 lines(good) + "alpn = http/1.1\n", "redirect = https\n", "redirect = https:8443\n",
                 lines(good) + f"tls_client_ca = {pki.ca().certificate}\n"):
        r = check(tmp_path, listener_text(text))
        assert r.returncode == 0, r.stdout + r.stderr


def test_one_error_does_not_hide_the_next(pki, tmp_path):
    """All that is wrong is told in one pass, also about files."""
    good = pki.usual()
    text = listener_text(f"tls_certificate = /nowhere/a.pem\ntls_key = {good.key}\n") + \
        f"[listener two]\nbind = 127.0.0.1:0\n{good.ini()}tls_client_ca = /nowhere/b.pem\n"
    said = check(tmp_path, text)
    assert said.returncode == 2
    assert "/nowhere/a.pem" in said.stderr + said.stdout
    assert "/nowhere/b.pem" in said.stderr + said.stdout


@pytest.mark.parametrize("days, said", [(10, "expires"), (29, "expires"), (31, None), (-1, "expired"),
                                        (80, None)])
def test_expiry_is_warned_about(pki, tmp_path, days, said):
    pair = pki.pair(f"days{days}", start=-100, end=days)
    r = check(tmp_path, listener_text(lines(pair)))
    text = r.stdout + r.stderr
    assert r.returncode == 0, text
    about = [ln for ln in text.splitlines() if "expire" in ln and "certificate" in ln]
    assert bool(about) == bool(said), text
    if said:
        assert said in about[0] and str(pair.certificate) in about[0], text


def test_a_key_that_others_can_read(pki, tmp_path):
    pair = pki.pair("loose")
    assert "readable" not in (r := check(tmp_path, listener_text(lines(pair)))).stdout + r.stderr
    pair.key.chmod(0o644)
    r = check(tmp_path, listener_text(lines(pair)))
    said = r.stdout + r.stderr
    assert r.returncode == 0 and str(pair.key) in said, said
    assert re.search(r"warn.*" + re.escape(str(pair.key)) + ".*(read|others)", said), said


def test_expiry_is_a_metric(front, pki):
    one, two = pki.usual(), pki.pair("a")
    proxy = front(one, two, admin=True)
    family = scrape(proxy)["evenkeel_tls_certificate_expiry_timestamp_seconds"]
    assert family.type == "gauge"
    for pair in (one, two):
        assert family.values(section="listener", name="main", file=str(pair.certificate)) == \
            [pair.expires()]


def test_relative_paths(evenkeel, backend, pki, tmp_path):
    """As with other files: what evenkeel's own directory makes of them."""
    proxy_folder = tmp_path / "lb0"
    text = ini([backend()], listener="tls_certificate = usual.pem\ntls_key = usual.key\n")
    proxy_folder.mkdir()
    for path, name in ((pki.usual().certificate, "usual.pem"), (pki.usual().key, "usual.key")):
        (proxy_folder / name).write_bytes(path.read_bytes())
        (proxy_folder / name).chmod(0o600)
    proxy = Evenkeel(proxy_folder, text)
    try:
        with knock(proxy, context(pki)) as c:
            assert c.ask().status == 200
    finally:
        proxy.stop()


def test_the_port_takes_connections_before_the_handshake(front, pki):
    """A client that only connects and goes leaves no record, and no failure."""
    proxy = front(admin=True)
    for _ in range(5):
        socket.create_connection(("127.0.0.1", proxy.port)).close()
    with knock(proxy, context(pki)) as c:
        assert c.ask().status == 200
    assert len(proxy.access(1)) == 1
