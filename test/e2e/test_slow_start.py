"""slow_start: who comes back gets little at first."""
import pytest

from harness import until
from harness.health import Switched, condition, until_state

QUICK = "health = http\nhealth_interval = 30ms\nhealth_rise = 1\nhealth_fall = 1\n"


def share(client, proxy, count=60):
    """How many of `count` requests went to backend one."""
    c = client(proxy)
    return sum(c.ask().body == b"one" for _ in range(count))


@pytest.mark.parametrize("balance", ["round_robin", "random_two"])
def test_the_weight_rises(lb, backend, client, balance):
    switched = Switched()
    proxy = lb([backend(switched, name="one"), backend(name="two")], admin=True,
               pool=QUICK + f"slow_start = 6s\nbalance = {balance}\n")
    # Not at the start.
    assert condition(proxy, "one")["weight_pct"] == 100
    assert share(client, proxy) >= 20
    switched.status = "500 No"
    until_state(proxy, "one", "down")
    switched.status = "200 OK"
    until_state(proxy, "one", "up")
    few = share(client, proxy)
    assert condition(proxy, "one")["weight_pct"] < 60
    assert few < 20
    seen = []

    def whole():
        seen.append(condition(proxy, "one")["weight_pct"])
        return seen[-1] == 100
    until(whole, "the whole weight")
    assert seen == sorted(seen) and len(set(seen)) >= 10
    assert 20 <= share(client, proxy) <= 40


def test_none_without_it(lb, backend):
    switched = Switched()
    proxy = lb([backend(switched, name="one"), backend(name="two")], admin=True, pool=QUICK)
    switched.status = "500 No"
    until_state(proxy, "one", "down")
    switched.status = "200 OK"
    until_state(proxy, "one", "up")
    assert condition(proxy, "one")["weight_pct"] == 100


def test_the_table_says_so(lb, backend):
    switched = Switched()
    proxy = lb([backend(switched, name="one"), backend(name="two")], admin=True,
               pool=QUICK + "slow_start = 1h\n")
    switched.status = "500 No"
    until_state(proxy, "one", "down")
    switched.status = "200 OK"
    until_state(proxy, "one", "up")
    assert "weight at 10%" in proxy.verb("status").stdout
