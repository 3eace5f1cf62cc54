"""Found by a reviewer: stops that cut somebody off or waited, starts that failed badly."""
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

import pytest

from harness import Gate, build_of, until
from harness.freeze import arrived, standing_still
from harness.proxy import environment


def refused(port):
    try:
        socket.create_connection(("127.0.0.1", port), 10).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.plain_only("front: who is not accepted cannot shake hands")
def test_clients_in_the_queue_are_served_by_a_stop(lb, backend, client):
    """Let in by the kernel, their requests sent, when TERM comes."""
    proxy = lb([backend()])
    with standing_still(proxy):
        clients = [client(proxy).request() for _ in range(5)]
        for c in clients:
            arrived(c.sock)
        proxy.signal(signal.SIGTERM)
    assert [c.response().status for c in clients] == [200] * 5
    assert proxy.wait() == 0
    assert len(proxy.access()) == 5


def test_idle_client_whose_next_request_is_there_is_served_by_a_stop(lb, backend, client):
    proxy = lb([backend()])
    c = client(proxy)
    assert c.ask().status == 200
    with standing_still(proxy):
        proxy.signal(signal.SIGTERM)
        c.request(target="/next")
        arrived(c.sock)
    assert c.response().status == 200
    assert c.at_end() and proxy.wait() == 0
    assert [x["target"] for x in proxy.access()] == ["/", "/next"]


def test_request_behind_an_answer_that_promised_to_keep_the_connection(lb, backend, client):
    """The head went out before TERM: whoever believed it is served."""
    gate, sent = Gate(), Gate()

    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc")
        gate.wait()
        conn.send(b"def")
        arrived(conn.sock)
        sent.open()
        conn.request()
        conn.answer(b"second")
    proxy = lb([backend(script)])
    c = client(proxy).request(target="/1")
    c.stream.need(lambda buf: buf.endswith(b"abc"))
    proxy.signal(signal.SIGTERM)
    until(lambda: refused(proxy.port), "new connections to be refused")
    with standing_still(proxy):
        gate.open()
        sent.wait()
        c.request(target="/2")
        arrived(c.sock)
    first = c.response()
    assert first.body == b"abcdef" and "close" not in first.tokens("connection")
    assert c.response().status == 200
    assert c.at_end() and proxy.wait() == 0


def test_a_stop_does_not_wait_behind_an_empty_line(lb, backend, client):
    """Sent behind a request, as old browsers did: that is no request begun."""
    proxy = lb([backend()], listener="header_timeout = 4s\n")
    c = client(proxy)
    with standing_still(proxy):
        c.request("POST", body=b"x").send(b"\r\n")
        arrived(c.sock)
    assert c.response().status == 200
    begin = time.monotonic()
    proxy.signal(signal.SIGTERM)
    assert c.at_end() and proxy.wait() == 0
    assert time.monotonic() - begin < 2
    assert len(proxy.access()) == 1


def test_every_descriptor_is_closed_on_exec(lb, backend, tmp_path):
    """Those of a unix socket that several workers share, too."""
    proxy = lb([backend()], listener=f"bind = unix:{tmp_path}/u\n", workers=3, admin=True)
    inherited = []
    for info in pathlib.Path(f"/proc/{proxy.pid}/fdinfo").iterdir():
        flags = int(re.search(r"^flags:\s+(\d+)", info.read_text(), re.M).group(1), 8)
        if int(info.name) > 2 and not flags & os.O_CLOEXEC:
            inherited.append(os.readlink(f"/proc/{proxy.pid}/fd/{info.name}"))
    assert not inherited


def start(folder, text, *prefix):
    """A start that should fail; -> exit code, stderr."""
    (folder / "lb.ini").write_text(text)
    env = {**environment(), "ASAN_OPTIONS": "detect_leaks=0"}  # its leak check needs files
    r = subprocess.run([*prefix, str(build_of()), "-c", "lb.ini"], text=True, timeout=10,
                       stdin=subprocess.DEVNULL, capture_output=True, cwd=folder, env=env,
                       check=False)
    return r.returncode, r.stderr


def test_a_failed_start_leaves_no_socket_file(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        code, stderr = start(tmp_path, "[global]\ncontrol = ctl\n[listener a]\n"
                             f"bind = unix:{tmp_path}/u\nbind = {bind}\n"
                             "[pool w]\nbackend = 127.0.0.1:9\n")
    assert code == 1 and bind in stderr.splitlines()[-1]
    assert [p.name for p in tmp_path.iterdir()] == ["lb.ini"]


# With these limits it is not libevent that gives up first, and ends the process.
FEW_FILES = range(9, 15)
FEW = """[global]
control = ctl
workers = 2
access_log = a.log
[admin]
listen = 127.0.0.1:0
[listener a]
bind = 127.0.0.1:0
bind = unix:{folder}/u
[pool w]
backend = 127.0.0.1:9
"""


@pytest.mark.parametrize("files", FEW_FILES)
def test_start_with_few_descriptors(tmp_path, tool, files):
    """Ends with a sentence; nothing is used that was not made, nothing is left."""
    code, stderr = start(tmp_path, FEW.format(folder=tmp_path),
                         tool("prlimit"), f"--nofile={files}:{files}")
    last = stderr.splitlines()[-1]
    assert code == 1 and last.startswith("evenkeel: "), stderr
    assert "runtime error" not in stderr and "Sanitizer" not in stderr, stderr
    assert {p.name for p in tmp_path.iterdir()} <= {"lb.ini", "a.log"}
