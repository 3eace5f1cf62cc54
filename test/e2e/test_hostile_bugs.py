"""Found by hostile tests; each fails until the product is repaired."""
import socket
import subprocess
import threading
import time

from harness import Evenkeel, build_of, ini, until
from harness.proxy import environment

GOOD = "[listener a]\nbind = 127.0.0.1:0\n[pool p]\nbackend = 127.0.0.1:9\n"


def test_a_freed_place_is_used_at_once(lb, backend, client):
    """max_connections = 1: the next client is accepted when one leaves, not 300 ms later."""
    proxy = lb([backend()], top="max_connections = 1\n")
    start = time.monotonic()
    for _ in range(10):
        c = client(proxy)
        assert c.ask().status == 200
        c.close()
    assert time.monotonic() - start < 1.5  # takes 2.7 s: nine times the 300 ms of a timer


def test_waiting_clients_follow_each_other(lb, backend, client):
    proxy = lb([backend()], top="max_connections = 2\n", workers=2)
    clients = [client(proxy).request(fields=["Connection: close"]) for _ in range(20)]
    start = time.monotonic()

    def work(c):
        assert c.response().status == 200
        c.close()
    threads = [threading.Thread(target=work, args=(c,)) for c in clients]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert time.monotonic() - start < 1.5  # takes 2.4 s


def test_ready_is_said_at_every_start(backend, tmp_path):
    """A line handed to the log while its writer falls asleep is not left lying."""
    text, errors = ini([backend(), "127.0.0.1:9"]), []

    def starts(k):
        try:
            for i in range(60):
                folder = tmp_path / f"{k}-{i}"
                folder.mkdir()
                Evenkeel(folder, text).stop()  # "not within 10 s: evenkeel ready"
        except AssertionError as e:
            errors.append(e)
    threads = [threading.Thread(target=starts, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors, errors[0]


def test_output_that_cannot_be_written(tmp_path):
    """A full device is not success."""
    (tmp_path / "lb.ini").write_text(GOOD)
    for args in (["config", "--defaults"], ["--help"], ["--version"], ["check"]):
        with open("/dev/full", "wb") as full:
            r = subprocess.run([str(build_of()), *args], stdout=full, stderr=subprocess.PIPE,
                               cwd=tmp_path, env=environment(), timeout=10, check=False)
        assert r.returncode != 0, args


def test_control_path_that_is_too_long(tmp_path):
    """A usage error, said before anything is bound."""
    r = subprocess.run([str(build_of()), "--control", "x" * 200, "0", "3000"], text=True,
                       capture_output=True, cwd=tmp_path, env=environment(), timeout=10,
                       check=False)
    assert r.returncode == 2 and "listening" not in r.stderr


def test_verbs_pass_silent_control_connections(lb, backend):
    """300 connections that say nothing: an operator's `status` is still answered."""
    proxy = lb([backend()])
    silent = []
    for _ in range(300):
        s = socket.socket(socket.AF_UNIX)
        s.setblocking(False)
        s.connect_ex(str(proxy.control))
        silent.append(s)
    until(lambda: proxy.verb("status").returncode == 0, "an answer to status", 3)
    for s in silent:
        s.close()
