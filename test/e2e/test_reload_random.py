"""A walk through random configurations under load: nobody may notice."""
import random
import re

import pytest

from harness import Gate, until
from harness.crowd import Crowd
from harness.health import scrape
from harness.reload import ask, counters, never_fell, snapshots, write
from harness.walk import Walk

TOP = "workers = 2\nshutdown_timeout = 5s\n"
ADMIN = "[admin]\nlisten = 127.0.0.1:0\n"


def walk(evenkeel, backend, client, address, steps):
    seed, gate = random.SystemRandom().randrange(1 << 32), Gate()

    def script(conn):
        while True:
            message = conn.request()
            if message.has("upgrade"):
                conn.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                          b"Upgrade: x\r\n\r\n")
                while True:
                    conn.stream.need(bool)
                    data, conn.stream.buf = conn.stream.buf, b""
                    conn.send(data)
            if message.target.endswith("/hold"):
                gate.wait(120)
            conn.answer(b"%d" % len(message.body))
    servers = [backend(script, deadline_s=120) for _ in range(4)]
    path = Walk(seed, [b.address for b in servers], [address() for _ in range(4)], TOP, ADMIN)
    text, good = path.step()
    while not good:
        text, good = path.step()
    # It must be seen to be ready.
    proxy = evenkeel(re.sub(r"^log_(level|format) = .*\n", "", text, flags=re.M))
    tunnels, held, seen = [], [], {}
    try:
        with Crowd(proxy.port, size=16, rate=400) as crowd:
            for n in range(steps):
                one(proxy, path, crowd, (tunnels, held), client)
                before, seen = seen, counters(proxy)
                assert not never_fell(before, seen), list(never_fell(before, seen).items())[:5]
            gate.open()
            for c in held:
                assert c.response().status == 200
            for c in tunnels:
                c.send(b"%d" % n).stream.need(lambda buf: buf == b"%d" % n)
                c.stream.buf = b""
                c.close()
            for c in held:
                c.close()
            until(lambda: snapshots(proxy) == 1, "one configuration")
        until(lambda: not scrape(proxy)["evenkeel_backend_inflight"].total(), "none in flight")
        until(lambda: not scrape(proxy)["evenkeel_queue_length"].total(), "none to wait")
    except AssertionError as e:
        raise AssertionError(f"seed {seed}, step {n}: {e}\n{proxy.file.read_text()}\n"
                             f"{proxy.stderr()[-4000:]}") from None


def one(proxy, path, crowd, there, client):
    """One step: a reload, its opposite of none, and some that stay on."""
    tunnels, held = there
    text, good = path.step()
    write(proxy, text)
    r = ask(proxy)
    assert r.returncode == (0 if good else 2), (r.stdout, r.stderr)
    if good:
        again = ask(proxy)
        assert again.returncode == 0 and again.stdout == "nothing has changed\n", again.stdout
    crowd.more(10)
    if path.dice.random() < 0.3:
        tunnels.append(client(proxy))
        tunnels[-1].request(fields=["Connection: Upgrade", "Upgrade: x"])
        tunnels[-1].stream.need(lambda buf: buf.endswith(b"\r\n\r\n"))
        tunnels[-1].stream.buf = b""
    if path.dice.random() < 0.2 and len(held) < 4:
        held.append(client(proxy).request("POST", "/hold", body=b"x" * 100))


def test_a_walk(evenkeel, backend, client, address):
    walk(evenkeel, backend, client, address, 30)


@pytest.mark.threaded
def test_a_walk_in_threads(evenkeel, backend, client, address):
    walk(evenkeel, backend, client, address, 12)
