"""10,000 backends in one pool: the start, the verbs and the pages stay cheap.

Instructions are counted, so noise of the machine cannot touch them: ten times
the backends may cost 13 times as much, which is room for logarithms and none
for a loop in a loop.  The limits are some 20 % above what was measured.
"""
import json
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.request

import pytest

import measure
from harness import build_of, until

FEW, MANY = 1000, 10000
# A page has to be served within HTTPD_TIMEOUT_MS, also under callgrind.
FEW_SHOWN, MANY_SHOWN = 300, 3000
GROWTH = 13
READY_MS = 300
RELOAD_MS = 100
SWAP_US = 1000
STARTS = 8
# Millions of instructions of so many backends.
LIMITS = {"check": 120, "config": 64, "start and stop": 180, "status": 20, "metrics": 54,
          "metrics of pairs": 11}
FIGURES = measure.ROOT / "build" / "log" / "gauge.txt"


def config(backends, health="off", admin=False):
    lines = "".join(f"backend = 127.{i // 62500 + 1}.{i // 250 % 250}.{i % 250 + 1}:9\n"
                    for i in range(backends))
    pages = "[admin]\nlisten = 127.0.0.1:0\n" if admin else ""
    return (f"[global]\nworkers = 2\n{pages}[listener main]\nbind = 127.0.0.1:0\n"
            f"[pool web]\nhealth = {health}\n{lines}")


def pairs(n):
    """`n` listeners and `n` pools."""
    return ("[global]\nworkers = 2\n[admin]\nlisten = 127.0.0.1:0\n" +
            "".join(f"[listener l{i}]\nbind = 127.0.1.{i + 1}:0\npool = p{i}\n"
                    f"[pool p{i}]\nbackend = 127.1.0.{i + 1}:9\nhealth = off\n"
                    for i in range(n)))


@pytest.fixture(name="folder")
def fixture_folder():
    folder = measure.OUT / "scale"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def counted(out):
    return int(re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.M).group(1))


def callgrind(out):
    if not shutil.which("valgrind"):
        pytest.skip("valgrind is not installed")
    return ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"]


def verb(folder, name, backends):
    """Instructions of `evenkeel NAME`."""
    out, file = folder / "callgrind", folder / "lb.ini"
    file.write_text(config(backends))
    subprocess.run([*callgrind(out), build_of("release"), "-c", file, name],
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True,
                   timeout=100)
    return counted(out)


class Started:
    """An evenkeel under `prefix` that has said READY=1, however long that took."""

    def __init__(self, folder, text, prefix=()):
        text = text.replace("[global]\n", f"[global]\ncontrol = {folder}/ctl\n")
        (folder / "lb.ini").write_text(text)
        self.errors = folder / "stderr"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, \
                open(self.errors, "wb") as errors:
            (folder / "notify").unlink(missing_ok=True)
            notify.bind(str(folder / "notify"))
            notify.settimeout(100)
            begun = time.monotonic()
            self.process = subprocess.Popen(
                [*prefix, build_of("release"), "-c", folder / "lb.ini", "run"], stderr=errors,
                env={**os.environ, "NOTIFY_SOCKET": str(folder / "notify")})
            try:
                while b"READY=1" not in notify.recv(4096):
                    pass
            except OSError:
                self.process.kill()
                raise
            self.ms = (time.monotonic() - begun) * 1000

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(100)
        finally:
            self.process.kill()

    def page(self, path):
        port = until(lambda: re.search(r"admin on .*:(\d+)$", self.errors.read_text(), re.M),
                     "the admin address").group(1)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=100) as answer:
            return answer.read()


def served(folder, text, page=None, times=0):
    """Instructions of a start, so many answers with `page`, and a stop."""
    out = folder / "callgrind"
    with Started(folder, text, callgrind(out)) as lb:
        for _ in range(times):
            assert lb.page(page).count(b"127.1.0.1:9") > 0
    return counted(out)


def page_cost(folder, text, page):
    """Of the second answer: the first one finds out how large it is."""
    return served(folder, text, page, 2) - served(folder, text, page, 1)


def show(name, value, more=""):
    line = f"{name:26} {value / 1e6:10.1f} million instructions (limit {LIMITS[name]}){more}\n"
    print(line, end="")
    FIGURES.parent.mkdir(parents=True, exist_ok=True)
    with open(FIGURES, "a", encoding="utf-8") as f:
        f.write(line)
    assert value <= LIMITS[name] * 1e6, line


def within(name, few, many):
    show(name, many, f", {many / few:.1f} times those of a tenth of the backends")
    assert many <= GROWTH * few


@pytest.mark.parametrize("name", ["check", "config"])
def test_verbs(folder, name):
    within(name, verb(folder, name, FEW), verb(folder, name, MANY))


def test_start(folder):
    within("start and stop", served(folder, config(FEW)), served(folder, config(MANY)))


@pytest.mark.parametrize("page", ["status", "metrics"])
def test_pages(folder, page):
    few, many = (config(n, admin=True) for n in (FEW_SHOWN, MANY_SHOWN))
    within(page, page_cost(folder, few, page), page_cost(folder, many, page))


def test_pairs(folder):
    """100 listeners and 100 pools, of 10,000 pairs of which no request is known."""
    show("metrics of pairs", page_cost(folder, pairs(100), "metrics"))


@pytest.mark.parametrize("health", ["off", "tcp"])
def test_ready_in_time(folder, health):
    """The best of some starts: a busy machine makes most of them late."""
    best = float("inf")
    for _ in range(STARTS):
        with Started(folder, config(MANY, health)) as lb:
            best = min(best, lb.ms)
        if best <= READY_MS:
            break
    print(f"ready after {best:.0f} ms, health = {health}")
    assert best <= READY_MS


def last_reload(lb, folder, text):
    """What the status says of a reload to that configuration."""
    (folder / "lb.ini").write_text(text.replace("[global]\n", f"[global]\ncontrol = {folder}/ctl\n"))
    subprocess.run([build_of("release"), "-c", folder / "lb.ini", "reload"],
                   stdout=subprocess.DEVNULL, check=True, timeout=100)
    return json.loads(lb.page("status"))["last_reload"]


def test_reload_in_time(folder):
    """From few backends to many: the best of some, as above.  No worker notices."""
    took, swap = [], []
    with Started(folder, config(FEW_SHOWN, admin=True)) as lb:
        for i in range(STARTS):
            said = last_reload(lb, folder, config(MANY + i, admin=True))
            took.append(said["took_ms"])
            swap.append(said["swap_us"])
            if took[-1] <= RELOAD_MS and swap[-1] <= SWAP_US:
                break
            last_reload(lb, folder, config(FEW_SHOWN, admin=True))
    print(f"in force after {min(took)} ms, {min(swap)} us of a worker's time")
    assert min(took) <= RELOAD_MS and min(swap) <= SWAP_US
