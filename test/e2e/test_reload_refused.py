"""A reload that is refused changes nothing, names every error, and a later good one works."""
import os
import pwd
import re
import resource
import signal
import socket

import pytest

from harness import Client, Gate, until
from harness.health import condition
from harness.proxy import files_of
from harness.reload import (answers, ask, counts, generation, hup, line_of, names, refuse, reload,
                            root, site, write)
from test_reload_verb import held
from test_tunnels import echo

_, HARD = resource.getrlimit(resource.RLIMIT_NOFILE)
root_only = pytest.mark.skipif(not root(), reason="only root can become another user")


class Place:
    """What a bad configuration is made of."""

    def __init__(self, folder, address, good, other):
        self.folder, self.good, self.other = folder, good, other
        self.extra, self.taken = address(), address()
        self.path = folder / "front"

    def text(self, rest="", **options):
        """All different from what runs, and well-formed so far."""
        host, port = self.extra
        options.setdefault("pool", "")
        options["pool"] += "retry_attempts = 5\n"
        return site([self.other], rest=f"[listener extra]\nbind = {host}:{port}\n"
                    f"bind = unix:{self.path}\n{rest}",
                    **options)

    def spoil(self, line, section="pool web"):
        """With one more line in that section."""
        at = f"[{section}]\n"
        text = self.text()
        if at not in text:
            text += at
        return text.replace(at, f"{at}{line}\n", 1)


# Each takes a Place and gives the text, and what is said: (a part of the line
# that is named, the rest of the message as a regular expression).
KINDS = {}


def kind(function):
    KINDS[function.__name__] = function
    return function


def keyed(name, line, section, said):
    KINDS[name] = lambda p: (p.spoil(line, section), [(line, re.escape(f"[{section}] ") + said)])


keyed("no_equals_sign", "keepalive 3", "pool web", r".*keepalive 3")
keyed("out_of_range", "retry_base = 25h", "pool web", r"retry_base: .*25h.*24h")
keyed("no_unit", "queue_timeout = 7", "pool web", r"queue_timeout: .*unit")
keyed("unknown_key", "keepalve = 64", "pool web", r"keepalve: unknown key \(did you mean keepalive\?\)")
keyed("unknown_word", "log_level = loud", "global", r"log_level: .*loud.*debug")
keyed("bad_cidr", "trusted_proxies = 10.0.0.0/33", "listener main", r"trusted_proxies: .*10\.0\.0\.0/33")
keyed("bad_backend", "backend = 127.0.0.1:99999", "pool web", r"backend: .*99999")
keyed("bad_weight", "backend = 127.0.0.1:9 weight=0", "pool web", r"backend: .*weight")
keyed("unknown_option", "backend = 127.0.0.1:9 color=red", "pool web", r"backend: .*color")
keyed("bad_path", "health_path = nowhere", "pool web", r"health_path: .*nowhere")
keyed("log_in_missing_directory", "log = /nonexistent/e.log", "global",
      r"log: .*/nonexistent/e\.log.*No such file or directory")
keyed("unix_bind_in_missing_directory", "bind = unix:/nonexistent/s", "listener main",
      r"bind: .*/nonexistent/s.*No such file or directory")
keyed("address_of_somebody_else", "bind = 192.0.2.1:80", "listener main",
      r"bind: .*192\.0\.2\.1:80.*[Cc]annot assign requested address")
keyed("retry_cap_below_base", "retry_cap = 1ms", "pool web", r"retry_\w+: .*(1ms|25ms)")


@kind
def unknown_section(p):
    return p.text(rest="[pol x]\nbackend = 127.0.0.1:9\n"), [("[pol x]", r".*did you mean pool\?")]


@kind
def unclosed_section(p):
    return p.text(rest="[pool x\nbackend = 127.0.0.1:9\n"), [("[pool x", r".*")]


@kind
def unknown_pool_in_a_route(p):
    return p.text(rest="[route r]\npool = wbe\n"), [
        ("pool = wbe", r"\[route r\] pool: .*wbe.*did you mean web\?")]


@kind
def unknown_pool_of_a_listener(p):
    return p.spoil("pool = nobody", "listener main"), [
        ("pool = nobody", r"\[listener main\] pool: .*nobody")]


@kind
def no_backend(p):
    text = p.text(rest="[pool empty]\nhealth = off\n")
    return text, [("[pool empty]", r"\[pool empty\] .*backend")]


@kind
def no_bind(p):
    return p.text(rest="[listener none]\nidle_timeout = 1s\n"), [
        ("[listener none]", r"\[listener none\] .*bind")]


@kind
def no_pool_at_all(p):
    host, port = p.extra
    return f"[global]\nworkers = 1\n[listener main]\nbind = {host}:{port}\n", [(None, r".*\[pool NAME\]")]


@kind
def duplicate_bind(p):
    host, port = p.extra
    return p.text(rest=f"[listener again]\nbind = {host}:{port} ; second\n"), [
        ("; second", r"\[listener again\] bind: .*" + re.escape(f"{host}:{port}"))]


@kind
def duplicate_section(p):
    return p.text(rest="[pool web] ; second\nbackend = 127.0.0.1:9\n"), [
        ("; second", r"\[pool web\]")]


@kind
def duplicate_key(p):
    return p.text(pool="keepalive = 1\nkeepalive = 2\n"), [
        ("keepalive = 2", r"\[pool web\] keepalive: ")]


@kind
def access_log_in_missing_directory(p):
    text = p.text().replace("access_log = access.log", "access_log = nowhere/access.log")
    return text, [("access_log = ", r"\[global\] access_log: .*nowhere/access\.log"
                   ".*No such file or directory")]


@kind
def access_log_is_a_directory(p):
    (p.folder / "logs").mkdir()
    text = p.text().replace("access_log = access.log", "access_log = logs")
    return text, [("access_log = ", r"\[global\] access_log: .*logs.*Is a directory")]


@kind
def access_log_is_a_pipe_that_nobody_reads(p):
    os.mkfifo(p.folder / "pipe")
    text = p.text().replace("access_log = access.log", "access_log = pipe")
    return text, [("access_log = ", r"\[global\] access_log: .*pipe")]


@kind
def access_log_below_a_file(p):
    text = p.text().replace("access_log = access.log", "access_log = /dev/null/x")
    return text, [("access_log = ", r"\[global\] access_log: .*/dev/null/x.*Not a directory")]


def taken(p):
    """A socket of somebody who listens there."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(p.taken)
    s.listen()
    return s


@kind
def port_in_use(p):
    host, port = p.taken
    text = p.text(rest=f"bind = {host}:{port}\n").replace("access.log", "other.log")
    return text, [(f"bind = {host}:{port}", r"\[listener extra\] bind: .*"
                   + re.escape(f"{host}:{port}") + r".*[Aa]ddress already in use")]


@kind
def admin_port_in_use(p):
    host, port = p.taken
    text = p.text().replace("listen = 127.0.0.1:0", f"listen = {host}:{port}").replace(
        "access.log", "other.log\nlog = other.log")
    return text, [("listen = ", r"\[admin\] listen: .*" + re.escape(f"{host}:{port}")
                   + r".*[Aa]ddress already in use")]


@kind
def too_long_a_line(p):
    line = "; " + "x" * 4096
    return p.text() + line + "\n", [(line, r".*4,?096")]


@kind
def a_nul_byte(p):
    return (p.text() + "keepalive = 1\0\n").encode(), [(b"keepalive = 1".decode(), ".*")]


@kind
def bom_and_an_error(p):
    text = "\ufeff" + p.spoil("keepalve = 64")
    return text, [("keepalve = 64", r"\[pool web\] keepalve: unknown key")]


@kind
def crlf_and_an_error(p):
    return p.spoil("keepalve = 64"), [("keepalve = 64", r"\[pool web\] keepalve: unknown key")]


@kind
def utf16(p):
    return b"\xff\xfe" + p.text().encode("utf-16-le"), [(None, "")]


@kind
def garbage(p):
    return os.urandom(20000).replace(b"[", b"") + b"\n", [(None, "")]


@kind
def empty(p):
    return b"", [(None, "")]


@kind
def several(p):
    text = p.spoil("keepalve = 64").replace("[listener main]\n", "[listener main]\nidle = 1s\n")
    text += "[route r]\npool = nobody\n[pool q]\nhealth = on\n"
    return text, [("keepalve", r"\[pool web\] keepalve"), ("idle = 1s", r"\[listener main\] idle"),
                  ("pool = nobody", r"\[route r\] pool"), ("[pool q]", r"\[pool q\] .*backend"),
                  ("health = on", r"\[pool q\] health")]


@kind
def several_that_cannot_be_bound(p):
    host, port = p.taken
    text = p.text(rest=f"bind = {host}:{port}\nbind = 192.0.2.1:80\nbind = unix:/nonexistent/s\n")
    return text, [(f"bind = {host}:{port}", r"\[listener extra\] bind: .*in use"),
                  ("192.0.2.1:80", r"\[listener extra\] bind: .*assign"),
                  ("unix:/none", r"\[listener extra\] bind: .*No such file")]


def check_said(said, text, expected):
    for part, message in expected:
        where = r"lb\.ini:\d+: |lb\.ini: " if part is None else \
            re.escape(f"lb.ini:{line_of(text, part)}: ")
        assert re.search(f"({where}){message}", said), (where, message, said)


class Watched:
    """A running evenkeel, and everything of it that must stay as it is."""

    def __init__(self, evenkeel, backend):
        self.gate = Gate()
        self.one, self.two = backend(name="one"), backend(name="two")
        self.special = backend(self._script, name="special")
        rest = f"[pool special]\nbackend = {self.special.address}\nhealth = off\n" \
               "[route special]\npath = /special\npool = special\n"
        self.text = site([self.one, self.two], rest=rest, listener="pool = web\n")
        self.proxy = evenkeel(self.text)
        self.keeper = Client(self.proxy.port)
        assert {self.keeper.ask().body for _ in range(4)} == {b"one", b"two"}
        self.tunnel, self.running = Client(self.proxy.port), Client(self.proxy.port)
        self.tunnel.request(target="/special/tunnel", fields=["Connection: Upgrade", "Upgrade: x"])
        self.tunnel.stream.need(lambda buf: b"101" in buf and buf.endswith(b"\r\n\r\n"))
        self.tunnel.stream.buf = b""
        self.running.request(target="/special/held")
        self.special.wait_requests(2)
        self.files, self.conns = self.proxy.open_files(), self.backend_conns()

    def _script(self, conn):
        request = conn.head()
        if request.target.endswith("tunnel"):
            conn.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                      b"Upgrade: x\r\n\r\n")
            while True:
                conn.stream.need(bool)
                data, conn.stream.buf = conn.stream.buf, b""
                conn.send(data)
        self.gate.wait()
        conn.answer(b"held")

    def backend_conns(self):
        return [len(b.conns) for b in (self.one, self.two, self.special)]

    def as_before(self):
        order = [self.keeper.ask().body for _ in range(4)]
        assert order in ([b"one", b"two"] * 2, [b"two", b"one"] * 2), order
        assert self.backend_conns() == self.conns, "idle connections are not reused"
        assert set(names(self.proxy.port, 2)) == {"one", "two"}
        self.tunnel.send(b"ping").stream.need(lambda buf: buf == b"ping")
        self.tunnel.stream.buf = b""
        until(lambda: self.proxy.open_files() == self.files,
              lambda: f"{self.files} descriptors, there are {self.proxy.open_files()}")

    def end(self):
        self.gate.open()
        assert self.running.response().body == b"held"

    def close(self):
        self.gate.open()
        for c in (self.keeper, self.tunnel, self.running):
            c.close()


@pytest.fixture
def watched(evenkeel, backend):
    made = Watched(evenkeel, backend)
    yield made
    made.close()


@pytest.mark.parametrize("name", KINDS)
def test_nothing_changes(watched, backend, address, name):
    proxy, third = watched.proxy, backend(name="three")
    place = Place(proxy.folder, address, watched.text, third)
    somebody = taken(place)
    try:
        text, expected = KINDS[name](place)
        if isinstance(text, str):
            text = proxy._complete(text)
            if name.startswith("crlf"):
                text = text.replace("\n", "\r\n")
            text = text.encode()
        # Lines that the message must name are those of the whole file.
        said = refuse(proxy, text)
        check_said(said, text.decode("latin-1"), expected)
        watched.as_before()
        assert not answers(place.extra), "a bind of the refused file is taken"
        assert not place.path.exists(), "a socket of the refused file is there"
        assert counts(proxy) == {"applied": 0, "refused": 1} and generation(proxy) == 1
        for line in said.splitlines():  # the log has the same
            if "lb.ini:" in line:
                proxy.said_at(line.strip())
        # By HUP it is the same.
        hup(proxy)
        watched.as_before()
        assert counts(proxy) == {"applied": 0, "refused": 2}
    finally:
        somebody.close()
    out = reload(proxy, place.text())
    assert out and answers(place.extra) and answers(str(place.path))
    assert names(proxy.port, 3) == ["three"] * 3
    assert [watched.keeper.ask().body for _ in range(3)] == [b"three"] * 3
    assert not third.errors
    watched.end()


def test_the_file_is_gone_and_comes_back(watched):
    proxy = watched.proxy
    proxy.file.unlink()
    said = refuse(proxy)
    assert str(proxy.file) in said or "lb.ini" in said
    assert "No such file or directory" in said
    watched.as_before()
    reload(proxy, site([watched.two]))
    assert names(proxy.port, 2) == ["two"] * 2
    watched.end()


def test_the_file_is_a_directory(watched):
    proxy = watched.proxy
    proxy.file.unlink()
    proxy.file.mkdir()
    assert re.search(r"lb\.ini: is a directory", refuse(proxy), re.I)
    watched.as_before()
    proxy.file.rmdir()
    reload(proxy, site([watched.two]))
    assert names(proxy.port, 2) == ["two"] * 2
    watched.end()


def test_a_symlink_to_itself(watched):
    proxy = watched.proxy
    proxy.file.unlink()
    proxy.file.symlink_to(proxy.file)
    assert "lb.ini: Too many levels of symbolic links" in refuse(proxy)
    watched.as_before()
    proxy.file.unlink()
    reload(proxy, watched.text)
    watched.end()


def test_a_file_nobody_writes_to_holds_nothing_up(watched):
    """A pipe in place of the file: traffic and verbs go on, and there is an answer."""
    proxy = watched.proxy
    proxy.file.unlink()
    os.mkfifo(proxy.file)
    proxy.signal(signal.SIGHUP)
    watched.as_before()
    assert condition(proxy, "one")["state"] == "up"
    assert proxy.verb("--control", str(proxy.control), "status").returncode == 0
    until(lambda: counts(proxy)["refused"] == 1, "the reload to be refused")
    proxy.file.unlink()
    reload(proxy, site([watched.two]))
    assert names(proxy.port, 2) == ["two"] * 2
    watched.end()


def folder_of_nobody(tmp_path):
    """One where nobody may write, and get to."""
    nobody = pwd.getpwnam("nobody")
    at = tmp_path
    while str(at) != at.root:
        if at.stat().st_uid == os.geteuid():
            at.chmod(at.stat().st_mode | 0o055)
        at = at.parent
    folder = tmp_path / "run"
    folder.mkdir()
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return folder


@root_only
@pytest.mark.plain_only("front: the usual key is root's own; test_tls_reload.py has others")
def test_the_file_cannot_be_read(evenkeel, backend, tmp_path):
    """Started by root, who became nobody: he cannot read what only root may."""
    folder = folder_of_nobody(tmp_path)
    top = f"user = nobody\ncontrol = {folder}/ctl\n"
    one, two = backend(name="one"), backend(name="two")

    def text(b):
        return site([b], top=top).replace("access_log = access.log",
                                          f"access_log = {folder}/access.log")
    proxy = evenkeel(text(one))
    proxy.control = folder / "ctl"
    write(proxy, text(two))
    proxy.file.chmod(0o600)
    r = ask(proxy)
    assert r.returncode == 2 and "Permission denied" in r.stdout + r.stderr, r
    assert names(proxy.port, 2) == ["one"] * 2
    proxy.file.chmod(0o644)
    reload(proxy)
    assert names(proxy.port, 2) == ["two"] * 2


@root_only
@pytest.mark.plain_only("front: the usual key is root's own; test_tls_reload.py has others")
def test_what_works_at_start_works_at_reload(evenkeel, backend, tmp_path):
    """As nobody: a low port can be bound; a log that only root may write cannot."""
    folder = folder_of_nobody(tmp_path)
    (tmp_path / "roots").mkdir(mode=0o700)
    top = f"user = nobody\ncontrol = {folder}/ctl\n"
    one, host = backend(name="one"), "127.{}.{}.{}".format(*(1 + b % 250 for b in os.urandom(3)))

    def text(log, listener=""):
        return site([one], top=top, listener=listener).replace("= access.log", f"= {log}")
    proxy = evenkeel(text(folder / "a.log"))
    proxy.control = folder / "ctl"
    reload(proxy, text(folder / "b.log", f"bind = {host}:80\n"))
    assert names((host, 80), 2) == ["one"] * 2
    assert (folder / "b.log").stat().st_uid == pwd.getpwnam("nobody").pw_uid
    said = refuse(proxy, text(tmp_path / "roots" / "c.log"))
    assert re.search(r"lb\.ini:\d+: \[global\] access_log: .*c\.log.*Permission denied", said), said
    assert names((host, 80), 2) == ["one"] * 2


def test_no_descriptors_are_left(watched, address):
    """Two hundred binds, and room for thirty: all or none."""
    proxy = watched.proxy
    host, _ = address()
    text = watched.text + "[listener more]\npool = web\n" + "".join(
        f"bind = {host}:{20000 + i}\n" for i in range(200))
    files = proxy.open_files() + files_of(proxy.pid)[1]
    resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE, (files + 30, HARD))
    said = refuse(proxy, text)
    assert "bind: " in said and "Too many open files" in said
    watched.as_before()
    assert not answers((host, 20000))
    resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE, (HARD, HARD))
    reload(proxy, text)
    assert names((host, 20000), 1) and names((host, 20199), 1)
    watched.end()


def test_a_thousand_errors_are_all_named(evenkeel, backend):
    proxy = evenkeel(site([backend()]))
    said = refuse(proxy, proxy.file.read_text() + "".join(f"w{i} = 1\n" for i in range(999)))
    assert said.count("unknown key") == 999 and " w998: " in said
    assert proxy.verb("status").returncode == 0


def test_refused_again_and_again_leaves_nothing_behind(watched, address):
    """Descriptors, binds, configurations: all undone, thirty times."""
    proxy = watched.proxy
    place = Place(proxy.folder, address, watched.text, watched.two)
    somebody = taken(place)
    host, port = place.taken
    try:
        write(proxy, place.text(rest=f"bind = {host}:{port}\n"))
        for _ in range(30):
            hup(proxy)
    finally:
        somebody.close()
    assert counts(proxy) == {"applied": 0, "refused": 30}
    watched.as_before()
    assert not answers(place.extra)
    watched.end()


def test_a_refused_one_while_requests_are_in_flight(evenkeel, backend, client):
    """They end as they would have, tunnels too."""
    gate = Gate()
    one, two = backend(held(gate), name="one"), backend(echo, name="two")
    proxy = evenkeel(site([one], rest=f"[pool t]\nbackend = {two.address}\nhealth = off\n"
                          "[route t]\npath = /t\npool = t\n", listener="pool = web\n"))
    waiting = [client(proxy).request() for _ in range(8)]
    tunnel = client(proxy)
    tunnel.request(target="/t", fields=["Connection: Upgrade", "Upgrade: websocket"])
    tunnel.stream.need(lambda buf: buf.endswith(b"\r\n\r\n"))
    tunnel.stream.buf = b""
    one.wait_requests(8)
    assert "nonsense" in refuse(proxy, proxy.file.read_text() + "nonsense = 1\n")
    assert condition(proxy, "one")["in_flight"] == 8
    gate.open()
    assert [w.response().body for w in waiting] == [b"one"] * 8
    tunnel.send(b"still").stream.need(lambda buf: buf == b"still")
