"""Backends by name: looked up at dnsmasq, which changes its mind, and dies."""
import json
import re
import socket
import subprocess
import threading

import pytest

from harness import Gate, dns, until
from harness.health import condition, scrape, status, until_state
from harness.proxy import build_of

NO_DNS = dns.missing()
pytestmark = [pytest.mark.skipif(NO_DNS is not None, reason=str(NO_DNS)),
              pytest.mark.plain_only("back: what the backends are called has the scheme in it")]
# The shortest that leaves a machine under load time for some look-ups.
RESOLVE = "resolve = 300ms\n"
FAILED = "could not be looked up"


@pytest.fixture
def block():
    return dns.Block()


@pytest.fixture
def nameserver(cleanup, tmp_path, tool, block):
    """A Nameserver that is not started yet."""
    folder = tmp_path / "dns"
    folder.mkdir()
    made = dns.Nameserver(tool("dnsmasq"), folder, block.ip(53))
    cleanup["backend"].append(made.stop)
    return made


@pytest.fixture
def named(evenkeel, nameserver):
    """named("backend = app.test:80") -> an Evenkeel that asks the nameserver."""
    def make(pool, rest="", workers=1, health="health = off\n", listener=""):
        return evenkeel(text_of(pool, rest, workers, health, listener), prefix=nameserver.prefix)
    return make


def text_of(pool, rest="", workers=1, health="health = off\n", listener=""):
    return (f"[global]\nworkers = {workers}\nshutdown_timeout = 5s\n"
            "access_log = access.log\naccess_log_format = json\n"
            f"[admin]\nlisten = 127.0.0.1:0\n[listener main]\nbind = 127.0.0.1:0\npool = web\n"
            f"{listener}[pool web]\n{RESOLVE}{health}{pool}\n{rest}")


def ask(client, lb, count, **more):
    """Who answers `count` requests over one connection: {name: requests}."""
    c, got = client(lb), {}
    for _ in range(count):
        r = c.ask(**more)
        who = r.body.decode() if r.status == 200 else r.status
        got[who] = got.get(who, 0) + 1
    return got


def names_of(lb, pool="web"):
    pools = {p["name"]: p for p in status(lb)["pools"]}
    return sorted(b["name"] for b in pools[pool]["backends"])


def until_names(lb, names, pool="web"):
    until(lambda: names_of(lb, pool) == sorted(names),
          lambda: f"{sorted(names)}, there are {names_of(lb, pool)}\n{lb.stderr()}")


@pytest.mark.threaded
def test_all_addresses_get_traffic(named, nameserver, block, backend, client):
    port, _ = block.backends(backend, 3)
    nameserver.start({"app.test": [block.ip(2), block.ip(1), block.ip(3)]})
    lb = named(f"backend = app.test:{port}", workers=2)
    assert ask(client, lb, 30) == {block.ip(n): 10 for n in (1, 2, 3)}
    name = f"app.test:{port}@{block.ip(1)}:{port}"
    assert name in names_of(lb) and len(names_of(lb)) == 3
    assert name in {r["backend"] for r in lb.access(30)}
    lists = ", ".join(f"{block.ip(n)}:{port}" for n in (1, 2, 3))
    assert f"pool web: app.test:{port} is {lists}\n" in lb.stderr()


@pytest.mark.threaded
def test_traffic_follows_a_change(named, nameserver, block, backend, client):
    port, made = block.backends(backend, 3)
    nameserver.start({"app.test": [block.ip(1), block.ip(2)]})
    lb = named(f"backend = app.test:{port} name=app", workers=2)
    assert ask(client, lb, 10) == {block.ip(1): 5, block.ip(2): 5}
    nameserver.set({"app.test": [block.ip(2), block.ip(3)]})
    until_names(lb, [f"app@{block.ip(n)}:{port}" for n in (2, 3)])
    before = len(made[0].requests)
    assert ask(client, lb, 10) == {block.ip(2): 5, block.ip(3): 5}
    assert len(made[0].requests) == before
    assert (f"pool web: app.test:{port} is now {block.ip(2)}:{port}, {block.ip(3)}:{port} "
            f"(was {block.ip(1)}:{port}, {block.ip(2)}:{port})\n") in lb.stderr()
    assert "reload" not in lb.stderr()
    # Who has stayed is who he was, and who has gone is told of for a while.
    want = {f"app@{block.ip(n)}:{port}": [count] for n, count in ((1, 5), (2, 10), (3, 5))}

    def counts():
        attempts = scrape(lb)["evenkeel_attempts_total"]
        return {name: attempts.values(backend=name, outcome="ok") for name in want}
    until(lambda: counts() == want, lambda: f"{want}, there are {counts()}")


def test_a_change_breaks_no_request(named, nameserver, block, backend, client):
    gate = Gate()

    def script(conn):
        while True:
            request = conn.request()
            if request.target == "/slow":
                gate.wait()
            conn.answer(conn.backend.name.encode())
    port, made = block.backends(backend, 2, script)
    nameserver.start({"app.test": [block.ip(1)]})
    lb = named(f"backend = app.test:{port}")
    slow, answers = client(lb), []
    thread = threading.Thread(target=lambda: answers.append(slow.ask(target="/slow")))
    thread.start()
    made[0].wait_requests(1)
    nameserver.set({"app.test": [block.ip(2)]})
    until_names(lb, [f"app.test:{port}@{block.ip(2)}:{port}"])
    assert ask(client, lb, 3) == {block.ip(2): 3}
    gate.open()
    thread.join()
    assert answers[0].status == 200 and answers[0].body.decode() == block.ip(1)


def test_a_dead_name_server_changes_nothing(named, nameserver, block, backend, client):
    port, _ = block.backends(backend, 2)
    nameserver.start({"app.test": [block.ip(1), block.ip(2)]})
    lb = named(f"backend = app.test:{port}")
    assert ask(client, lb, 4) == {block.ip(1): 2, block.ip(2): 2}
    nameserver.stop()
    until(lambda: FAILED in lb.stderr(), "the log to say so")
    assert re.search(rf"warn  pool web: app.test:{port} {FAILED}: no name server answered; "
                     "its last addresses stay\n", lb.stderr())
    assert ask(client, lb, 10) == {block.ip(1): 5, block.ip(2): 5}
    # It is back, with others.
    nameserver.start({"app.test": [block.ip(2)]})
    until_names(lb, [f"app.test:{port}@{block.ip(2)}:{port}"])
    assert ask(client, lb, 4) == {block.ip(2): 4}
    assert lb.stderr().count(FAILED) == 1 and "is found again" in lb.stderr()


def test_an_empty_answer_takes_nothing_away(named, nameserver, block, backend, client):
    port, _ = block.backends(backend, 2)
    nameserver.start({"app.test": [block.ip(1), block.ip(2)]})
    lb = named(f"backend = app.test:{port}")
    nameserver.forget("app.test")
    until(lambda: FAILED in lb.stderr(), "the log to say so")
    assert f"{FAILED}: no such name; its last addresses stay\n" in lb.stderr()
    assert ask(client, lb, 10) == {block.ip(1): 5, block.ip(2): 5}


def test_the_rest_serves_until_a_name_is_known(named, nameserver, block, backend, client):
    port, _ = block.backends(backend, 2)
    other = backend(name="other")
    lb = named(f"backend = app.test:{port}\nqueue_timeout = 50ms\n",
               listener="[route o]\nhost = other.test\npool = other\n",
               rest=f"[pool other]\nhealth = off\nbackend = {other.address}\n")
    assert ask(client, lb, 3, host="other.test") == {"other": 3}
    assert ask(client, lb, 1) == {503: 1}
    assert (f"pool web: app.test:{port} {FAILED}: no name server answered; it has no address yet, "
            "and is tried again\n") in lb.stderr()
    nameserver.start({"app.test": [block.ip(1), block.ip(2)]})
    until_names(lb, [f"app.test:{port}@{block.ip(n)}:{port}" for n in (1, 2)])
    assert ask(client, lb, 4) == {block.ip(1): 2, block.ip(2): 2}


def test_a_silent_name_server_holds_nobody_up(named, nameserver, block, backend, client):
    """It takes the questions and says nothing: the start does not wait for it."""
    port, _ = block.backends(backend, 1)
    other = backend(name="other")
    with socket.socket(type=socket.SOCK_DGRAM) as silent:
        silent.bind((block.ip(53), 53))
        nameserver.resolv_conf.write_text(f"nameserver {block.ip(53)}\noptions timeout:30\n")
        lb = named(f"backend = app.test:{port}\n", rest="",
                   listener="[route o]\nhost = other.test\npool = other\n[pool other]\n"
                   f"health = off\nbackend = {other.address}\n")
        assert ask(client, lb, 3, host="other.test") == {"other": 3}
        # The end does not wait for it either.
        lb.stop(deadline_s=5)


@pytest.mark.parametrize("verb", ["status", "reload", "drain web/x"])
def test_verbs_while_the_start_waits_for_a_name(evenkeel, nameserver, block, verb):
    """There is nothing in force yet that they could be about."""
    nameserver.resolv_conf.write_text(f"nameserver {block.ip(53)}\noptions timeout:30\n")
    control, over, codes = str(nameserver.folder / "ctl"), threading.Event(), []

    def ask_all_the_time():
        while not over.is_set():
            codes.append(subprocess.run(
                [build_of(), "--control", control, *verb.split()], capture_output=True,
                timeout=30, check=False).returncode)
    thread = threading.Thread(target=ask_all_the_time)
    with socket.socket(type=socket.SOCK_DGRAM) as silent:
        silent.bind((block.ip(53), 53))
        thread.start()
        try:
            text = text_of("backend = app.test:80\n", "", 1, "health = off\n", "")
            lb = evenkeel(text.replace("[global]\n", f"[global]\ncontrol = {control}\n"),
                          prefix=nameserver.prefix)
        finally:
            over.set()
            thread.join()
        assert codes and codes[0] != 0
        lb.stop(deadline_s=5)


def test_a_request_waits_for_a_name(named, nameserver, block, backend, client):
    port, _ = block.backends(backend, 1)
    lb = named(f"backend = app.test:{port}\nqueue_timeout = 20s\n")
    got = []
    thread = threading.Thread(target=lambda: got.append(ask(client, lb, 1)))
    thread.start()
    until(lambda: lb.waiting() == 1, "the request to wait")
    nameserver.start({"app.test": [block.ip(1)]})
    thread.join()
    assert got == [{block.ip(1): 1}]


def test_ports_weights_and_priorities_of_srv(named, nameserver, block, backend, client):
    heavy, light, spare = backend(name="heavy"), backend(name="light"), backend(name="spare")
    hosts = {"a.test": ["127.0.0.1"]}
    records = [("_http._tcp.app.test", "a.test", heavy.port, 10, 3),
               ("_http._tcp.app.test", "a.test", light.port, 10, 1),
               ("_http._tcp.app.test", "a.test", spare.port, 20, 9)]
    nameserver.start(hosts, records)
    lb = named("backend = srv:_http._tcp.app.test name=app")
    assert ask(client, lb, 12) == {"heavy": 9, "light": 3}
    until_names(lb, [f"app@127.0.0.1:{b.port}" for b in (heavy, light, spare)])
    # Only what is left: a backup.
    nameserver.stop()
    nameserver.start(hosts, [records[0][:4] + (1,), records[1], records[2]])
    until(lambda: ask(client, lb, 4) == {"heavy": 2, "light": 2}, "equal weights")
    nameserver.stop()
    nameserver.start(hosts, records[1:])
    until_names(lb, [f"app@127.0.0.1:{b.port}" for b in (light, spare)])
    light.stop()
    assert ask(client, lb, 4) == {"spare": 4}


def test_a_service_that_is_not_offered(named, nameserver, block):
    nameserver.start({}, [("_http._tcp.app.test",)])
    lb = named("backend = srv:_http._tcp.app.test\nbackend = srv:_http._tcp.none.test\n"
               "queue_timeout = 50ms\n")
    log = until(lambda: lb.stderr().count(FAILED) == 2 and lb.stderr(), "both to be told")
    assert f"srv:_http._tcp.app.test {FAILED}: the service is not offered there" in log
    assert f"srv:_http._tcp.none.test {FAILED}: no such name" in log


def test_a_target_without_an_address(named, nameserver, block, backend, client):
    b = backend(name="b")
    nameserver.start({"a.test": ["127.0.0.1"]},
                     [("_http._tcp.app.test", "a.test", b.port, 0, 0),
                      ("_http._tcp.app.test", "gone.test", b.port, 0, 0)])
    lb = named("backend = srv:_http._tcp.app.test")
    assert ask(client, lb, 3) == {"b": 3}
    assert FAILED not in lb.stderr()


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")
def test_ipv6_addresses(named, nameserver, block, backend, client):
    six = backend(name="six", address=("::1", 0))
    four = backend(name="four", address=(block.ip(1), six.port))
    nameserver.start({"app.test": ["::1", block.ip(1)]})
    lb = named(f"backend = app.test:{six.port}")
    assert ask(client, lb, 4) == {"six": 2, "four": 2}
    until_names(lb, [f"app.test:{six.port}@{block.ip(1)}:{six.port}",
                     f"app.test:{six.port}@[::1]:{six.port}"])
    four.stop()


def test_each_address_is_checked(named, nameserver, block, backend, client):
    port, made = block.backends(backend, 2)
    made[1].stop()
    nameserver.start({"app.test": [block.ip(1), block.ip(2)]})
    lb = named(f"backend = app.test:{port} name=app",
               health="health_interval = 50ms\nhealth_timeout = 50ms\n")
    until_state(lb, f"app@{block.ip(2)}:{port}", "down")
    assert condition(lb, f"app@{block.ip(1)}:{port}")["state"] == "up"
    assert ask(client, lb, 4) == {block.ip(1): 4}
    # What is known about those that stay, stays.
    backend(name=block.ip(3), address=(block.ip(3), port))
    nameserver.set({"app.test": [block.ip(2), block.ip(3)]})
    until_names(lb, [f"app@{block.ip(n)}:{port}" for n in (2, 3)])
    assert condition(lb, f"app@{block.ip(2)}:{port}")["state"] == "down"
    assert ask(client, lb, 4) == {block.ip(3): 4}


def test_max_and_backup_hold_for_each_address(named, nameserver, block, backend, client):
    port, _ = block.backends(backend, 2)
    main = backend(name="main")
    nameserver.start({"app.test": [block.ip(1), block.ip(2)]})
    lb = named(f"backend = app.test:{port} backup max=3\nbackend = {main.address} name=main\n")
    assert ask(client, lb, 4) == {"main": 4}
    main.stop()
    assert ask(client, lb, 4) == {block.ip(1): 2, block.ip(2): 2}


def test_the_host_of_a_name_is_the_name(named, nameserver, block, backend, client):
    port, made = block.backends(backend, 1)
    record = backend(name="record")
    nameserver.start({"app.test": [block.ip(1)], "a.test": ["127.0.0.1"]},
                     [("_http._tcp.app.test", "a.test", record.port, 0, 0)])
    lb = named(f"backend = app.test:{port} name=app\nbackend = srv:_http._tcp.app.test\n"
               "host_header = backend\n", health="health = http\nhealth_interval = 50ms\n")
    assert ask(client, lb, 2) == {block.ip(1): 1, "record": 1}
    until(lambda: len(made[0].requests) > 1 and len(record.requests) > 1, "a check of each")
    assert {r.one("host") for r in made[0].requests} == {f"app.test:{port}"}
    assert {r.one("host") for r in record.requests} == {f"127.0.0.1:{record.port}"}


def test_another_name_of_the_same_address(named, nameserver, block, backend, client):
    port, made = block.backends(backend, 1)
    nameserver.start({"app.test": [block.ip(1)], "new.test": [block.ip(1)]})
    lb = named(f"backend = app.test:{port} name=app\nhost_header = backend\n")
    assert ask(client, lb, 1) == {block.ip(1): 1}
    change(lb, ("app.test", "new.test"))
    assert lb.verb("reload").returncode == 0
    assert ask(client, lb, 1) == {block.ip(1): 1}
    assert [r.one("host") for r in made[0].requests] == [f"app.test:{port}", f"new.test:{port}"]


def test_drain_of_one_address(named, nameserver, block, backend, client):
    port, _ = block.backends(backend, 2)
    nameserver.start({"app.test": [block.ip(1), block.ip(2)]})
    lb = named(f"backend = app.test:{port}")
    name = f"web/app.test:{port}@{block.ip(1)}:{port}"
    drained = lb.verb("drain", name, "--wait", "10s")
    assert drained.returncode == 0, drained.stderr
    assert ask(client, lb, 4) == {block.ip(2): 4}
    # It outlasts a change of the others.
    nameserver.set({"app.test": [block.ip(1)]})
    until_names(lb, [f"app.test:{port}@{block.ip(1)}:{port}"])
    assert condition(lb, f"app.test:{port}@{block.ip(1)}:{port}")["state"] == "draining"
    assert lb.verb("undrain", name).returncode == 0
    assert ask(client, lb, 4) == {block.ip(1): 4}


def change(lb, *pairs):
    text = lb.file.read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    lb.file.write_text(text)


def test_a_reload_keeps_what_is_known(named, nameserver, block, backend, client):
    port, _ = block.backends(backend, 2)
    nameserver.start({"app.test": [block.ip(1), block.ip(2)]})
    lb = named(f"backend = app.test:{port}")
    nameserver.stop()
    change(lb, ("health = off\n", "health = off\nretry_attempts = 1\n"))
    done = lb.verb("reload")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ask(client, lb, 10) == {block.ip(1): 5, block.ip(2): 5}
    # And takes a name nobody knows without waiting for it for long.
    change(lb, (f"backend = app.test:{port}", f"backend = app.test:{port}, new.test:{port}"))
    done = lb.verb("reload")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ask(client, lb, 4) == {block.ip(1): 2, block.ip(2): 2}
    nameserver.start({"app.test": [block.ip(1)], "new.test": [block.ip(2)]})
    until_names(lb, [f"app.test:{port}@{block.ip(1)}:{port}",
                     f"new.test:{port}@{block.ip(2)}:{port}"])


def test_a_new_name_is_known_when_the_reload_ends(named, nameserver, block, backend, client):
    port, _ = block.backends(backend, 2)
    nameserver.start({"app.test": [block.ip(1)], "new.test": [block.ip(2)]})
    lb = named(f"backend = app.test:{port}\nqueue_timeout = 1ms")
    change(lb, ("app.test", "new.test"))
    done = lb.verb("reload")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ask(client, lb, 4) == {block.ip(2): 4}
    assert names_of(lb) == [f"new.test:{port}@{block.ip(2)}:{port}"]


def test_zero_looks_names_up_when_loaded_alone(named, nameserver, block, backend, client):
    port, _ = block.backends(backend, 2)
    nameserver.start({"app.test": [block.ip(1)], "clock.test": ["127.0.0.1"]})
    lb = named(f"backend = app.test:{port}", health="health = off\n",
               rest=f"[pool clock]\nhealth = off\nresolve = 20ms\nbackend = clock.test:{port}\n")
    change(lb, (RESOLVE, "resolve = 0\n"))
    assert lb.verb("reload").returncode == 0
    nameserver.set({"app.test": [block.ip(2)], "clock.test": ["127.0.0.1"]})
    asked, ticks = nameserver.asked("app.test"), nameserver.asked("clock.test")
    until(lambda: nameserver.asked("clock.test") > ticks + 40, "time to pass")
    assert ask(client, lb, 2) == {block.ip(1): 2}
    # The test's own question was one.
    assert nameserver.asked("app.test") <= asked + 1
    assert lb.verb("reload").returncode == 0
    until_names(lb, [f"app.test:{port}@{block.ip(2)}:{port}"])


def test_check_and_status_speak_of_names(named, nameserver, block, backend):
    port, _ = block.backends(backend, 2)
    nameserver.start({"app.test": [block.ip(1), block.ip(2)]})
    lb = named(f"backend = app.test:{port}")
    said = lb.verb("check")
    assert said.returncode == 0
    assert "pool web: 1 backend, 1 of them a name: all its addresses\n" in said.stdout
    pools = json.loads(lb.verb("status", "--json").stdout)["pools"]
    assert len(pools[0]["backends"]) == 2
