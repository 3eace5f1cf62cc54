"""What the backend sees of a request, and the client of a response."""
import re

import pytest

from harness import ini


def seen(b):
    return b.requests[-1]


@pytest.mark.plain_only("front: it expects http; test_tls_front.py has https")
def test_forwarded_fields_are_replaced(lb, backend, client):
    b = backend()
    client(lb([b])).ask(fields=["X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https",
                                "X-Forwarded-Host: evil"], host="Lb.Test:81")
    assert seen(b).one("x-forwarded-for") == "127.0.0.1"
    assert seen(b).one("x-forwarded-proto") == "http"
    assert seen(b).one("x-forwarded-host").lower() == "lb.test:81"
    assert seen(b).one("host").lower() == "lb.test:81"


def test_forwarded_off_adds_nothing(lb, backend, client):
    b = backend()
    client(lb([b], listener="forwarded = off\n")).ask()
    assert not [n for n, _ in seen(b).fields if n.startswith("x-forwarded")]


def test_connection_cannot_nominate_what_we_add(lb, backend, client):
    """Apache's CVE-2022-31813: nominated fields go first, ours come last."""
    b = backend()
    client(lb([b])).ask(fields=["Connection: X-Forwarded-For, Host, Via, X-Request-Id"])
    for name in ("x-forwarded-for", "host", "via", "x-request-id"):
        assert seen(b).has(name), name


@pytest.mark.parametrize("name", [
    "X_Forwarded_For", "X-Forwarded_For", "Forwarded", "X_Request_Id", "Content_Length",
    "Transfer_Encoding"])
def test_lookalikes_are_dropped(lb, backend, client, name):
    b = backend()
    assert client(lb([b])).ask(fields=[f"{name}: forged"]).status == 200
    assert not seen(b).has(name) and b"forged" not in seen(b).head


def test_other_underscores_pass(lb, backend, client):
    b = backend()
    client(lb([b])).ask(fields=["my_own_field: 1"])
    assert seen(b).one("my_own_field") == "1"


def test_via_is_appended_to_requests_only(lb, backend, client):
    def script(conn):
        while True:
            conn.request()
            conn.answer(b"x", fields=["Via: 1.1 inner"])
    b = backend(script)
    c = client(lb([b]))
    r = c.ask(fields=["Via: 1.0 outer"])
    assert ", ".join(seen(b).all("via")).replace(" ", "") == "1.0outer,1.1evenkeel"
    assert r.one("via") == "1.1 inner"
    c.ask()
    assert seen(b).one("via") == "1.1 evenkeel"


@pytest.mark.parametrize("mode, to_backend, to_client", [
    ("off", False, False), ("backend", True, False), ("both", True, True)])
def test_request_id(lb, backend, client, mode, to_backend, to_client):
    b = backend()
    proxy = lb([b], listener=f"request_id = {mode}\n")
    c = client(proxy)
    answers = [c.ask(fields=["X-Request-Id: forged"]) for _ in range(2)]
    ids = [r["id"] for r in proxy.access(2)]
    assert len(set(ids)) == 2 and all(ids) and "forged" not in ids
    assert [r.all("x-request-id") for r in b.requests] == \
        ([[i] for i in ids] if to_backend else [[], []])
    assert [r.all("x-request-id") for r in answers] == \
        ([[i] for i in ids] if to_client else [[], []])


def test_request_id_default_is_backend(lb, backend, client):
    b = backend()
    r = client(lb([b])).ask()
    assert seen(b).has("x-request-id") and not r.has("x-request-id")


HOP = ["Connection: keep-alive, X-Named, x-other", "Keep-Alive: timeout=5", "X-Named: 1",
       "X-Other: 2", "Proxy-Connection: keep-alive", "TE: gzip", "Upgrade: h2c"]


def test_hop_by_hop_fields_of_requests(lb, backend, client):
    b = backend()
    r = client(lb([b])).ask(fields=[*HOP, "X-End: to-end"])
    assert r.status == 200
    for name in ("keep-alive", "x-named", "x-other", "proxy-connection", "te", "upgrade"):
        assert not seen(b).has(name), name
    assert seen(b).one("x-end") == "to-end"
    assert not set(seen(b).tokens("connection")) & {"x-named", "x-other", "upgrade", "te"}


def test_hop_by_hop_fields_of_responses(lb, backend, client):
    def script(conn):
        while True:
            conn.request()
            conn.answer(b"x", fields=["Connection: X-Named", "X-Named: 1", "Keep-Alive: timeout=9",
                                      "Proxy-Connection: close", "Upgrade: h2c", "X-End: 1"])
    r = client(lb([backend(script)])).ask()
    for name in ("x-named", "proxy-connection", "upgrade"):
        assert not r.has(name), name
    assert "timeout=9" not in ",".join(r.all("keep-alive"))
    assert r.one("x-end") == "1" and "x-named" not in r.tokens("connection")


def test_end_to_end_fields_keep_order_and_bytes(lb, backend, client):
    b = backend()
    lines = ["Accept: a", "Cookie: a=1", "ACCEPT: b", "Cookie: b=2", "X-Obs: \xe9\tx"]
    client(lb([b])).ask(fields=lines)
    assert seen(b).all("accept") == ["a", "b"]
    assert seen(b).all("cookie") in (["a=1", "b=2"], ["a=1; b=2"])
    assert seen(b).one("x-obs") == "\xe9\tx"


def test_response_fields_keep_order(lb, backend, client):
    def script(conn):
        conn.request()
        conn.answer(b"x", fields=["Set-Cookie: a=1", "X-A: 1", "Set-Cookie: b=2", "Server: s"])
    r = client(lb([backend(script)])).ask()
    assert r.all("set-cookie") == ["a=1", "b=2"] and r.one("server") == "s"


@pytest.mark.parametrize("target, host, want", [
    ("http://Abs.Test/x?y", "other", ("/x?y", "abs.test")),
    ("HTTPS://abs.test:81/", "other", ("/", "abs.test:81")),
    ("http://abs.test", "other", ("/", "abs.test")),
    ("http://abs.test?q", "other", ("/?q", "abs.test")),
])
def test_absolute_form(lb, backend, client, target, host, want):
    b = backend()
    assert client(lb([b])).ask(target=target, host=host).status == 200
    assert (seen(b).target, seen(b).one("host").lower()) == want


def test_options_asterisk(lb, backend, client):
    b = backend()
    assert client(lb([b])).ask("OPTIONS", "*").status == 200
    assert (seen(b).method, seen(b).target) == ("OPTIONS", "*")


def test_target_is_not_touched(lb, backend, client):
    b = backend()
    target = "/a/../%2e%2E//b;c=d?x=%00&y=[]{}|"
    if client(lb([b])).ask(target=target).status == 200:
        assert seen(b).target == target
    target = "/a/../%2e%2E//b;c=d?x=%41"
    assert client(lb([b])).ask(target=target).status == 200
    assert seen(b).target == target


def test_unknown_methods_pass(lb, backend, client):
    b = backend()
    for method in ("PROPFIND", "BREW", "x"):
        assert client(lb([b])).ask(method).status == 200
        assert seen(b).method == method


def test_date_and_server_are_not_invented(evenkeel, backend, client):
    """A proxy passes the backend's response on as it is."""
    r = client(evenkeel(ini([backend()]))).ask()
    assert not r.has("server") and not r.has("via")
    assert re.match(r"\d", r.one("content-length"))


def test_request_without_host_gets_the_backends(lb, backend, client):
    """HTTP/1.0 needs none, but the HTTP/1.1 request made of it does."""
    b = backend()
    client(lb([b])).send(b"GET / HTTP/1.0\r\n\r\n").response()
    assert b.requests[0].all("host") == [b.address]
