"""A reload in which every n-th allocation or call fails: one configuration is in force, whole.

Needs evenkeel_faults (test/fault).  EVENKEEL_FAULTS=full tries each n with every error;
./dev test takes a part of them.
"""
import os
import signal

import pytest

from harness import Backend, Broken, Client, Evenkeel, metrics, until
from harness.backend import answer
from harness.faults import Board, fault_build
from harness.health import scrape, status
from harness.reload import answers

FULL = os.environ.get("EVENKEEL_FAULTS") == "full"
# In short: each n-th of so many, beginning with another one for each kind.
STRIDE = {"calls": 2, "allocs": 3}
# Beyond what was counted, as other threads count, too.
MARGIN = 3
# A fault may have cost the line that says how it ended; nothing is told by that.
SAID_S = 0.5

pytestmark = [pytest.mark.skipif(not fault_build().exists(), reason=f"no {fault_build()}"),
              pytest.mark.plain_only("it asks each socket of a listener in a way of its own")]

CONFIG = """
[global]
workers = 1
shutdown_timeout = 5s
log = {log}
access_log = {folder}/{name}.access
[admin]
listen = 127.0.0.1:0
[listener main]
bind = {main}
bind = {own}
bind = unix:{folder}/{name}.front
pool = web
[pool web]
keepalive = 0
health = tcp
health_interval = 1h
health_fall = 1000
eject_failures = 0
{options}
backend = {address} name={name}
{more}
"""


class Pair:
    """Two configurations that share one bind and the admin listener, and little else."""

    def __init__(self, folder, free):
        self.folder, self.board = folder, Board(folder / "board")
        self.backends = [Backend(self.named(n), deadline_s=600) for n in ("a", "b")]
        self.main, self.own = free(), [free(), free()]
        logs = ("stderr", f"{folder}/b.log")
        extra = ("", f"slow_start = 5s\nbalance = least_connections\n"
                     f"[pool other]\nbackend = {self.backends[0].address}\n")
        self.texts = []
        for i, name in enumerate("ab"):
            options, _, more = extra[i].partition("[pool")
            self.texts.append(CONFIG.format(
                folder=folder, name=name, log=logs[i], main=at(self.main),
                own=at(self.own[i]), address=self.backends[i].address, options=options,
                more="[pool" + more if more else ""))
        self.lb = Evenkeel(folder, self.texts[0], binary=fault_build(), env=self.board.env)
        self.board.ready()
        self.served = 0
        self.made = 0  # of a kind, in the last reload
        self.files = self.at_rest()

    @staticmethod
    def named(name):
        def script(conn):
            while True:
                conn.request()
                conn.send(answer(name.encode()))
        return script

    def at_rest(self):
        """How many descriptors it has when nobody is there and no check is under way."""
        def over():
            found = metrics.parse(c.ask(target="/metrics").body.decode())
            return found["evenkeel_health_checks_total"].total() >= 1 and \
                found["evenkeel_connections"].total() == 0
        with Client(self.lb.admin_port) as c:
            until(over, "the first check, and its end")
            return self.lb.open_files() - 1

    def said(self):
        """How often the logs told of the end of a reload."""
        text = self.lb.stderr()
        if (self.folder / "b.log").exists():
            text += (self.folder / "b.log").read_text(errors="replace")
        return text.count("reload (SIGHUP) applied") + text.count("reload (SIGHUP) refused")

    def records(self, name):
        path = self.folder / f"{name}.access"
        return path.read_text(errors="replace").count("\n") if path.exists() else 0

    def recorded(self):
        """How many records each has, when all are written."""
        def counts():
            return [self.records(name) for name in "ab"]
        until(lambda: sum(counts()) == self.served,
              lambda: f"{self.served} records, there are {counts()}")
        return counts()

    def ask(self, target):
        """The file, and the signal."""
        fresh = self.folder / "lb.ini.new"
        fresh.write_text(self.lb._complete(self.texts[target]))
        fresh.rename(self.lb.file)
        before = self.said()
        self.lb.signal(signal.SIGHUP)
        return before

    def asked(self, place):
        """Who answers there; None: nobody takes the connection, or it breaks."""
        try:
            with Client(place, deadline_s=5) as c:
                r = c.ask()
        except (ConnectionError, FileNotFoundError, Broken):
            return None
        assert r.status == 200, (r.status, r.body)
        self.served += 1
        return r.body.decode()

    def whole(self, among=(0, 1)):
        """Which configuration serves, with all it says and nothing of the other; or None."""
        body = self.asked(self.main)
        assert body is not None, "it does not serve"
        i = "ab".index(body)
        here, gone = "ab"[i], "ab"[1 - i]
        good = i in among and \
            not answers(self.own[1 - i]) and not answers(str(self.folder / f"{gone}.front")) and \
            self.asked(self.own[i]) == self.asked(str(self.folder / f"{here}.front")) == here
        return (i,) if good else None

    def in_force(self, among=(0, 1)):
        """Waits until one of them is in force as a whole, its access log included."""
        i, = until(lambda: self.whole(among), lambda: f"one of {among} as a whole")
        before = self.recorded()
        assert self.whole((i,)), "it was another one again"
        after = self.recorded()
        assert after[1 - i] == before[1 - i], "a record in the other log"
        return i

    def reload(self, target):
        """Without a fault: it must go well."""
        before = scrape(self.lb)["evenkeel_reloads_total"].total(result="applied")
        self.ask(target)
        until(lambda: scrape(self.lb)["evenkeel_reloads_total"].total(result="applied") > before,
              "an applied reload")

    def faulty(self, kind, nth, variant):
        """One reload with a fault; -> whether it struck."""
        target = 1 - self.in_force()
        self.board.arm(kind, nth, 1, variant)
        before = self.ask(target)
        try:
            until(lambda: self.said() > before, "a word", SAID_S)
        except AssertionError:
            assert nth == 0 or self.board.failed(kind), "no fault, but no word"
        self.board.disarm()
        self.made = self.board.count(kind)
        try:
            assert self.lb.process.poll() is None, "the process ended"
            if self.in_force() != target:
                self.reload(target)
            assert self.in_force((target,)) == target
        except Exception as e:
            raise AssertionError(
                f"{kind} {nth}, variant {variant} ({self.board.last(kind)}), to "
                f"{'ab'[target]}: {e!r}\n{self.lb.stderr()[-3000:]}") from e
        return self.board.failed(kind) > 0

    def count(self, kind):
        """How many of a kind a reload makes, there and back."""
        most = 0
        for _ in range(4):
            self.faulty(kind, 0, 0)
            most = max(most, self.made)
        return most

    def settled(self):
        """As at the beginning: nothing is left of all that."""
        if self.in_force() != 0:
            self.reload(0)
        until(lambda: status(self.lb)["snapshots"] == 1, "one snapshot")
        until(lambda: self.lb.open_files() == self.files,
              lambda: f"{self.files} descriptors, there are {self.lb.open_files()}")

    def stop(self):
        self.lb.stop()
        for b in self.backends:
            b.stop()


def at(place):
    return f"{place[0]}:{place[1]}"


@pytest.fixture
def pair(tmp_path, address):
    made = Pair(tmp_path, address)
    yield made
    made.stop()


@pytest.mark.parametrize("kind", ["calls", "allocs"])
def test_the_old_or_the_new_one_is_in_force(pair, kind):
    """Whatever fails in a reload; and one without a fault goes well after it."""
    most = pair.count(kind)
    struck = 0
    step = 1 if FULL else STRIDE[kind]
    for nth in range(1, most + MARGIN + 1, step):
        variant = 0 if FULL else nth // step % 2
        # There, and in full also back.
        while pair.faulty(kind, nth, variant) and (not FULL or pair.faulty(kind, nth, variant)):
            struck += 1
            variant += 1
            if not FULL or kind == "allocs" or variant >= pair.board.variants():
                break
    refused = scrape(pair.lb)["evenkeel_reloads_total"].total(result="refused")
    assert struck > most // step // 2, f"{struck} of {most} failed: the hook is not at work"
    assert refused > 0, "nothing that failed was told"
    pair.settled()
