"""redirect = https: where clients are sent, and that nothing else happens."""
import re

import pytest

from harness import ini, metrics, until

pytestmark = pytest.mark.plain_only("front: listeners that redirect are plain ones")

RECORDS = "access_log = access.log\naccess_log_format = json\n"


def alone(redirect="https", listener="", top=RECORDS, admin=False):
    """A listener that redirects; nobody is behind the pool that a file must have."""
    text = (f"[global]\nworkers = 1\nshutdown_timeout = 5s\n{top}\n"
            f"[listener main]\nbind = 127.0.0.1:0\nredirect = {redirect}\n{listener}\n"
            "[pool web]\nbackend = 127.0.0.1:9\nhealth = off\n")
    return text + ("[admin]\nlisten = 127.0.0.1:0\n" if admin else "")


@pytest.mark.parametrize("redirect, host, target, want", [
    ("https", "lb.test", "/", "https://lb.test/"),
    ("https", "lb.test:8080", "/a/b?c=d&e", "https://lb.test/a/b?c=d&e"),
    ("https", "Lb.Test.", "/", "https://Lb.Test./"),
    ("https", "lb.test.:80", "/", "https://lb.test./"),
    ("https", "[::1]", "/", "https://[::1]/"),
    ("https", "[2001:db8::1]:8080", "/x", "https://[2001:db8::1]/x"),
    ("https", "127.0.0.1:81", "/", "https://127.0.0.1/"),
    ("https:443", "lb.test:80", "/", "https://lb.test/"),
    ("https:8443", "lb.test:80", "/p", "https://lb.test:8443/p"),
    ("https:8443", "[::1]:80", "/p", "https://[::1]:8443/p"),
    ("https", "other.test", "http://lb.test:80/p?q", "https://lb.test/p?q"),
    ("https", "other.test", "HTTPS://lb.test", "https://lb.test/"),
    ("https", "other.test", "http://lb.test?q", "https://lb.test/?q"),
    ("https", "lb.test", "//evil.test/x", "https://lb.test//evil.test/x"),
    ("https", "lb.test", "/%0d%0aSet-Cookie:%20a", "https://lb.test/%0d%0aSet-Cookie:%20a"),
])
def test_location(evenkeel, client, redirect, host, target, want):
    proxy = evenkeel(alone(redirect))
    c = client(proxy)
    for method, status in (("GET", 301), ("HEAD", 301), ("PUT", 308), ("BREW", 308)):
        r = c.ask(method, target, host=host)
        assert (r.status, r.all("location")) == (status, [want]), method
        assert not r.has("proxy-status") and r.has("x-request-id")
        assert not r.tokens("connection")
        assert (method == "HEAD") == (r.body == b"")


@pytest.mark.parametrize("target, want", [
    ("*", "https://lb.test"), ("/a", "https://lb.test/a"), ("http://a.test", "https://a.test")])
def test_options(evenkeel, client, target, want):
    r = client(evenkeel(alone())).ask("OPTIONS", target, host="lb.test:80")
    assert (r.status, r.one("location")) == (308, want)


def test_the_longest_target(evenkeel, client):
    target = "/" + "a" * 8000
    c = client(evenkeel(alone("https:8443")))
    for _ in range(3):
        r = c.ask(target=target, host="h" * 255)
        assert r.one("location") == "https://" + "h" * 255 + ":8443" + target


def test_a_head_as_large_as_its_limit(evenkeel, client):
    """The answer is larger than the request: it fits all the same."""
    c = client(evenkeel(alone("https:65535", listener="max_header_size = 1k\n")))
    start = "GET / HTTP/1.1\r\nHost: "
    host = "h" * 255
    target = "/" + "a" * (1024 - len(start) - len(host) - len("\r\n\r\n"))
    r = c.ask(target=target, host=host)
    assert r.status == 301 and r.one("location") == f"https://{host}:65535{target}"
    assert client(c.sock.getpeername()[1]).ask(target=target + "a", host=host).status in (414, 431)


def test_pipelined_requests_are_answered_in_order(evenkeel, client):
    c = client(evenkeel(alone()))
    c.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % i for i in range(200)))
    for i in range(200):
        assert c.response().one("location") == f"https://h/{i}"


def test_many_for_one_who_does_not_read_yet(evenkeel, client):
    """The answers wait for him, and the connection does not break."""
    c = client(evenkeel(alone()), rcvbuf=4096)
    path = b"/" + b"a" * 7000
    for i in range(40):
        c.send(b"GET %s%d HTTP/1.1\r\nHost: h\r\n\r\n" % (path, i))
    for i in range(40):
        assert c.response().one("location").endswith(f"a{i}")


def test_http_1_0(evenkeel, client):
    proxy = evenkeel(alone())
    c = client(proxy)
    c.send(b"GET /a HTTP/1.0\r\nHost: h:80\r\n\r\n")
    r = c.response()
    assert (r.status, r.one("location")) == (301, "https://h/a") and c.at_end()
    c = client(proxy)
    for _ in range(2):
        c.send(b"GET /a HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n")
        r = c.response()
        assert r.status == 301 and r.tokens("connection") == ["keep-alive"]
    c.send(b"GET http://t:80/a HTTP/1.0\r\nConnection: close\r\n\r\n")
    r = c.response()
    assert r.one("location") == "https://t/a" and c.at_end()


def test_http_1_0_without_host(evenkeel, client):
    proxy = evenkeel(alone())
    c = client(proxy)
    c.send(b"GET /a HTTP/1.0\r\n\r\n")
    r = c.response()
    assert r.status == 400 and not r.has("location") and b"without Host" in r.body
    assert c.at_end()
    record = proxy.access(1)[0]
    assert record["end"] == "client_bad" and "without Host" in record["why"]


@pytest.mark.parametrize("request_bytes, status", [
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\x00b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\rLocation: x\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400),
    (b"GET /\rX HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET /\nX HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET /#f HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET a/b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET http://a@b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    pytest.param(b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414, id="long"),
])
def test_bad_requests_get_their_usual_answers(evenkeel, client, request_bytes, status):
    proxy = evenkeel(alone())
    c = client(proxy)
    c.send(request_bytes)
    r = c.response()
    assert r.status == status and not r.has("location")
    assert proxy.access(1)[0]["end"] == "client_bad"


def test_a_body_too_large_for_the_listener(evenkeel, client):
    c = client(evenkeel(alone(listener="max_body_size = 10\n")))
    assert c.request("POST", body=b"x" * 11).response().status == 413


def test_bodies(evenkeel, client):
    """A whole body behind the head or a part: never taken for a request."""
    proxy = evenkeel(alone())
    inner = b"GET /inner HTTP/1.1\r\nHost: h\r\n\r\n"
    for fields, body in ((b"Content-Length: %d" % len(inner), inner),
                         (b"Transfer-Encoding: chunked",
                          b"%x\r\n%s\r\n0\r\n\r\n" % (len(inner), inner)),
                         (b"Content-Length: 100000", inner),
                         (b"Expect: 100-continue\r\nContent-Length: 5", b"")):
        c = client(proxy)
        c.send(b"POST /p HTTP/1.1\r\nHost: h\r\n" + fields + b"\r\n\r\n" + body)
        r = c.response()
        assert (r.status, r.one("location")) == (308, "https://h/p")
        assert "close" in r.tokens("connection") and c.at_end()
    assert [r["target"] for r in proxy.access(4)] == ["/p"] * 4


def test_record_and_metrics(evenkeel, client):
    proxy = evenkeel(alone(admin=True))
    client(proxy).ask(target="/a?b", host="h.test:80")
    client(proxy).ask("POST", "/a", host="h.test:80", body=b"")
    first, second = proxy.access(2)
    assert first["status"] == 301 and second["status"] == 308
    for record in (first, second):
        assert record["end"] == "ok" and record["attempts"] == []
        assert not record.get("pool") and not record.get("backend") and record["retries"] == 0
        assert record["listener"] == "main" and record["host"] == "h.test:80"

    def counted():
        c = client(proxy.admin_port)
        found = metrics.parse(c.ask(target="/metrics").body.decode())["evenkeel_requests_total"]
        return [found.total(listener="main", pool="", code=code) for code in ("301", "308")]
    until(lambda: counted() == [1, 1], "both in the metrics")


def test_a_pool_of_the_listener_is_not_asked(evenkeel, backend, client):
    b = backend()
    proxy = evenkeel(ini([b], listener="redirect = https\npool = web\n"))
    assert client(proxy).ask().status == 301
    assert not b.requests
    assert "redirects every request" in proxy.verb("check").stderr


def test_trusted_proxies_are_believed_in_the_record(evenkeel, client):
    proxy = evenkeel(alone(listener="trusted_proxies = 127.0.0.1\n"))
    client(proxy).ask(fields=["X-Forwarded-For: 9.9.9.9", "X-Request-Id: theirs"])
    record = proxy.access(1)[0]
    assert (record["client"], record["id"], record["status"]) == ("9.9.9.9", "theirs", 301)


def test_a_reload_turns_it_on_and_off(evenkeel, backend, client):
    b = backend()
    text = ini([b], listener="pool = web\n")
    proxy = evenkeel(text)
    c = client(proxy)
    assert c.ask().status == 200
    whole = proxy.file.read_text()
    proxy.file.write_text(re.sub(r"pool = web\n", "redirect = https:8443\n", whole, count=1))
    assert proxy.verb("reload").returncode == 0
    assert client(proxy).ask(host="h").one("location") == "https://h:8443/"
    proxy.file.write_text(whole)
    assert proxy.verb("reload").returncode == 0
    assert client(proxy).ask().status == 200 and len(b.requests) == 2


def test_close_is_honoured(evenkeel, client):
    c = client(evenkeel(alone()))
    r = c.ask(fields=["Connection: close"])
    assert r.status == 301 and "close" in r.tokens("connection") and c.at_end()


def test_a_stop_finishes_what_is_under_way(evenkeel, client):
    proxy = evenkeel(alone())
    c = client(proxy)
    assert c.ask().status == 301
    c.send(b"GET / HTTP/1.1\r\nHost: h\r\n")
    proxy.stop()
    assert proxy.process.returncode == 0
