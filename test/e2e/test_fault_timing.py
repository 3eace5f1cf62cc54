"""
When a failed request is tried again, how often, and when no more: backoff,
Retry-After, the limits on time, the budget, and what metrics say of it.
"""
import signal
import time

import pytest

from harness import Client, until
from harness.metrics import parse
from lab import Fault

QUIET = "health = off\neject_failures = 0\n"
BUSY = Fault("answer", "503 Service Unavailable")
SILENT = Fault("request", "stall")
RESET = Fault("request", "reset")
EARLY_MS, LATE_MS = 1, 10
TRIES = 12  # of what a busy machine may disturb


def keys(**options):
    return QUIET + "".join(f"{k} = {v}\n" for k, v in options.items())


def later(*headers):
    return Fault("answer", BUSY.how, headers)


def outcomes(record):
    return [a["outcome"] for a in record["attempts"]]


def gaps_ms(play):
    """[(at least, at most)] between the end of an answer and the next arrival."""
    pairs = zip(play.arrivals, play.arrivals[1:])
    return [((b.at - a.answered_at) * 1000, (b.at - a.answering_at) * 1000) for a, b in pairs]


def never_early(play, want_ms):
    gaps = gaps_ms(play)
    assert len(gaps) == len(want_ms), gaps
    assert all(most >= want - EARLY_MS for (_, most), want in zip(gaps, want_ms)), gaps


def in_time(play, want_ms):
    return all(least <= want + LATE_MS for (least, _), want in zip(gaps_ms(play), want_ms))


def metrics(proxy):
    with Client(proxy.admin_port) as c:
        return parse(c.ask(target="/metrics").body.decode())


# --- backoff ------------------------------------------------------------------

@pytest.mark.parametrize("fault", [BUSY, later("Retry-After: 0"), later("Retry-After: PAST")],
                         ids=str)
def test_waits_double_up_to_the_cap(lab, lb, client, fault):
    """Never early; and on time unless the machine is busy, so the best of some tries."""
    bed = lab("A")
    proxy = lb(bed.all(), pool=keys(retry_attempts=5, retry_base="40ms", retry_cap="200ms",
                                    retry_jitter="none"))
    want = [40, 80, 160, 200, 200]
    for i in range(TRIES):
        play = bed.play(f"/{i}", fault)
        assert client(proxy).ask(target=play.target).status == 503
        never_early(play, want)
        record = proxy.access(i + 1)[-1]
        waits = [a["wait_ms"] for a in record["attempts"]]
        assert all(w >= g - EARLY_MS for w, g in zip(waits, [0, *want])), waits
        if in_time(play, want) and all(w <= g + LATE_MS for w, g in zip(waits, [0, *want])):
            return
    raise AssertionError(f"late {TRIES} times out of {TRIES}, at last {gaps_ms(play)}, {waits}")


@pytest.mark.parametrize("jitter, least", [("full", 0), ("equal", 20)])
def test_jitter_spreads_the_waits(lab, lb, client, jitter, least):
    """Over [least, 40] ms: none below, and soon some in the first and the last quarter."""
    bed, quarter = lab("A"), (40 - least) / 4
    proxy = lb(bed.all(), pool=keys(retry_attempts=1, retry_base="40ms", retry_cap="40ms",
                                    retry_jitter=jitter, retry_budget="100%"))
    c = client(proxy)
    for i in range(TRIES * 20):
        bed.play(f"/{i}", BUSY)
        assert c.ask(target=f"/{i}").status == 503
        waits = [r["attempts"][1]["wait_ms"] for r in proxy.access(i + 1)]
        assert min(waits) >= least - EARLY_MS, waits
        if i >= 20 and min(waits) <= least + quarter and max(waits) >= 40 - quarter:
            break
    else:
        raise AssertionError(f"not spread: {sorted(waits)}")
    assert sum(w <= 40 + LATE_MS for w in waits) >= len(waits) / 2, sorted(waits)


def test_the_first_wait_can_be_left_out(lab, lb, client):
    """For another backend; the second retry waits as usual."""
    bed = lab("A", "B", "C")
    proxy = lb(bed.all(), pool=keys(retry_attempts=2, retry_base="150ms", retry_cap="1s",
                                    retry_jitter="none", retry_first_wait="no"))
    play = bed.play("/", BUSY, everywhere=True)
    assert client(proxy).ask().status == 503
    never_early(play, [0, 300])
    assert sorted(a.backend for a in play.arrivals) == ["A", "B", "C"]
    waits = [a["wait_ms"] for a in proxy.access(1)[0]["attempts"]]
    assert waits[1] < 100 and waits[2] >= 299, waits


def test_the_first_wait_is_there_for_the_same_backend(lab, lb, client):
    bed = lab("A")
    proxy = lb(bed.all(), pool=keys(retry_base="150ms", retry_cap="1s", retry_jitter="none",
                                    retry_first_wait="no"))
    play = bed.play("/", BUSY, times=1)
    assert client(proxy).ask().status == 200
    never_early(play, [150])


def test_all_backends_are_tried_before_one_is_tried_again(lab, lb, client):
    bed = lab("A", "B", "C")
    proxy = lb(bed.all(), pool=keys(retry_attempts=4, retry_base="1ms", retry_cap="1ms",
                                    retry_budget="100%"))
    for i in range(6):
        play = bed.play(f"/{i}", BUSY, everywhere=True)
        assert client(proxy).ask(target=play.target).status == 503
        assert len(play.arrivals) == 5
        assert sorted(a.backend for a in play.arrivals[:3]) == ["A", "B", "C"], play.arrivals


# --- Retry-After ---------------------------------------------------------------

def test_retry_after_is_waited_for(lab, lb, client):
    bed = lab("A")
    proxy = lb(bed.all(), pool=keys(retry_base="1ms", retry_cap="2s"))
    play = bed.play("/", later("Retry-After: 1"), times=1)
    assert client(proxy).ask().status == 200
    never_early(play, [1000])


def test_retry_after_speaks_of_that_backend_alone(lab, lb, client):
    bed = lab("A", "B")
    proxy = lb(bed.all(), pool=keys(retry_base="1ms", retry_cap="5s"))
    bed.play("/", later("Retry-After: 3"))
    assert client(proxy).ask().status == 200
    assert proxy.access(1)[0]["attempts"][1]["wait_ms"] < 1000


@pytest.mark.parametrize("limits", [
    {"retry_cap": "1s"}, {"retry_cap": "20s", "request_timeout": "2s"}], ids=["cap", "deadline"])
@pytest.mark.parametrize("value", ["5", "LATER", "4294967296", "99999999999999999999"])
def test_retry_after_too_far_away_is_passed_on(lab, lb, client, limits, value):
    """Beyond retry_cap, or beyond the request's own time: at once, as it is."""
    bed = lab("A")
    proxy = lb(bed.all(), pool=keys(retry_base="1ms", **limits))
    play = bed.play("/", later(f"Retry-After: {value}"))
    started = time.monotonic()
    r = client(proxy).ask()
    assert time.monotonic() - started < 1
    assert (r.status, r.body, r.has("retry-after")) == (503, b"fault", True)
    assert len(play.arrivals) == 1
    record = proxy.access(1)[0]
    assert (record["retries"], record["end"], outcomes(record)) == (0, "ok", ["status"])


# --- limits on time --------------------------------------------------------------

@pytest.mark.parametrize("fault, status", [(BUSY, 503), (RESET, 502)], ids=str)
def test_a_wait_beyond_the_deadline_is_not_begun(lab, lb, client, fault, status):
    bed = lab("A")
    proxy = lb(bed.all(), admin=True, pool=keys(retry_base="3s", retry_cap="3s",
                                                retry_jitter="none", request_timeout="2s"))
    play = bed.play("/", fault)
    started = time.monotonic()
    assert client(proxy).ask().status == status
    assert time.monotonic() - started < 1 and len(play.arrivals) == 1
    denied = metrics(proxy)["evenkeel_retries_denied_total"]
    assert denied.total(pool="web", reason="deadline") == 1


def test_attempt_timeout_ends_an_attempt(lab, lb, client):
    bed = lab("A", "B")
    proxy = lb(bed.all(), pool=keys(attempt_timeout="200ms", response_timeout="20s",
                                    retry_base="1ms"))
    bed.play("/", SILENT)
    started = time.monotonic()
    assert client(proxy).ask().status == 200
    assert 0.19 <= time.monotonic() - started < 5
    assert outcomes(proxy.access(1)[0]) == ["timeout", "ok"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_attempt_timeout_holds_for_connecting_too(lab, lb, client, method):
    """It is a limit on the whole attempt; nothing was sent, so any method is safe."""
    bed = lab("B")
    proxy = lb([f"127.0.0.1:{bed.silent[0]} name=A", *bed.all()],
               pool=keys(attempt_timeout="200ms", connect_timeout="20s", retry_base="1ms"))
    bed.play("/")
    assert client(proxy).ask(method).status == 200
    record = proxy.access(1)[0]
    assert record["duration_ms"] < 5000
    assert outcomes(record) in (["connect_timeout", "ok"], ["timeout", "ok"])


def test_attempt_timeout_alone_is_504(lab, lb, client):
    bed = lab("A")
    proxy = lb(bed.all(), pool=keys(attempt_timeout="200ms", response_timeout="20s",
                                    retry_attempts=0))
    bed.play("/", SILENT)
    assert client(proxy).ask().status == 504
    record = proxy.access(1)[0]
    assert (outcomes(record), record["end"]) == (["timeout"], "backend_slow")


def test_request_timeout_cuts_an_attempt(lab, lb, client):
    bed = lab("A", "B")
    proxy = lb(bed.all(), pool=keys(request_timeout="400ms", response_timeout="20s"))
    bed.play("/", SILENT)
    assert client(proxy).ask().status == 504
    record = proxy.access(1)[0]
    assert 390 <= record["duration_ms"] < 5000 and record["end"] == "backend_slow"
    assert outcomes(record) == ["timeout"]


def test_request_timeout_covers_all_attempts_and_waits(lab, lb, client):
    bed = lab("A", "B")
    proxy = lb(bed.all(), pool=keys(request_timeout="1s", attempt_timeout="200ms",
                                    retry_attempts=10, retry_base="10ms", retry_cap="20ms"))
    play = bed.play("/", SILENT, everywhere=True)
    assert client(proxy).ask().status == 504
    record = proxy.access(1)[0]
    assert 700 <= record["duration_ms"] < 3000, record
    assert 2 <= len(play.arrivals) <= 6, record


# --- budget ----------------------------------------------------------------------

def spend(bed, proxy, client, seconds, least):
    """Requests one after the other, all of which fail everywhere; -> how many."""
    c, end, count = client(proxy), time.monotonic() + seconds, 0
    while time.monotonic() < end or count < least:
        bed.play(f"/{count}", BUSY, everywhere=True)
        assert c.ask(target=f"/{count}").status == 503
        count += 1
    return count


@pytest.mark.parametrize("budget, floor, most", [
    ("20%", 0, 1.2), ("20%", 10, 1.2), ("50%", 0, 1.5), ("0%", 0, 1.0), ("0%", 10, 1.0),
    ("100%", 0, 3.0)])
def test_budget_bounds_the_load(lab, lb, client, budget, floor, most):
    """Long enough for the lag of 100 ms to mean little."""
    bed = lab("A", "B")
    proxy = lb(bed.all(), admin=True,
               pool=keys(retry_base="1ms", retry_cap="1ms", retry_budget=budget,
                         retry_budget_min=floor))
    started = time.monotonic()
    count = spend(bed, proxy, client, 1.5, 100)
    seconds = time.monotonic() - started
    attempts = sum(len(r["attempts"]) for r in proxy.access(count))
    besides = 0 if budget == "0%" else floor * (seconds + 1)
    assert attempts <= most * count + besides + 2, (attempts, count)
    exact = most in (1.0, 3.0)
    assert attempts >= (most if exact else 1 + (most - 1) / 2) * count, (attempts, count)
    denied = metrics(proxy)["evenkeel_retries_denied_total"].total(pool="web", reason="budget")
    assert (denied == 0) == (budget == "100%"), denied


def test_a_small_pool_may_retry_by_the_floor(lab, lb, client):
    """One request in a while: 20 % of it is nothing, retry_budget_min is there for it."""
    bed = lab("A", "B")
    proxy = lb(bed.all(), pool=keys(retry_base="1ms"))
    bed.play("/", RESET)
    assert client(proxy).ask().status == 200


@pytest.mark.parametrize("way", ["refusing", "silent"])
def test_failed_connects_are_free_of_the_budget(lab, lb, client, way):
    bed, count = lab("B"), 20 if way == "refusing" else 2
    dead = f"127.0.0.1:{getattr(bed, way)[0]} name=A"
    proxy = lb([dead], pool=keys(retry_base="1ms", retry_cap="1ms", retry_budget="0%",
                                 retry_budget_min=0, connect_timeout="100ms"))
    c = client(proxy)
    for _ in range(count):
        assert c.ask().status == (502 if way == "refusing" else 504)
    assert [r["retries"] for r in proxy.access(count)] == [2] * count


# --- leaving and stopping in a wait ------------------------------------------------

LONG = {"retry_base": "20s", "retry_cap": "20s", "retry_jitter": "none"}


def in_wait(bed, proxy, client, target="/"):
    """A request in its backoff wait: the answer is out, and the proxy has read it."""
    play = bed.play(target, BUSY)
    c = client(proxy).request(target=target)
    until(lambda: play.arrivals and play.arrivals[0].answered_at, "the first answer")
    return play, c


def test_a_client_that_leaves_in_a_wait_ends_it(lab, lb, client):
    bed = lab("A")
    proxy = lb(bed.all(), pool=keys(**LONG))
    play, c = in_wait(bed, proxy, client)
    c.reset()
    record = proxy.access(1)[0]
    assert (record["status"], record["end"]) == (499, "client_gone")
    assert len(play.arrivals) == 1 and record["duration_ms"] < 10000
    assert [o for o in outcomes(record) if o != "cancelled"] == ["status"]


def test_a_client_that_half_closes_in_a_wait_gets_its_answer(lab, lb, client):
    bed = lab("A")
    proxy = lb(bed.all(), pool=keys(retry_base="300ms", retry_cap="1s", retry_jitter="none"))
    play = bed.play("/", BUSY, times=1)
    c = client(proxy).request()
    until(lambda: play.arrivals and play.arrivals[0].answered_at, "the first answer")
    assert c.half_close().response().status == 200


def test_a_stop_waits_for_a_wait(lab, lb, client):
    bed = lab("A")
    proxy = lb(bed.all(), pool=keys(retry_base="300ms", retry_cap="1s", retry_jitter="none"))
    play = bed.play("/", BUSY, times=1)
    c = client(proxy).request()
    until(lambda: play.arrivals and play.arrivals[0].answered_at, "the first answer")
    proxy.signal(signal.SIGTERM)
    assert c.response().status == 200
    assert proxy.wait() == 0


def test_a_stop_whose_time_is_up_ends_a_wait(evenkeel, lab, client):
    bed = lab("A")
    proxy = evenkeel(
        "[global]\nworkers = 1\nshutdown_timeout = 300ms\naccess_log = access.log\n"
        "access_log_format = json\n[listener main]\nbind = 127.0.0.1:0\n"
        f"[pool web]\nbackend = {bed.backends['A'].address}\n{keys(**LONG)}")
    play, _ = in_wait(bed, proxy, client)
    proxy.signal(signal.SIGTERM)
    assert proxy.wait() == 0
    record = proxy.access(1)[0]
    assert record["end"] == "shutdown" and len(play.arrivals) == 1


# --- metrics -----------------------------------------------------------------------

CAUSES = [("connect", None), ("reset", RESET), ("reset", Fault("answer", "garbage")),
          ("timeout", SILENT), ("503", BUSY), ("502", Fault("answer", "502 Bad Gateway")),
          ("429", Fault("answer", "429 Too Many Requests"))]


@pytest.mark.parametrize("cause, fault", CAUSES, ids=[f"{c}-{f}" for c, f in CAUSES])
def test_a_retry_is_counted_by_its_cause(lab, lb, client, cause, fault):
    bed = lab("A", "B")
    first = f"127.0.0.1:{bed.refusing[0]}" if fault is None else bed.backends["A"]
    proxy = lb([first, bed.backends["B"]], admin=True,
               pool=keys(response_timeout="200ms", retry_base="1ms",
                         retry_on="connect, reset, timeout, 502, 503, 429"))
    bed.play("/", fault)
    assert client(proxy).ask().status == 200
    retries = proxy.access(1)[0]["retries"]
    families = metrics(proxy)
    total = families["evenkeel_retries_total"]
    assert total.total(pool="web", cause=cause) == total.total() == retries == 1
    assert families["evenkeel_retries_denied_total"].total() == 0
    waits = families["evenkeel_backoff_seconds"]
    assert [v for s, ls, v in waits.samples if s == "_count" and ls["pool"] == "web"] == [1]


def denied(reason):
    """(pool keys, fault, method, body) for which a retry is denied for that reason."""
    return {
        "attempts": ({"retry_attempts": 1}, RESET, "GET", None),
        "not_idempotent": ({}, RESET, "POST", b"x"),
        "body": ({"retry_body_limit": "1k"}, RESET, "PUT", b"x" * 9000),
        "budget": ({"retry_budget": "0%"}, RESET, "GET", None),
        "deadline": ({"retry_base": "9s", "retry_cap": "9s", "retry_jitter": "none",
                      "request_timeout": "2s"}, RESET, "GET", None),
    }[reason]


@pytest.mark.parametrize("reason", ["attempts", "not_idempotent", "body", "budget", "deadline"])
def test_a_retry_that_is_denied_is_counted_by_the_reason(lab, lb, client, reason):
    options, fault, method, body = denied(reason)
    bed = lab("A")
    proxy = lb(bed.all(), admin=True, pool=keys(**{"retry_base": "1ms", **options}))
    bed.play("/", fault, body=body)
    assert client(proxy).ask(method, body=body).status == 502
    found = metrics(proxy)["evenkeel_retries_denied_total"]
    assert found.total(pool="web", reason=reason) == found.total() == 1


def test_success_and_causes_not_named_are_no_denials(lab, lb, client):
    bed = lab("A")
    proxy = lb(bed.all(), admin=True, pool=keys(retry_on="connect"))
    bed.play("/ok")
    bed.play("/500", Fault("answer", "500 Internal Server Error"))
    bed.play("/reset", RESET)
    c = client(proxy)
    assert [c.ask(target=t).status for t in ("/ok", "/500", "/reset")] == [200, 500, 502]
    families = metrics(proxy)
    assert families["evenkeel_retries_total"].total() == 0
    assert families["evenkeel_retries_denied_total"].total() == 0
