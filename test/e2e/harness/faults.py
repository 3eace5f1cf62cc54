"""The board of evenkeel_faults: which allocation or call is to fail; test/fault/fault.h."""
import ctypes
import errno
import mmap
import os

from .proxy import build_of
from .wait import until

MAGIC, CALLS, NAME_BYTES = 0x4661756C, 37, 16
SHORT = -1
# Calls that carry bytes, and those whose failure is not evenkeel's to suffer.
MOVES = ("recv", "send", "sendmsg", "splice")
HARMLESS = ("accept4", "close", "getsockname", "ioctl", "pipe2", "read", "setpipe", "setsockopt",
            "timerfd_settime", "write")
# What a pipe cannot do is done by copying.
COPIED = (errno.EINVAL, errno.ENOMEM)
U32, U64 = ctypes.c_uint32, ctypes.c_uint64


class Line(ctypes.Structure):
    """Those from `start` on (0: none) fail, `run` of them."""
    _fields_ = [("count", U64), ("start", U64), ("run", U64), ("failed", U64)]


class Layout(ctypes.Structure):
    _fields_ = [("magic", U32), ("n_calls", U32), ("variant", U32), ("one_byte", U32),
                ("last_call", U32), ("only", U32),
                ("last_error", ctypes.c_int32), ("unused", U32), ("allocs", Line), ("calls", Line),
                ("seen", U64 * CALLS), ("hit", U64 * CALLS), ("variants", U32 * CALLS),
                ("names", (ctypes.c_char * NAME_BYTES) * CALLS)]


def fault_build():
    """The program with faults: beside the sanitized debug build."""
    return build_of().parent / "evenkeel_faults"


class Board:
    """One process's board, mapped; env: what the process needs to find it."""

    def __init__(self, path):
        path.write_bytes(bytes(ctypes.sizeof(Layout)))
        with open(path, "r+b") as f:
            self._map = mmap.mmap(f.fileno(), 0)
        self.at = Layout.from_buffer(self._map)
        self.env = {**os.environ, "EVENKEEL_FAULT_BOARD": str(path)}

    def ready(self):
        """Waits until the process is there and has the same layout."""
        until(lambda: self.at.magic == MAGIC, "evenkeel_faults at its board")
        assert self.at.n_calls == CALLS

    def line(self, kind):
        return self.at.allocs if kind == "allocs" else self.at.calls

    def arm(self, kind, nth, run=1, variant=0, only=None):
        """
        Counts from 0; the nth of that kind (1 is the next) and run - 1 more fail.
        only: the name of the one call that counts.
        """
        self.disarm()
        self.at.only = 0 if only is None else 1 + self.names().index(only)
        line = self.line(kind)
        line.count = line.failed = 0
        self.at.variant, line.run = variant, run
        line.start = nth

    def disarm(self):
        """Nothing fails from now on."""
        self.at.allocs.start = self.at.calls.start = 0

    def failed(self, kind):
        """How many failed since arm()."""
        return self.line(kind).failed

    def count(self, kind):
        return self.line(kind).count

    def last(self, kind):
        """What failed last, for messages; "" when nothing did."""
        if kind == "allocs" or not self.failed(kind):
            return kind if self.failed(kind) else ""
        return self.names()[self.at.last_call]

    def names(self):
        return [bytes(name).split(b"\0")[0].decode() for name in self.at.names]

    def harmless(self, kind):
        """What failed last must make no difference to anybody."""
        call, error = self.last(kind), self.at.last_error
        return call in HARMLESS or call in MOVES and error == errno.EAGAIN or \
            call == "splice" and error in COPIED or \
            kind == "calls" and error in (errno.EINTR, SHORT)

    def variants(self):
        """How many errors fit the call that failed last."""
        return self.at.variants[self.at.last_call]

    def seen(self):
        return {name for name, n in zip(self.names(), self.at.seen) if n}
