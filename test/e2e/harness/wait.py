"""Waiting for a fact, with a deadline."""
import time

# Far above what anything takes, sanitizers and a busy machine included.
DEADLINE_S = 10.0


def until(fact, what, deadline_s=DEADLINE_S, every_s=0.005):
    """Polls fact() until it is true, and returns what it returned."""
    end = time.monotonic() + deadline_s
    while True:
        value = fact()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_s:g} s: {what}")
        time.sleep(every_s)
