"""reload and SIGHUP: who asks, what is said about it, and where."""
import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from harness import Client, Gate, build_of, until
from harness.health import scrape
from harness.proxy import environment
from harness.reload import (answers, ask, counts, generation, hup, log_lines, names, refuse,
                            reload, root, site, start_reload, status_json, write)


def held(gate):
    """A script that answers its name once the gate is open."""
    def script(conn):
        while True:
            conn.request()
            gate.wait()
            conn.answer(conn.backend.name.encode())
    return script


def said_of(text, subject):
    """The rest of the line that begins with the subject."""
    for line in text.splitlines():
        if line.startswith(subject + ": "):
            return line[len(subject) + 2:]
    raise AssertionError(f"no line about {subject}: {text!r}")


@pytest.mark.plain_only("back: names without name= have the scheme in them")
def test_the_difference_in_plain_words(evenkeel, backend, client):
    gate = Gate()
    one, two, three = backend(), backend(held(gate)), backend()
    proxy = evenkeel(site([one.address, two.address]))
    waiting = [client(proxy).request() for _ in range(2)]
    until(lambda: two.requests or waiting[0].stream.buf, "a request in flight")
    two.wait_requests(1)
    out = reload(proxy, site([one.address, three.address], pool="retry_attempts = 3\n"))
    said = said_of(out, "pool web").split(", ")
    assert f"+ {three.address}" in said
    assert f"- {two.address} (draining, 1 in flight)" in ", ".join(said)
    assert "retry_attempts 2 -> 3" in said
    assert one.address not in out
    gate.open()
    assert {w.response().body for w in waiting} == {one.name.encode(), two.name.encode()}
    # The other way round; nothing is in flight any more.
    out = reload(proxy, site([one.address, two.address]))
    said = said_of(out, "pool web")
    assert f"+ {two.address}" in said and f"- {three.address}" in said
    assert "retry_attempts 3 -> 2" in said and "1 in flight" not in said


def test_every_kind_of_change_is_named(evenkeel, backend, address):
    b = backend()
    host, port = address()
    before = site([b], rest="[pool old]\nbackend = 127.0.0.1:9\nhealth = off\n"
                  "[route gone]\npath = /gone\npool = old\n", listener="pool = web\n",
                  top="log_level = info\n")
    after = site([f"{b.address} name={b.name} weight=3"],
                 rest="[pool fresh]\nbackend = 127.0.0.1:9\nhealth = off\n"
                 "[route come]\npath = /come\npool = fresh\n"
                 f"[listener more]\nbind = {host}:{port}\npool = web\n",
                 listener="pool = web\nheader_timeout = 1500ms\n", top="log_level = warn\n",
                 pool="balance = least_connections\nkeepalive = 3\n")
    proxy = evenkeel(before)
    out = reload(proxy, after)
    assert "header_timeout 10s -> 1500ms" in said_of(out, "listener main")
    said = said_of(out, "pool web")
    assert "balance round_robin -> least_connections" in said and "keepalive 64 -> 3" in said
    assert "weight 1 -> 3" in said
    assert "log_level info -> warn" in said_of(out, "global")
    for name in ("old", "fresh", "gone", "come", "more"):
        assert re.search(rf"^(pool|route|listener) {name}\b", out, re.M), (name, out)
    assert f"{host}:{port}" in out and answers((host, port))


def test_no_difference_is_said_too(evenkeel, backend):
    proxy = evenkeel(site([backend()]))
    out = reload(proxy)
    assert out.strip() and "pool web" not in out and "->" not in out
    assert counts(proxy) == {"applied": 1, "refused": 0}


def test_hup_logs_what_the_verb_prints(evenkeel, backend):
    one, two = backend(name="one"), backend(name="two")
    proxy = evenkeel(site([one]))
    hup(proxy, site([one, two], pool="connect_timeout = 1s\n"))
    proxy.said_at("connect_timeout 2s -> 1s")
    by_hup = said_of("\n".join(ln for ln in log_lines(proxy) if "->" in ln), "pool web")
    assert "connect_timeout 2s -> 1s" in by_hup and "+ " in by_hup
    assert "SIGHUP" in proxy.stderr()
    assert set(names(proxy.port, 4)) == {"one", "two"}
    reload(proxy, site([one]))
    out = reload(proxy, site([one, two], pool="connect_timeout = 1s\n"))
    assert said_of(out, "pool web") == by_hup
    for line in out.splitlines():
        proxy.said_at(line)


def test_hup_logs_the_errors_and_goes_on(evenkeel, backend):
    proxy = evenkeel(site([backend(name="one")]))
    hup(proxy, site([backend(name="two")], pool="retry_atempts = 1\n"))
    proxy.said_at("[pool web] retry_atempts: unknown key (did you mean retry_attempts?)")
    assert counts(proxy) == {"applied": 0, "refused": 1}
    assert names(proxy.port, 3) == ["one"] * 3


RESTART = ["workers = 2", "pid_file = {}/pid", "control = {}/other"] + \
    (["user = root", "group = root"] if root() else [])


@pytest.mark.parametrize("line", RESTART, ids=lambda line: line.split()[0])
def test_what_needs_a_restart_is_named_and_the_rest_applied(evenkeel, backend, tmp_path, line):
    line = line.format(tmp_path)
    proxy = evenkeel(site([backend(name="one")]))
    text = site([backend(name="two")], top=line + "\n")
    if line.startswith("workers"):
        text = text.replace("workers = 1\n", "", 1)
    threads = len(os.listdir(f"/proc/{proxy.pid}/task"))
    out = reload(proxy, text)
    hits = [ln for ln in out.splitlines() if "needs a restart" in ln]
    assert len(hits) == 1 and line.split()[0] in hits[0], out
    assert names(proxy.port, 3) == ["two"] * 3
    proxy.said_at("needs a restart")
    assert len(os.listdir(f"/proc/{proxy.pid}/task")) == threads
    assert not (tmp_path / "pid").exists() and not (tmp_path / "other").exists()
    assert counts(proxy) == {"applied": 1, "refused": 0}


def test_all_that_need_a_restart_at_once(evenkeel, backend, tmp_path):
    proxy = evenkeel(site([backend(name="one")]))
    text = site([backend(name="one")], workers=3,
                top=f"control = {tmp_path}/other\npid_file = {tmp_path}/pid\n")
    out = reload(proxy, text)
    for key in ("workers", "control", "pid_file"):
        assert re.search(rf"\b{key}\b[^\n]*needs a restart|needs a restart[^\n]*\b{key}\b", out), out


def test_nobody_is_there(evenkeel, backend):
    proxy = evenkeel(site([backend()]))
    proxy.stop()
    r = proxy.verb("reload")
    assert r.returncode == 1 and not r.stdout
    assert "nobody is running" in r.stderr and str(proxy.control) in r.stderr


@pytest.mark.parametrize("args", [("extra",), ("--json",), ("--wait", "1s"), ("--demo",)])
def test_usage(evenkeel, backend, args):
    proxy = evenkeel(site([backend()]))
    r = proxy.verb("reload", *args)
    assert r.returncode == 2 and r.stderr and not r.stdout
    assert counts(proxy) == {"applied": 0, "refused": 0}


def test_help_and_completion_know_it():
    r = subprocess.run([str(build_of()), "--help"], capture_output=True, text=True, timeout=10,
                       check=True)
    assert re.search(r"^  reload\b", r.stdout, re.M)


def test_status_says_how_the_last_one_ended(evenkeel, backend):
    one = backend(name="one")
    proxy = evenkeel(site([one]))
    assert generation(proxy) == 1

    def told():
        text = proxy.verb("status").stdout.lower()
        found = {k: json.dumps(v) for k, v in status_json(proxy).items() if "reload" in k}
        return text, json.dumps(found)
    reload(proxy, site([one], pool="keepalive = 3\n"))
    text, found = told()
    assert "applied" in text and "applied" in found and "refused" not in found
    assert generation(proxy) == 2 and counts(proxy) == {"applied": 1, "refused": 0}
    refuse(proxy, site([one], pool="keepalive = x\n"))
    text, found = told()
    assert "refused" in text and "refused" in found
    assert generation(proxy) == 2 and counts(proxy) == {"applied": 1, "refused": 1}
    reload(proxy, site([one]))
    text, found = told()
    assert "refused" not in re.sub(r"\d+ refused|refused \d+|1 were refused", "", text)
    assert generation(proxy) == 3 and counts(proxy) == {"applied": 2, "refused": 1}


def test_metrics_are_there_before_the_first(evenkeel, backend):
    families = scrape(evenkeel(site([backend()])))
    samples = families["evenkeel_reloads_total"].samples
    assert sorted((ls["result"], v) for _, ls, v in samples) == [("applied", 0), ("refused", 0)]
    assert families["evenkeel_config_generation"].values() == [1]


def test_the_verb_finds_the_process_by_a_file_with_errors(evenkeel, backend):
    """Its `control` key is read tolerantly; then the errors are told."""
    proxy = evenkeel(site([backend()]))
    write(proxy, proxy.file.read_text() + "\nnonsense = 1\n[bad\n")
    r = proxy.verb("reload")
    assert r.returncode == 2
    for part in ("nonsense: unknown key", "[bad"):
        assert part in r.stdout + r.stderr
    assert counts(proxy)["refused"] == 1


def test_the_file_is_written_in_place_or_replaced(evenkeel, backend, tmp_path):
    one, two = backend(name="one"), backend(name="two")
    proxy = evenkeel(site([one]))
    proxy.file.write_text(proxy._complete(site([two])))
    reload(proxy)
    assert names(proxy.port, 2) == ["two"] * 2
    write(proxy, site([one]))  # by rename
    reload(proxy)
    assert names(proxy.port, 2) == ["one"] * 2
    other = tmp_path / "elsewhere.ini"
    other.write_text(proxy._complete(site([two])))
    proxy.file.unlink()
    proxy.file.symlink_to(other)
    reload(proxy)
    assert names(proxy.port, 2) == ["two"] * 2


def test_it_reads_its_own_file_not_that_of_the_verb(evenkeel, backend, tmp_path):
    """-c of the verb only leads to the process."""
    proxy = evenkeel(site([backend(name="one")]))
    other = tmp_path / "other.ini"
    other.write_text(proxy._complete(site([backend(name="two")])))
    write(proxy, site([backend(name="three")]))
    r = subprocess.run([proxy.binary, "-c", other, "reload"], capture_output=True, text=True,
                       timeout=10, env=environment(), check=False)
    assert r.returncode == 0, r
    assert names(proxy.port, 2) == ["three"] * 2


def test_a_file_given_by_a_relative_path(tmp_path, backend, free_port):
    port = free_port()
    text = site([backend(name="one")], top=f"control = {tmp_path}/ctl\n", admin=False)
    text = text.replace("127.0.0.1:0", f"127.0.0.1:{port}")
    (tmp_path / "lb.ini").write_text(text)
    with running([], tmp_path) as err:
        (tmp_path / "lb.ini").write_text(text.replace(
            "[pool web]\n", "[pool web]\nkeepalive = 7\n"))
        r = subprocess.run([build_of(), "reload"], capture_output=True, text=True, timeout=10,
                           env=environment(), cwd=tmp_path, check=False)
        assert r.returncode == 0 and "keepalive 64 -> 7" in r.stdout, (r, err.read_text())


class running:
    """The program as somebody types it; ends well with the block."""

    def __init__(self, args, folder, env=None):
        self.err = folder / "stderr"
        with open(self.err, "wb") as f:
            self.process = subprocess.Popen([str(build_of()), *args], stderr=f, cwd=folder,
                                            stdout=subprocess.DEVNULL, env=environment(env))

    def __enter__(self):
        until(lambda: "evenkeel ready" in self.err.read_text() or
              self.process.poll() is not None, "ready")
        return self.err

    def __exit__(self, *error):
        self.process.terminate()
        code = self.process.wait(10)
        assert error[0] or code == 0, self.err.read_text()


@pytest.mark.plain_only("words of the command line know no TLS")
def test_started_without_a_file_there_is_nothing_to_reload(tmp_path, backend, free_port):
    port, control = free_port(), str(tmp_path / "ctl")
    run = running(["--control", control, str(port), str(backend(name="one").port)], tmp_path)
    with run as err:
        r = subprocess.run([build_of(), "--control", control, "reload"], capture_output=True,
                           text=True, timeout=10, env=environment(), cwd=tmp_path, check=False)
        assert r.returncode == 2 and "file" in r.stdout + r.stderr, r
        before = len(err.read_text())
        run.process.send_signal(signal.SIGHUP)
        until(lambda: "file" in err.read_text()[before:], "the log to say why not")
        assert names(port, 3) == ["one"] * 3


# ---- systemd ----

def read_notes(manager, last):
    """Datagrams up to the one that has `last`; -> list of dicts."""
    found = []
    while not found or last not in found[-1]:
        data = manager.recv(4096).decode()
        found.append(dict(line.split("=", 1) for line in data.splitlines() if line))
    return found


@pytest.fixture
def manager(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(tmp_path / "notify"))
        s.settimeout(10)
        yield s, {"NOTIFY_SOCKET": str(tmp_path / "notify")}


@pytest.mark.parametrize("by", ["verb", "hup"])
def test_the_service_manager_is_told(evenkeel, backend, manager, by):
    listener, env = manager
    one = backend()
    proxy = evenkeel(site([one]), env=env)
    read_notes(listener, "READY")
    said = {}
    for kind, keepalive in (("applied", "3"), ("refused", "x"), ("applied again", "4")):
        text = site([one], pool=f"keepalive = {keepalive}\n")
        began = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        if by == "hup":
            hup(proxy, text)
        else:
            write(proxy, text)
            ask(proxy)
        notes = read_notes(listener, "READY")
        ended = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        assert notes[0]["RELOADING"] == "1" and "READY" not in notes[0]
        assert began <= int(notes[0]["MONOTONIC_USEC"]) <= ended
        assert notes[-1]["READY"] == "1" and "RELOADING" not in notes[-1]
        said[kind] = notes[-1]["STATUS"]
    assert "refused" in said["refused"]
    assert "refused" not in said["applied"] and "refused" not in said["applied again"]


def test_a_busy_service_manager_holds_nobody_up(evenkeel, backend, manager):
    """It does not read: the reload goes on, and the end is told when there is room."""
    listener, env = manager
    proxy = evenkeel(site([backend()]), env=env)
    read_notes(listener, "READY")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler:
        filler.setblocking(False)
        with pytest.raises(BlockingIOError):
            for _ in range(100000):
                filler.sendto(b"FILLED=1", listener.getsockname())
    for n in range(5):
        write(proxy, site([backend()], pool=f"keepalive = {n + 3}\n"))
        ask(proxy)
    # Each waited a second, twice, when it waited at all.
    took = [int(x) for x in re.findall(r'"took_ms":\s*(\d+)', proxy.verb("status", "--json").stdout)]
    assert took and max(took) < 1000
    assert read_notes(listener, "READY")[-1]["STATUS"] == "ready: generation 6"


# ---- several at once, and at bad moments ----

def test_two_verbs_at_once(evenkeel, backend):
    one, two = backend(name="one"), backend(name="two")
    proxy = evenkeel(site([one]))
    for n in range(5):
        write(proxy, site([two if n % 2 == 0 else one]))
        verbs = [start_reload(proxy) for _ in range(3)]
        ended = [(v.communicate(timeout=10), v.returncode) for v in verbs]
        assert [code for _, code in ended] == [0] * 3, ended
        assert all(out.strip() for (out, _), _ in ended), ended
        assert names(proxy.port, 2) == ["two" if n % 2 == 0 else "one"] * 2
    assert counts(proxy)["refused"] == 0


@pytest.mark.threaded
def test_a_storm_of_hups_ends_with_the_last_file(evenkeel, backend):
    one, two = backend(name="one"), backend(name="two")
    proxy = evenkeel(site([one], workers=2))
    for n in range(50):
        write(proxy, site([two if n % 2 else one], workers=2))
        proxy.signal(signal.SIGHUP)
    until(lambda: names(proxy.port, 2) == ["two"] * 2, "the last file to be in force")
    out = reload(proxy)
    assert "->" not in out and "pool web" not in out
    assert counts(proxy)["refused"] == 0 and counts(proxy)["applied"] <= 51


def test_while_a_drain_waits(evenkeel, backend, client):
    gate = Gate()
    one, two, three = backend(held(gate), name="one"), backend(name="two"), backend(name="three")
    proxy = evenkeel(site([one]))
    c = client(proxy).request()
    one.wait_requests(1)
    drain = subprocess.Popen([proxy.binary, "-c", proxy.file, "drain", "web/one"], text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    try:
        drain.stdout.readline()
        reload(proxy, site([one, two]))
        reload(proxy, site([one, three]))
        assert drain.poll() is None
        assert set(names(proxy.port, 6)) == {"three"}
        gate.open()
        assert c.response().body == b"one"
        out, err = drain.communicate(timeout=10)
        assert drain.returncode == 0 and "drained" in out, (out, err)
        assert set(names(proxy.port, 6)) == {"three"}
    finally:
        drain.kill()
        drain.wait()


def test_a_drain_whose_backend_is_taken_away_does_not_wait_for_ever(evenkeel, backend, client):
    gate = Gate()
    one, two = backend(held(gate), name="one"), backend(name="two")
    proxy = evenkeel(site([one]))
    c = client(proxy).request()
    one.wait_requests(1)
    drain = subprocess.Popen([proxy.binary, "-c", proxy.file, "drain", "web/one"], text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    try:
        drain.stdout.readline()
        reload(proxy, site([two]))
        gate.open()
        assert c.response().body == b"one"
        out, err = drain.communicate(timeout=10)
        assert drain.returncode in (0, 1) and (out or err), (drain.returncode, out, err)
    finally:
        drain.kill()
        drain.wait()


def test_during_shutdown_it_is_answered(evenkeel, backend, client):
    gate = Gate()
    b = backend(held(gate), name="one")
    proxy = evenkeel(site([b]))
    c = client(proxy).request()
    b.wait_requests(1)
    proxy.signal(signal.SIGTERM)
    until(lambda: not answers(("127.0.0.1", proxy.port)), "new connections to be refused")
    r = ask(proxy)
    assert r.returncode in (1, 2) and r.stderr, r
    for _ in range(5):
        proxy.signal(signal.SIGHUP)
    gate.open()
    assert c.response().body == b"one"
    assert proxy.wait() == 0
    assert not answers(("127.0.0.1", proxy.port))


def test_stopped_while_reloads_go_on(evenkeel, backend):
    """TERM in the middle of a storm of reloads: a clean end."""
    one, two = backend(), backend()
    proxy = evenkeel(site([one]))
    for n in range(20):
        write(proxy, site([two if n % 2 else one]))
        proxy.signal(signal.SIGHUP)
    verb = start_reload(proxy)
    proxy.signal(signal.SIGTERM)
    assert proxy.wait() == 0
    out, err = verb.communicate(timeout=10)
    assert verb.returncode in (0, 1, 2) and out + err


@pytest.mark.threaded
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopped_in_the_middle_of_a_reload(evenkeel, backend, number):
    """While a large file is read, and once it has been: nothing is left behind."""
    one = backend()

    def text(n):
        return site([one, *(f"127.4.{n}.{i % 250 + 1}:{i + 1000}" for i in range(3000))])
    for n in range(4):
        proxy = evenkeel(site([one]))
        write(proxy, text(n))
        proxy.signal(signal.SIGHUP)
        verb = start_reload(proxy) if n % 2 else None
        if n > 1:
            proxy.said_at("generation 2 is in force")
            write(proxy, text(n + 10))
            proxy.signal(signal.SIGHUP)
        proxy.signal(number)
        assert proxy.wait() == 0, proxy.stderr()[-3000:]
        if verb:
            out, err = verb.communicate(timeout=10)
            assert verb.returncode in (0, 1, 2) and out + err


def test_the_verb_may_go_away(evenkeel, backend):
    """Whoever asked and left leaves nothing behind."""
    one = backend(name="one")
    proxy = evenkeel(site([one]))
    files = proxy.open_files()
    for n in range(5):
        write(proxy, site([one], pool=f"keepalive = {n + 1}\n"))
        verb = start_reload(proxy)
        verb.kill()
        verb.communicate()
    reload(proxy, site([one], pool="keepalive = 9\n"))
    until(lambda: proxy.open_files() == files, "the same descriptors")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_the_admin_listener_takes_no_such_order(evenkeel, backend, method):
    proxy = evenkeel(site([backend()]))
    with Client(proxy.admin_port) as c:
        assert c.ask(method, "/reload").status in (404, 405)
    assert counts(proxy) == {"applied": 0, "refused": 0}
