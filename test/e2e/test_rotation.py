"""Round-robin is exact, over all workers."""
import collections

import pytest

from harness import Client, ini


def spread(port, count):
    """Which backend answered each of `count` requests, a connection each."""
    got = collections.Counter()
    for _ in range(count):
        with Client(port) as c:
            got[c.ask(fields=["Connection: close"]).body.decode()] += 1
    return got


@pytest.mark.threaded
def test_equal_weights_over_two_workers(lb, backend):
    proxy = lb([backend() for _ in range(3)], workers=2)
    assert spread(proxy.port, 300) == {"b0": 100, "b1": 100, "b2": 100}


@pytest.mark.threaded
def test_weights_over_two_workers(lb, backend):
    b = [backend() for _ in range(3)]
    weights = [f"{x.address} name={x.name} weight={w}" for x, w in zip(b, (2, 1, 1))]
    proxy = lb(weights, workers=2)
    assert spread(proxy.port, 400) == {"b0": 200, "b1": 100, "b2": 100}


def test_weights_are_smooth(lb, backend):
    """5:1:1 does not send five in a row before the others get theirs."""
    b = [backend() for _ in range(3)]
    proxy = lb([f"{x.address} name={x.name} weight={w}" for x, w in zip(b, (5, 1, 1))])
    with Client(proxy.port) as c:
        order = [c.ask().body.decode() for _ in range(21)]
    assert collections.Counter(order) == {"b0": 15, "b1": 3, "b2": 3}
    assert "b0 b0 b0 b0 b0" not in " ".join(order[:7])


def test_rotation_counts_requests_not_connections(lb, backend, client):
    proxy = lb([backend(), backend()])
    c = client(proxy)
    assert [c.ask().body for _ in range(4)] in ([b"b0", b"b1"] * 2, [b"b1", b"b0"] * 2)


def test_pools_rotate_apart(evenkeel, backend, client):
    """Requests of one pool do not advance the other's rotation."""
    one, two = [backend(name=f"x{i}") for i in range(2)], [backend(name=f"y{i}") for i in range(2)]
    text = ini(one, rest="[pool other]\n" + "".join(
        f"backend = {b.address}\n" for b in two) + "[route r]\npath = /other\npool = other\n",
        listener="pool = web\n")
    c = client(evenkeel(text))
    order = [c.ask(target=t).body.decode() for t in ("/", "/other") * 4]
    assert sorted(order[0::2]) == ["x0", "x0", "x1", "x1"]
    assert order[0] != order[2] and order[1] != order[3]
    assert sorted(order[1::2]) == ["y0", "y0", "y1", "y1"]
