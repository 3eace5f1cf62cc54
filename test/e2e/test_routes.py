"""Routes: first match in file order; hosts, paths, listeners."""
import pytest

from harness import ini

ROUTES = """
[pool api]
backend = {1}
[pool shop]
backend = {2}
[route one]
path = /api
path = /v2/
pool = api
[route two]
host = shop.test
host = *.shop.test
pool = shop
[route three]
host = lb.test
path = /only
pool = shop
"""


@pytest.mark.parametrize("host, target, want", [
    ("lb.test", "/", "b0"),
    ("lb.test", "/api", "b1"),
    ("lb.test", "/api/", "b1"),
    ("lb.test", "/api?x", "b1"),
    ("lb.test", "/api/x", "b1"),
    ("lb.test", "/apix", "b0"),
    ("lb.test", "/v2/x", "b1"),
    ("lb.test", "/v2x", "b0"),
    ("lb.test", "/API", "b0"),
    ("shop.test", "/", "b2"),
    ("SHOP.test:8080", "/", "b2"),
    ("a.shop.test", "/", "b2"),
    ("a.b.shop.test", "/", "b2"),
    ("ashop.test", "/", "b0"),
    ("shop.test", "/api", "b1"),
    ("lb.test", "/only/x", "b2"),
    ("other.test", "/only/x", "b0"),
])
def test_routes(evenkeel, backend, client, host, target, want):
    b = [backend() for _ in range(3)]
    text = ini(b[:1], listener="pool = web\n",
               rest=ROUTES.format(*(x.address for x in b)))
    r = client(evenkeel(text)).ask(target=target, host=host)
    assert r.body.decode() == want


def test_absolute_form_routes_by_its_authority(evenkeel, backend, client):
    b = [backend() for _ in range(3)]
    text = ini(b[:1], listener="pool = web\n",
               rest=ROUTES.format(*(x.address for x in b)))
    r = client(evenkeel(text)).ask(target="http://shop.test/", host="lb.test")
    assert r.body == b"b2"


def test_routes_by_listener(evenkeel, backend, client):
    b = [backend() for _ in range(2)]
    text = f"""
[global]
workers = 1
[listener a]
bind = 127.0.0.1:0
pool = p0
[listener b]
bind = 127.0.0.1:0
pool = p0
[pool p0]
backend = {b[0].address}
[pool p1]
backend = {b[1].address}
[route r]
listener = b
path = /x
pool = p1
"""
    proxy = evenkeel(text)
    got = [client(p).ask(target=t).body for p in proxy.ports for t in ("/x", "/")]
    assert got == [b"b0", b"b0", b"b1", b"b0"]


def test_no_route_is_404(evenkeel, backend, client):
    b = [backend() for _ in range(2)]
    text = f"""
[global]
workers = 1
access_log = access.log
access_log_format = json
[listener a]
bind = 127.0.0.1:0
[pool p0]
backend = {b[0].address}
[pool p1]
backend = {b[1].address}
[route r]
path = /x
pool = p1
"""
    proxy = evenkeel(text)
    c = client(proxy)
    r = c.ask(target="/nowhere")
    assert r.status == 404 and r.has("x-request-id")
    record = proxy.access(1)[0]
    assert (record["end"], record["pool"], record["backend"]) == ("no_route", "", "")
    assert c.ask(target="/x").body == b"b1"  # and the connection stayed


def test_one_listener_with_two_binds(evenkeel, backend, client):
    text = ini([backend()], listener="bind = 127.0.0.1:0\n")
    proxy = evenkeel(text)
    assert len(set(proxy.ports)) == 2
    assert [client(p).ask().body for p in proxy.ports] == [b"b0", b"b0"]
