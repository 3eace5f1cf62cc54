"""Waiting for a fact, with a deadline."""
import time

# Far above what anything takes, sanitizers and a busy machine included.
DEADLINE_S = 10.0


def until(fact, what, deadline_s=DEADLINE_S, every_s=0.005):
    """
    Polls fact() until it is true, and returns what it returned.  `what` is a
    text, or a function that makes it when the time is up.
    """
    end = time.monotonic() + deadline_s
    while True:
        value = fact()
        if value:
            return value
        if time.monotonic() > end:
            text = what() if callable(what) else what
            raise AssertionError(f"not within {deadline_s:g} s: {text}")
        time.sleep(every_s)
