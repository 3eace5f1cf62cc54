"""Passive checks: requests that fail take a backend out for a while."""
import re

import pytest

from harness import until
from harness.health import Switched, condition, scrape, until_state

# Requests that fail are not tried again here: each is one failed attempt.
PLAIN = "retry_attempts = 0\nhealth = off\n"


def closing(conn):
    """Takes a request and gives nothing back."""
    conn.request()


def line_of(proxy, text):
    """The first line of the log that has the text; waits for it."""
    proxy.said_at(text)
    return next(ln for ln in proxy.stderr().splitlines() if text in ln)


def ask_until_out(client, proxy, name, state="ejected"):
    def out():
        with client(proxy) as c:
            c.ask()
        return condition(proxy, name)["state"] == state
    until(out, lambda: f"{name} to be {state}: {condition(proxy, name)}")


@pytest.mark.threaded
def test_failures_in_a_row_eject(lb, backend, client):
    proxy = lb([backend(closing, name="bad"), backend(name="good")], admin=True, workers=2,
               pool=PLAIN + "eject_base = 1h\neject_cap = 2h\n")
    ask_until_out(client, proxy, "bad")
    assert re.search(r"warn  pool web: backend bad is ejected for 3600 s: \d+ attempts failed in a "
                     r"row, last: reset$", line_of(proxy, "backend bad is ejected"))
    assert {client(proxy).ask().body for _ in range(20)} == {b"good"}
    entry = condition(proxy, "bad")
    # Five, and those that were under way in the meantime.
    assert 5 <= entry["attempts"]["reset"] <= 6
    f = scrape(proxy)
    assert f["evenkeel_backend_up"].values(backend="bad") == [0]
    assert f["evenkeel_backend_state"].values(backend="bad", state="ejected") == [1]
    assert f["evenkeel_backend_state"].total(backend="bad") == 1
    assert "ejected" in proxy.verb("status").stdout


def test_an_answer_between_begins_the_row_anew(lb, backend, client):
    count = [0]

    def script(conn):
        count[0] += 1
        conn.request()
        if count[0] % 5 == 0:
            conn.answer(b"x")
    proxy = lb([backend(script, name="one"), backend(name="two")], admin=True, pool=PLAIN)
    for _ in range(60):
        with client(proxy) as c:
            c.ask()
    assert condition(proxy, "one")["state"] == "up"
    assert count[0] >= 25


def test_back_when_the_time_is_over(lb, backend, client):
    proxy = lb([backend(closing, name="bad"), backend(name="good")], admin=True,
               pool=PLAIN + "eject_failures = 2\neject_base = 300ms\neject_cap = 600ms\n")
    ask_until_out(client, proxy, "bad")
    until_state(proxy, "bad", "up")
    first = proxy.said_at("backend bad is ejected for 0.3 s: ")
    assert proxy.said_at("pool web: backend bad is back after ejection") - first > 0.298  # both cut to ms
    # It has not stayed in: twice as long.
    ask_until_out(client, proxy, "bad")
    proxy.said_at("backend bad is ejected for 0.6 s")


def test_never_the_last(lb, backend, client):
    proxy = lb([backend(closing, name="bad")], admin=True, pool=PLAIN)
    for _ in range(20):
        with client(proxy) as c:
            assert c.ask().status == 502
    assert condition(proxy, "bad")["state"] == "up"
    line_of(proxy, "backend bad is not ejected, being the last that is usable: ")
    assert proxy.stderr().count("is not ejected") == 1


def test_at_most_eject_max(lb, backend, client):
    bad = [backend(closing, name=f"b{i}") for i in range(4)]
    proxy = lb([*bad, backend(name="good")], admin=True, pool=PLAIN + "eject_failures = 2\n")
    for _ in range(60):
        with client(proxy) as c:
            c.ask()
    states = [condition(proxy, b.name)["state"] for b in bad]
    assert sorted(states) == ["ejected", "ejected", "up", "up"]
    line_of(proxy, "is not ejected, as eject_max is reached: ")


@pytest.mark.parametrize("off", ["eject_failures = 0\n", ""])
def test_off_and_what_never_counts(lb, backend, client, off):
    """Without eject_failures nobody goes; for a 429, which is about a client, neither."""
    def limiting(conn):
        while True:
            conn.request()
            conn.answer(b"", "429 Too Many Requests")
    script = closing if off else limiting
    proxy = lb([backend(script, name="one"), backend(name="two")], admin=True, pool=PLAIN + off)
    for _ in range(40):
        with client(proxy) as c:
            c.ask()
    assert condition(proxy, "one")["state"] == "up"


def test_a_status_of_retry_on_counts_and_retry_after_is_kept(lb, backend, client):
    def unwilling(conn):
        while True:
            conn.request()
            conn.answer(b"", "503 Service Unavailable", fields=("Retry-After: 20",))
    proxy = lb([backend(unwilling, name="one"), backend(name="two")], admin=True,
               pool=PLAIN + "eject_base = 1s\neject_cap = 2s\n")
    ask_until_out(client, proxy, "one")
    line = line_of(proxy, "backend one is ejected for")
    assert 15 < float(re.search(r"for ([\d.]+) s", line).group(1)) <= 20
    assert line.endswith("last: status")


def test_checks_end_an_ejection(lb, backend, client):
    """From down to up by checks: no longer ejected."""
    switched = Switched()

    def script(conn):
        request = conn.request()
        if "evenkeel-health" in str(request.fields):
            conn.answer(b"", switched.status)
    proxy = lb([backend(script, name="bad"), backend(name="good")], admin=True,
               pool="retry_attempts = 0\nhealth = http\nhealth_interval = 30ms\n"
               "eject_base = 1h\neject_cap = 2h\n")
    ask_until_out(client, proxy, "bad")
    switched.status = "500 No"
    until_state(proxy, "bad", "down")
    switched.status = "200 OK"
    until_state(proxy, "bad", "up")
    proxy.said_at("pool web: backend bad is up again after ")
