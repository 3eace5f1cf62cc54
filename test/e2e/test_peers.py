"""Who the client is: trusted proxies in front, the PROXY protocol both ways."""
import socket
import struct

import pytest

from harness import ini, until

V2 = b"\r\n\r\n\0\r\nQUIT\n"


def v2(source, destination, sport, dport, rest=b""):
    block = socket.inet_aton(source) + socket.inet_aton(destination) + \
        struct.pack("!HH", sport, dport) + rest
    return V2 + b"\x21\x11" + struct.pack("!H", len(block)) + block


GREETINGS = {
    "v1": b"PROXY TCP4 203.0.113.9 192.0.2.1 5000 80\r\n",
    "v2": v2("203.0.113.9", "192.0.2.1", 5000, 80),
    "v2 with a TLV": v2("203.0.113.9", "192.0.2.1", 5000, 80, b"\x04\0\x01x"),
}


def test_untrusted_peer_is_replaced(lb, backend, client):
    b = backend()
    proxy = lb([b], listener="trusted_proxies = 10.0.0.0/8\n")
    client(proxy).ask(fields=["X-Forwarded-For: 6.6.6.6", "X-Request-Id: forged"])
    assert b.requests[0].all("x-forwarded-for") == ["127.0.0.1"]
    assert b.requests[0].one("x-request-id") != "forged"
    assert proxy.access(1)[0]["client"] == "127.0.0.1"


def test_trusted_peer_is_kept_and_extended(lb, backend, client):
    b = backend()
    proxy = lb([b], listener="trusted_proxies = 10.0.0.0/8, 127.0.0.1\n")
    client(proxy).ask(fields=["X-Forwarded-For: 6.6.6.6, 203.0.113.7, 10.1.1.1",
                              "X-Forwarded-Proto: https", "X-Forwarded-Host: shop.test",
                              "X-Request-Id: from-the-front"])
    r = b.requests[0]
    assert r.all("x-forwarded-for") == ["6.6.6.6, 203.0.113.7, 10.1.1.1, 127.0.0.1"]
    assert r.one("x-forwarded-proto") == "https" and r.one("x-forwarded-host") == "shop.test"
    assert r.one("x-request-id") == "from-the-front"
    record = proxy.access(1)[0]
    assert record["client"] == "203.0.113.7" and record["id"] == "from-the-front"


@pytest.mark.parametrize("mode, x, rfc", [("off", False, False), ("x", True, False),
                                          ("rfc7239", False, True), ("both", True, True)])
@pytest.mark.plain_only("front: it expects http; test_tls_front.py has https")
def test_forwarded_modes(lb, backend, client, mode, x, rfc):
    b = backend()
    proxy = lb([b], listener=f"forwarded = {mode}\n")
    client(proxy).ask(fields=["Forwarded: for=6.6.6.6", "X-Forwarded-For: 6.6.6.6"])
    r = b.requests[0]
    assert r.has("x-forwarded-for") == x and r.has("forwarded") == rfc
    if rfc:
        assert r.one("forwarded") == 'for=127.0.0.1;proto=http;host=lb.test'
    assert "6.6.6.6" not in str(r.fields)


@pytest.mark.parametrize("greeting", GREETINGS.values(), ids=GREETINGS)
@pytest.mark.parametrize("cut", [0, 1, 7])
@pytest.mark.plain_only("front: the header comes before TLS, as in test_tls_front.py")
def test_proxy_header_says_who_it_is(lb, backend, client, greeting, cut):
    b = backend()
    proxy = lb([b], listener="proxy_protocol = on\n")
    c = client(proxy)
    c.send(greeting[:cut])
    c.send(greeting[cut:])
    assert c.ask().status == 200 and c.ask().status == 200
    assert b.requests[0].one("x-forwarded-for") == "203.0.113.9"
    assert proxy.access(2)[1]["client"] == "203.0.113.9"


@pytest.mark.plain_only("front: the header comes before TLS, as in test_tls_front.py")
def test_header_and_request_in_one_packet(lb, backend, client):
    proxy = lb([backend()], listener="proxy_protocol = yes\n")
    c = client(proxy)
    c.send(GREETINGS["v2"] + b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    assert c.response().status == 200


@pytest.mark.parametrize("greeting", [b"PROXY UNKNOWN\r\n", V2 + b"\x20\0\0\0"])
@pytest.mark.plain_only("front: the header comes before TLS, as in test_tls_front.py")
def test_unknown_source_is_the_socket(lb, backend, client, greeting):
    b = backend()
    c = client(lb([b], listener="proxy_protocol = on\n"))
    c.send(greeting)
    assert c.ask().status == 200
    assert b.requests[0].one("x-forwarded-for") == "127.0.0.1"


@pytest.mark.parametrize("junk", [b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", b"PROXY TCP4 x\r\n",
                                  V2 + b"\x31\x11\0\x0c", b"\0" * 20])
@pytest.mark.plain_only("front: the header comes before TLS, as in test_tls_front.py")
def test_no_header_no_service(lb, backend, client, junk):
    b = backend()
    proxy = lb([b], listener="proxy_protocol = on\n")
    c = client(proxy).send(junk)
    assert c.at_end() and not b.requests and not proxy.access()
    until(lambda: "no PROXY header" in proxy.stderr(), "the log to say so")


@pytest.mark.plain_only("front: the header comes before TLS, as in test_tls_front.py")
def test_header_in_time(lb, backend, client):
    proxy = lb([backend()], listener="proxy_protocol = on\nheader_timeout = 200ms\n")
    assert client(proxy).send(b"PROXY TCP4").at_end()


@pytest.mark.plain_only("front: the header comes before TLS, as in test_tls_front.py")
def test_trust_looks_behind_the_header(lb, backend, client):
    b = backend()
    proxy = lb([b], listener="proxy_protocol = on\ntrusted_proxies = 203.0.113.0/24\n")
    c = client(proxy)
    c.send(GREETINGS["v1"])
    c.ask(fields=["X-Forwarded-For: 198.51.100.4"])
    assert proxy.access(1)[0]["client"] == "198.51.100.4"


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.plain_only("back: the header comes before TLS, as in test_tls_back.py")
def test_backends_are_told(lb, backend, client, version):
    seen = []

    def script(conn):
        if version == "v1":
            conn.stream.need(lambda buf: b"\r\n" in buf)
            head, conn.stream.buf = conn.stream.buf.split(b"\r\n", 1)
        else:
            conn.stream.need(lambda buf: len(buf) >= 28)
            head, conn.stream.buf = conn.stream.buf[:28], conn.stream.buf[28:]
        seen.append(head)
        while True:
            conn.request()
            conn.answer(b"x")
    proxy = lb([backend(script)], pool=f"proxy_protocol = {version}\n")
    c = client(proxy)
    port = c.sock.getsockname()[1]
    assert [c.ask().status for _ in range(3)] == [200] * 3
    want = b"PROXY TCP4 127.0.0.1 127.0.0.1 %d %d" % (port, proxy.port) if version == "v1" \
        else v2("127.0.0.1", "127.0.0.1", port, proxy.port)
    assert seen == [want] * 3


@pytest.mark.parametrize("value, why", [("10.1.2.3/8", "prefix"), ("10.0.0.0/33", ""), ("any", "")])
def test_bad_blocks(evenkeel, backend, value, why):
    with pytest.raises(AssertionError, match="trusted_proxies"):
        evenkeel(ini([backend()], listener=f"trusted_proxies = {value}\n"))
