"""Unix sockets and IPv6, on both sides."""
import socket

import pytest

from harness import ini


def test_unix_listener_and_backend(lb, backend, client, tmp_path):
    b = backend(address=str(tmp_path / "b.sock"), name="ub")
    path = tmp_path / "l.sock"
    proxy = lb([b], listener=f"bind = unix:{path}\n")
    assert client(str(path)).ask().body == b"ub"
    assert client(proxy.ports[0]).ask().body == b"ub"
    assert len(b.conns) == 1
    proxy.stop()
    assert not path.exists()


@pytest.mark.threaded
def test_unix_listener_shared_by_workers(lb, backend, client, tmp_path):
    path = tmp_path / "l.sock"
    lb([backend(), backend()], listener=f"bind = unix:{path}\n", workers=2)
    got = [client(str(path)).ask().body for _ in range(20)]
    assert sorted(got) == [b"b0"] * 10 + [b"b1"] * 10


def test_stale_unix_listener_socket_is_replaced(lb, backend, client, tmp_path):
    path = tmp_path / "l.sock"
    old = socket.socket(socket.AF_UNIX)
    old.bind(str(path))
    old.close()
    lb([backend()], listener=f"bind = unix:{path}\n")
    assert client(str(path)).ask().body == b"b0"


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")
def test_ipv6(evenkeel, backend, client):
    b = backend(address=("::1", 0))
    text = ini([b], top="access_log = access.log\naccess_log_format = json\n")
    proxy = evenkeel(text.replace("bind = 127.0.0.1:0", "bind = [::1]:0"))
    assert proxy.binds[0].startswith("[::1]:")
    r = client(("::1", proxy.port)).ask(host=f"[::1]:{proxy.port}")
    assert r.body == b"b0"
    assert b.requests[0].one("x-forwarded-for") in ("::1", "[::1]")
    assert "::1" in proxy.access(1)[0]["client"]


def test_name_of_a_backend(lb, backend, client):
    b = backend(name="local")
    proxy = lb([f"localhost:{b.port} name=local"])
    assert client(proxy).ask().body == b"local"
