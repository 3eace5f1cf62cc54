"""
Every fault x method x body x fresh or reused connection, with one backend and
with a good one beside it.  What must come of each is fault_model.py; how the
backends fail is lab.py.

One evenkeel serves the whole table, with a pool and a route a row: a row sees
its own rotation, idle connections, and budget.
"""
import itertools
import json
import time

import pytest

from fault_model import ALL_RETRY_ON, DEFAULT_RETRY_ON, Row, courses
from harness import Broken, Client, Evenkeel, until
from harness.proxy import REPORTS
from lab import BODIES, LIMIT_BYTES, PART, WARM, Fault, Lab, good_body

OPTIONS = f"""connect_timeout = 300ms
stream_timeout = 300ms
request_timeout = 8s
retry_base = 5ms
retry_cap = 20ms
retry_body_limit = {LIMIT_BYTES}
health = off
eject_failures = 0
"""
STALL = "500ms"  # response_timeout where a row waits for it: far above what B takes
CAP_MS = 20
LATE_MS = 250  # a wait may be so much longer on a busy machine
STEADY_S = 0.9  # until then a connection is fit for a request that is not idempotent

# (method, Idempotency-Key, body)
BODILESS = [("GET", False, "none"), ("POST", False, "none")]
ALIKE = [(m, False, "none") for m in ("HEAD", "OPTIONS", "DELETE", "PUT", "PATCH")]
WITH_BODY = [("PUT", False, "small"), ("PUT", False, "over"), ("POST", False, "small"),
             ("POST", False, "over"), ("POST", True, "small"), ("POST", True, "over")]
SOME_BODY = [("GET", False, "small"), ("DELETE", False, "small"), ("DELETE", False, "over"),
             ("PATCH", False, "small"), ("PATCH", True, "small")]
MANY = BODILESS + WITH_BODY
REQUESTS = BODILESS + ALIKE + WITH_BODY + SOME_BODY

STATUSES = ("500 Internal Server Error", "502 Bad Gateway", "503 Service Unavailable",
            "504 Gateway Timeout", "429 Too Many Requests")


def rows(faults, requests, reuse=(False, True), backends=(1, 2), **more):
    for fault, (method, key, body), reused, count in \
            itertools.product(faults, requests, reuse, backends):
        if body == "none" and fault.where in ("head", "mid_body"):
            continue  # the head is the whole request
        if method == "HEAD" and fault.where == "resp_body":
            continue  # has none
        yield Row(fault, method, body, reused, count, key=key, **more)


def faults(wheres, hows):
    return [Fault(w, h) for w in wheres for h in hows]


def retry_after(*values, status="503 Service Unavailable"):
    return [Fault("answer", status, (f"Retry-After: {v}",)) for v in values]


ENDS = ("close", "reset")
TABLE = [
    *rows(faults(["unread", "request"], ENDS), REQUESTS),
    *rows(faults(["head", "mid_body"], ENDS), WITH_BODY + SOME_BODY),
    *rows(faults(["resp_head"], ENDS), MANY + ALIKE),
    *rows(faults(["resp_body"], ENDS), MANY),
    *rows(faults(["answer"], ["garbage"]), MANY),
    *rows(faults(["answer"], STATUSES), MANY),
    *rows(faults(["answer"], STATUSES), BODILESS + [("POST", True, "small")], reuse=(False,),
          retry_on=ALL_RETRY_ON),
    *rows(faults(["answer"], [STATUSES[2]]), ALIKE),
    *rows(retry_after("0", "5", "PAST", "LATER", "soon"), BODILESS + WITH_BODY[:1]),
    *(row for status in (STATUSES[1], STATUSES[4])
      for row in rows(retry_after("0", "5", status=status), BODILESS, reuse=(False,),
                      retry_on=ALL_RETRY_ON)),
    # a wait for each: few requests, and one retry where the fault stays
    *rows(faults(["unread", "request"], ["stall"]),
          [("GET", False, "none"), ("POST", False, "small"), ("POST", True, "over"),
           ("PUT", False, "small")], retry_attempts=1),
    *rows(faults(["mid_body", "resp_head"], ["stall"]),
          [("PUT", False, "small"), ("POST", False, "small")], reuse=(False,), retry_attempts=1),
    *rows(faults(["resp_body"], ["stall"]), BODILESS, backends=(2,)),
    *rows(faults(["connect"], ["refuse"]), REQUESTS, reuse=(False,)),
    *rows(faults(["connect"], ["silence"]),
          [("GET", False, "none"), ("POST", False, "small"), ("PUT", False, "over")],
          reuse=(False,), retry_attempts=1),
    # the keys
    *rows(faults(["request", "resp_head"], ["reset"]), MANY, backends=(1, 2),
          non_idempotent=True),
    *rows([Fault("connect", "refuse")], MANY, reuse=(False,),
          non_idempotent=True),
    *rows([Fault("request", "reset"), Fault("answer", STATUSES[2]), Fault("connect", "refuse")],
          MANY, reuse=(False,), retry_attempts=0),
    *rows([Fault("request", "reset"), Fault("answer", STATUSES[2])], BODILESS,
          retry_attempts=10),
    *(row for left_out in ("connect", "reset", "timeout", "502", "503", "504")
      for row in rows([Fault("connect", "refuse"), Fault("request", "reset"),
                       Fault("answer", "garbage"), Fault("answer", STATUSES[1]),
                       Fault("answer", STATUSES[2]), Fault("answer", STATUSES[3])],
                      [("GET", False, "none")], reuse=(False,), backends=(2,),
                      retry_on=tuple(c for c in ("connect", "reset", "timeout", "502", "503",
                                                 "504") if c != left_out))),
]


def addresses(row, lab):
    bad = {"refuse": lab.refusing, "silence": lab.silent}
    first = (f"127.0.0.1:{bad[row.fault.how][0]}" if row.fault.where == "connect"
             else lab.backends["A"].address)
    return [f"{first} name=A", f"{lab.backends['B'].address} name=B"][:row.backends]


def pool_text(number, row, lab):
    backends = "".join(f"backend = {a}\n" for a in addresses(row, lab))
    own = (f"retry_attempts = {row.retry_attempts}\nretry_on = {', '.join(row.retry_on)}\n"
           f"response_timeout = {STALL if row.fault.how == 'stall' else '3s'}\n"
           f"retry_non_idempotent = {'yes' if row.non_idempotent else 'no'}\n")
    return (f"[route r{number}]\nhost = r{number}.test\npool = p{number}\n"
            f"[pool p{number}]\n{backends}{OPTIONS}{own}")


def configuration(lab):
    parts = ["[global]\nworkers = 1\nshutdown_timeout = 5s\naccess_log = access.log\n"
             "access_log_format = json\n[listener main]\nbind = 127.0.0.1:0\npool = after\n",
             f"[pool after]\nbackend = {lab.backends['B'].address}\nhealth = off\n"]
    parts += [pool_text(i, row, lab) for i, row in enumerate(TABLE)]
    return "".join(parts)


class Bench:
    """The proxy of the table; another one when a row ended it."""

    def __init__(self, folders):
        self.lab, self.folders = Lab(), folders
        self.proxy, self.read_to, self.stderr_to = None, 0, 0
        self.start()

    def start(self):
        self.read_to = self.stderr_to = 0
        self.proxy = Evenkeel(self.folders.mktemp("lb"), configuration(self.lab))

    def check_alive(self):
        """No report of a sanitizer since the last row, and the process is there."""
        text = self.proxy.stderr()[self.stderr_to:]
        self.stderr_to += len(text)
        if self.proxy.process.poll() is not None:
            self.start()
            raise AssertionError(f"evenkeel ended:\n{text[-8000:]}")
        assert not REPORTS.search(text), text[-8000:]

    def record(self, target):
        """The access record of that request."""
        def find():
            try:
                with open(self.proxy.access_path, encoding="utf-8") as f:
                    f.seek(self.read_to)
                    text = f.read()
            except FileNotFoundError:
                return None
            for line in text[:text.rfind("\n") + 1].splitlines():
                record = json.loads(line)
                if record["target"] == target:
                    return record
            return None
        return until(find, f"the access record of {target}")

    def skip_records(self):
        self.read_to = self.proxy.access_path.stat().st_size \
            if self.proxy.access_path.exists() else 0

    def stop(self):
        try:
            self.proxy.stop()
        finally:
            self.lab.stop()


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    made = Bench(tmp_path_factory)
    yield made
    made.stop()


def ask(client, row, number, target, play):
    """-> (Message or None, True when it broke off)."""
    fields = ["Idempotency-Key: 1"] if row.key else []
    client.request(row.method, target, fields, BODIES[row.body], host=f"r{number}.test")
    try:
        if row.fault.where == "resp_body":
            client.stream.need(lambda b: PART in b)
            play.committed.open()
        return client.response(row.method), False
    except Broken as e:
        return e.message, True


def run(bench, row, number):
    """The request, again when the picker began with the good backend."""
    for again in range(3):
        target = f"/r{number}-{again}"
        play = bench.lab.play(target, None if row.fault.where == "connect" else row.fault,
                              body=BODIES[row.body])
        bench.skip_records()
        client = Client(bench.proxy.port)
        try:
            warm_at = time.monotonic()
            for i in range(row.backends if row.reused else 0):
                r = client.ask(target=f"{WARM}-{number}-{again}-{i}", host=f"r{number}.test")
                assert r.status == 200
            response, broken = ask(client, row, number, target, play)
            busy = row.reused and time.monotonic() - warm_at > STEADY_S and not row.idempotent
            record = bench.record(target)
            follow_up(bench, client, response, broken)
        finally:
            client.close()
            play.end()
        first = record["attempts"][0]["backend"] if record["attempts"] else ""
        began_well = row.fault.where == "connect" and row.backends == 2 and first == "B"
        if not began_well and not busy:
            break
    return play, response, broken, record


def follow_up(bench, client, response, broken):
    """What is left on the client's connection disturbs nobody."""
    if broken or response is None or "close" in response.tokens("connection"):
        return
    target = "/after"
    bench.lab.play(target)
    r = client.ask(target=target)
    assert r.status == 200 and r.body == good_body("B", b"")


def renamed(play, name):
    """The model's name of a backend: A is the faulty one."""
    if not play.faulty or play.fault is None:
        return name
    return "A" if name == play.faulty else "B"


def fits(course, row, play, response, broken, record):
    """None, or what differs."""
    attempts = [(renamed(play, a["backend"]), a["outcome"], a["reused"])
                for a in record["attempts"]]
    same = len(attempts) == len(course.attempts) and all(
        got[0] == at and got[1] in outcomes and reused in (None, got[2])
        for got, (at, outcomes, reused) in zip(attempts, course.attempts))
    status = response.status if response else 0
    checks = [
        ("attempts", same, attempts, course.attempts),
        ("status", status == course.status == record["status"],
         (status, record["status"]), course.status),
        ("broken", broken == course.broken, broken, course.broken),
        ("retries", record["retries"] == course.retries, record["retries"], course.retries),
        ("end", record["end"] in course.ends, record["end"], course.ends),
        ("executions", len(play.executed) == course.executed, play.executed, course.executed),
        ("body", body_fits(course, row, play, response, record), response and response.body, course.by),
    ]
    return [f"{what}: got {got}, expected {want}" for what, ok, got, want in checks if not ok]


def body_fits(course, row, play, response, record):
    if response is None:
        return False
    if course.by == "A" and not course.broken:
        return response.one("x-fault") == "yes" and \
            response.body == (b"" if row.method == "HEAD" else b"fault")
    if course.by == "A":
        return response.body == PART
    if course.by == "B" and row.method != "HEAD":
        return response.body == good_body(record["backend"], play.body)
    return True


@pytest.mark.parametrize("number", range(len(TABLE)), ids=lambda i: str(TABLE[i]))
def test_row(bench, number):
    row = TABLE[number]
    play, response, broken, record = run(bench, row, number)
    bench.check_alive()
    differences = [fits(c, row, play, response, broken, record) for c in courses(row)]
    assert [] in differences, \
        f"{min(differences, key=len)}\n{record}\n{play.arrivals}"
    assert not play.wrong, play.wrong
    check_always(row, play, record)


def check_always(row, play, record):
    """What holds for every row, whatever the model says."""
    if not row.idempotent:
        assert len(play.executed) <= 1, "a request that is not idempotent was repeated"
        assert len(play.arrivals) <= 1, "bytes of it reached two backends"
    for i, a in enumerate(record["attempts"]):
        before = record["attempts"][i - 1]["outcome"] if i else ""
        most = 0 if before in ("", "stale") else CAP_MS
        assert 0 <= a["wait_ms"] <= most + LATE_MS, (i, record["attempts"])


def test_the_table_is_large():
    assert len({str(row) for row in TABLE}) >= 600


def test_the_model_keeps_the_promises():
    """What the table expects, against the two sentences that matter most."""
    safe = 0
    for row in TABLE:
        code = row.fault.how.split()[0]
        named = set(DEFAULT_RETRY_ON) <= set(row.retry_on) and \
            (not code.isdigit() or code in row.retry_on)
        for course in courses(row):
            assert row.idempotent or course.executed <= 1, row
            if row.idempotent and row.replayable and row.backends == 2 and \
                    row.retry_attempts and named and row.fault.where != "resp_body":
                assert course.status == 200 and course.by == "B", row
                safe += 1
    assert safe > 200
