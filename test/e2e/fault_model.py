"""
What must become of a request when a backend fails: SPEC 4.2, as a program.

courses(row) gives every course of events that is allowed; there are several
only where a fresh connection in place of a stale one may go to any backend.
Backend A is faulty, B (where the pool has one) is good.
"""
import dataclasses

from lab import Fault

IDEMPOTENT = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"}  # RFC 9110 9.2.2
DEFAULT_RETRY_ON = ("connect", "reset", "timeout", "502", "503", "504")
ALL_RETRY_ON = (*DEFAULT_RETRY_ON, "500", "429")


@dataclasses.dataclass(frozen=True)
class Row:
    fault: Fault
    method: str
    body: str  # none, small, over
    reused: bool
    backends: int
    key: bool = False  # an Idempotency-Key
    retry_on: tuple = DEFAULT_RETRY_ON
    retry_attempts: int = 2
    non_idempotent: bool = False  # retry_non_idempotent

    def __str__(self):
        return "-".join([str(self.fault), self.method + ("+key" if self.key else ""),
                         self.body, "reused" if self.reused else "fresh",
                         f"{self.backends}be",
                         *(["all"] if self.retry_on == ALL_RETRY_ON else []),
                         *([f"{self.retry_attempts}x"] if self.retry_attempts != 2 else []),
                         *(["nonidem"] if self.non_idempotent else [])])

    @property
    def idempotent(self):
        return self.method in IDEMPOTENT or self.key or self.non_idempotent

    @property
    def replayable(self):
        """Bodies up to retry_body_limit are kept."""
        return self.body != "over"


@dataclasses.dataclass(frozen=True)
class Course:
    """`attempts`: (backend, outcomes that fit, reused: True, False or None for either)."""
    status: int
    broken: bool  # the client's connection ends before the body does
    ends: tuple
    attempts: tuple
    retries: int
    executed: int
    by: str  # whose response the client has: A, B, or "" for the proxy's own


@dataclasses.dataclass(frozen=True)
class Effect:
    """What an attempt at a faulty backend comes to."""
    outcomes: tuple
    cause: str  # of SPEC 4.2; "" for one that was used
    final: int  # status when nobody tries again
    end: str
    executes: bool  # the backend had the whole request
    silent: bool = False  # the connection ended without a byte of response
    answers: bool = False  # a whole response
    commits: bool = False  # the client got the beginning of it


def effect(row):
    """The table of causes (4.2) and the words for them (section 6)."""
    where, how = row.fault.where, row.fault.how
    whole = where not in ("connect", "unread", "head", "mid_body")
    if where == "connect":
        if how == "refuse":
            return Effect(("connect_refused",), "connect", 502, "backend_failed", False)
        return Effect(("connect_timeout",), "connect", 504, "backend_slow", False)
    if where == "resp_body":
        end = ("backend_slow", "backend_broke_off") if how == "stall" else "backend_broke_off"
        return Effect(("ok", "reset", "timeout"), "", 200, end, True, commits=True)
    if how == "stall":
        return Effect(("timeout",), "timeout", 504, "backend_slow", whole)
    if how == "garbage":
        return Effect(("bad_response",), "reset", 502, "backend_failed", True)
    if where == "answer":
        code = how.split()[0]
        outcome = "status" if code in row.retry_on else "ok"
        return Effect((outcome,), code, int(code), "ok", True, answers=True)
    return Effect(("reset",), "reset", 502, "backend_failed", whole,
                  silent=where != "resp_head")


def may_retry(row, e, retries, to_same):
    """4.2: the cause is named, the method fits, the body is there, attempts are left."""
    if e.cause not in row.retry_on or retries >= row.retry_attempts:
        return False
    if e.cause != "connect" and not (row.idempotent and row.replayable):
        return False
    return not (to_same and e.answers and too_long(row.fault.fields))


def too_long(fields):
    """A Retry-After beyond retry_cap (20 ms in the tables): `LATER` or 5 seconds."""
    return any(f.startswith("Retry-After: 5") or "Retry-After: LATER" in f for f in fields)


def courses(row):
    return list(attempt(row, "A", (), 0, 0, row.reused, False, False))


def attempt(row, at, before, retries, executed, reused, replaced, b_tried):
    """One attempt at backend `at`, and all that may follow it."""
    if at == "B":
        yield Course(200, False, ("ok",), (*before, ("B", ("ok",), reused)), retries,
                     executed + 1, "B")
        return
    e = effect(row)
    executed += e.executes
    if reused and e.silent and not replaced:
        # Stale: idempotent requests go to a fresh connection at once.
        so_far = (*before, ("A", ("stale",), True))
        if not (row.idempotent and row.replayable):
            yield Course(502, False, ("backend_failed",), so_far, retries, executed, "")
            return
        for other in "AB"[:row.backends]:
            yield from attempt(row, other, so_far, retries, executed, False, True, b_tried)
        return
    so_far = (*before, ("A", e.outcomes, reused))
    to = "B" if row.backends > 1 and not b_tried else "A"
    if not e.commits and may_retry(row, e, retries, to == "A"):
        # A connection that gave a whole answer may serve again; B has an idle one
        # when the row says so.
        again = row.reused if to == "B" else (None if e.answers else False)
        yield from attempt(row, to, so_far, retries + 1, executed, again, replaced, to == "B")
        return
    ends = e.end if isinstance(e.end, tuple) else (e.end,)
    yield Course(e.final, e.commits, ends, so_far, retries, executed,
                 "A" if e.answers or e.commits else "")
