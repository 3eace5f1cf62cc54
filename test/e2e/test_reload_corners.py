"""Reloads at moments, and of things, that make them difficult."""
import signal
import socket
import sys
import threading
import time

import pytest

from harness import Client, until
from harness.health import condition
from harness.reload import counts, reload, site, snapshots, write
from test_eject import PLAIN, ask_until_out, closing

# A HUP waits for the process already when it begins.
HUP_FIRST = ("import os, signal, sys\n"
             "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])\n"
             "os.kill(os.getpid(), signal.SIGHUP)\n"
             "os.execv(sys.argv[1], sys.argv[1:])\n")


def test_a_hup_during_the_start(evenkeel, backend):
    """Its turn comes when all workers have the first configuration."""
    one = backend(name="one")
    proxy = evenkeel(site([one], workers=128), prefix=(sys.executable, "-c", HUP_FIRST))
    until(lambda: counts(proxy)["applied"] == 1, "the reload")
    with Client(proxy.port) as c:
        assert c.ask().body == b"one"


def test_an_idle_client_of_a_bind_that_moves(evenkeel, backend, address):
    """Its next request is for the listener that has the bind now."""
    one, two, place = backend(name="one"), backend(name="two"), address()
    bind = "bind = {}:{}\n".format(*place)

    def text(first, second):
        return site([one], listener="pool = web\n" + first,
                    rest=f"[pool other]\nbackend = {two.address} name=two\nhealth = off\n"
                    "[listener more]\nbind = 127.0.0.1:0\npool = other\n" + second)
    proxy = evenkeel(text(bind, ""))
    with Client(place) as kept, Client(place) as silent:
        assert kept.ask().body == b"one"
        for first, second, name in (("", bind, b"two"), (bind, "", b"one")):
            reload(proxy, text(first, second))
            until(lambda: snapshots(proxy) == 1, "no client to hold the old configuration")
            assert kept.ask().body == name
        assert silent.ask().body == b"one"


def test_who_is_ejected_comes_back_when_the_others_go(evenkeel, backend, client):
    bad, good = backend(closing, name="bad"), backend(name="good")
    rules = PLAIN + "eject_failures = 2\neject_base = 1h\neject_cap = 2h\n"
    proxy = evenkeel(site([bad, good], pool=rules))
    ask_until_out(client, proxy, "bad")
    reload(proxy, site([bad], pool=rules))
    assert condition(proxy, "bad")["state"] == "up"
    proxy.said_at("backend bad is back before its ejection is over")


def test_who_is_ejected_comes_back_when_the_others_are_down(evenkeel, backend, client):
    bad, good = backend(closing, name="bad"), backend(name="good")
    rules = PLAIN + "eject_failures = 2\neject_base = 1h\neject_cap = 2h\n"
    proxy = evenkeel(site([bad, good], pool=rules))
    ask_until_out(client, proxy, "bad")
    unknown = rules.replace("health = off", "health = http\nhealth_initial = down")
    reload(proxy, site([bad, "127.0.0.1:1 name=nobody"], pool=unknown))
    assert condition(proxy, "nobody")["state"] == "down"
    assert condition(proxy, "bad")["state"] != "ejected"


@pytest.mark.parametrize("change", ["health_interval = 2s\n", "health_interval = 2s\n"
                                    "health_timeout = 1500ms\n"])
def test_checks_stay_spread_over_the_interval(evenkeel, change):
    """No herd when the interval gets shorter, or all checks are made anew."""
    began = []
    with socket.create_server(("0.0.0.0", 0), backlog=1000) as server:
        threading.Thread(target=watch, args=(server, began), daemon=True).start()
        port = server.getsockname()[1]
        many = [f"127.1.{i // 250}.{i % 250 + 1}:{port}" for i in range(400)]
        proxy = evenkeel(site(many, pool="health = tcp\nhealth_interval = 1h\n"))
        reload(proxy, site(many, pool="health = tcp\n" + change))
        until(lambda: len(began) >= 1000, lambda: f"checks, there are {len(began)}")
        proxy.stop()
        server.shutdown(socket.SHUT_RDWR)
    at_once = max(sum(t <= u < t + 0.1 for u in began) for t in began)
    assert at_once < 150


def watch(server, began):
    """Notes when connections come, and ends them."""
    while True:
        try:
            server.accept()[0].close()
        except OSError:
            return
        began.append(time.monotonic())


def test_a_stop_while_the_file_is_read(evenkeel, backend):
    """Its thread is waited for, and nobody misses what it has read."""
    one = backend(name="one")
    proxy = evenkeel(site([one]))
    write(proxy, site([f"127.1.{i // 250}.{i % 250 + 1}:9" for i in range(10000)]))
    proxy.signal(signal.SIGHUP)
    proxy.signal(signal.SIGTERM)
    assert proxy.wait() == 0


@pytest.mark.parametrize("ms", [0, 1, 3, 10, 30])
def test_a_stop_at_once_around_the_change(evenkeel, backend, ms):
    one = backend(name="one")
    proxy = evenkeel(site([one], workers=32))
    write(proxy, site([one, "127.0.0.1:9 name=two"], workers=32))
    proxy.signal(signal.SIGHUP)
    end = time.monotonic() + ms / 1000
    while time.monotonic() < end:
        pass
    proxy.signal(signal.SIGTERM)
    proxy.signal(signal.SIGINT)
    assert proxy.wait() == 0


def test_the_weight_of_one_that_is_down(evenkeel):
    """All of it counts, as soon as it is up."""
    def text(weight):
        return site([f"127.0.0.1:1 name=one weight={weight}"],
                    pool="health = tcp\nhealth_initial = down\n")
    proxy = evenkeel(text(10))
    assert condition(proxy, "one")["weight_pct"] == 100
    for weight in (1, 20):
        reload(proxy, text(weight))
        assert condition(proxy, "one")["weight"] == weight
        assert condition(proxy, "one")["weight_pct"] == 100
