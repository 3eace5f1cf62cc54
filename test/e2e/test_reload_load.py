"""Reloads under load, and of many backends: no request is lost."""
import pathlib
import signal
import sys

import pytest

from harness import build_of, until
from harness.crowd import Crowd
from harness.health import status
from harness.reload import counts, names, reload, site, snapshots, write

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "soak"))

import part_reload  # noqa: E402
from soaklib import Report  # noqa: E402


def press(folder, binary, *size):
    report = Report()
    part_reload.press(report, folder / "reload", binary, *size)
    assert report.passed and not report.failed


def test_thirty_reloads_under_load(tmp_path):
    press(tmp_path, build_of(), 30, 6, False)


def test_descriptors_and_memory(tmp_path, release_bin):
    press(tmp_path, release_bin, 30, 3, True)


def test_memory_of_large_configurations(evenkeel, backend, release_bin):
    """Thirty times 2,000 other backends: what is gone is given back."""
    one = backend(name="one")

    def text(n):
        lines = [one, *(f"127.2.{n % 2}.{i % 250 + 1}:{1000 + i}" for i in range(2000))]
        return site(lines, workers=2, pool=f"keepalive = {n + 1}\n")
    proxy = evenkeel(text(0), binary=release_bin)
    sizes, files = [], []
    for n in range(1, 41):
        reload(proxy, text(n))
        until(lambda: snapshots(proxy) == 1, "one configuration")
        sizes.append(proxy.rss_bytes())
        files.append(proxy.open_files())
    assert sizes[-1] <= sizes[9] + (2 << 20), [s >> 10 for s in sizes]
    until(lambda: proxy.open_files() <= files[9], "the same descriptors")


@pytest.mark.threaded
def test_a_dozen_in_threads(tmp_path):
    press(tmp_path, build_of(), 12, 3, False)


@pytest.mark.threaded
def test_a_storm_of_hups_under_load(evenkeel, backend):
    servers = [backend(name=f"b{i}") for i in range(3)]
    proxy = evenkeel(site(servers, workers=2))
    with Crowd(proxy.port, size=32, rate=600) as crowd:
        for n in range(50):
            write(proxy, site(servers[n % 2:], workers=2, pool=f"keepalive = {n + 1}\n"))
            proxy.signal(signal.SIGHUP)
            crowd.more(4)
        until(lambda: snapshots(proxy) == 1, "one configuration")
    assert counts(proxy)["refused"] == 0
    out = reload(proxy)
    assert "->" not in out
    assert set(names(proxy.port, 6)) == {"b1", "b2"}


def shown(proxy):
    return sum(len(p["backends"]) for p in status(proxy)["pools"])


@pytest.mark.parametrize("health", ["off", "tcp"])
def test_ten_thousand_backends_and_back(evenkeel, backend, health):
    one = backend(name="one", address=("0.0.0.0", 0))

    def text(count):
        lines = [f"127.1.{i // 250}.{i % 250 + 1}:{one.port}" for i in range(count)]
        return site(lines, workers=2, pool=f"health = {health}\nhealth_interval = 10s\n"
                    "keepalive_timeout = 300ms\nqueue_timeout = 9s\n")
    proxy = evenkeel(text(2))
    with Crowd(proxy.port, size=24, rate=400) as crowd:
        for count in (10000, 2, 10000, 3):
            reload(proxy, text(count), deadline_s=30)
            until(lambda n=count: shown(proxy) == n, "as many to be shown")
            crowd.more(200, deadline_s=30)
        until(lambda: snapshots(proxy) == 1, "one configuration")
    assert counts(proxy) == {"applied": 4, "refused": 0}


def test_five_hundred_pools_and_routes(evenkeel, backend, client):
    one, two = backend(name="one"), backend(name="two")

    def text(count):
        rest = "".join(f"[pool p{i}]\nhealth = off\nbackend = {two.address} name=b{i}\n"
                       f"[route r{i}]\npath = /{i}\npool = p{i}\n" for i in range(count))
        return site([one], rest=rest, listener="pool = web\n")
    proxy = evenkeel(text(1))
    c = client(proxy)
    for count in (500, 1, 500, 100):
        reload(proxy, text(count), deadline_s=30)
        assert c.ask(target=f"/{count - 1}").body == b"two"
        assert c.ask(target=f"/{count}").body == b"one"
