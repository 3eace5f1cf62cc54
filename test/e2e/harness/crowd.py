"""
Many clients at once in one thread: half keep their connection, half open one
for each request.  Whatever is not a whole 200 is noted as a failure.
"""
import collections
import heapq
import re
import selectors
import socket
import threading
import time

from . import tls
from .wait import DEADLINE_S, until

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.I)


class Visitor:
    """One client: idle until due, then one request and its answer."""

    def __init__(self, number, keeps):
        self.number, self.keeps = number, keeps
        self.sock, self.buf, self.since, self.asked = None, b"", 0.0, 0


class Crowd:
    """
    `with Crowd(to) as crowd:` asks until the end of the block, `rate`
    requests a second in total; then .failed must be empty.  secure: as of a Client.
    """

    def __init__(self, to, size=64, rate=1500, target="/", secure=None):
        self.to = ("127.0.0.1", to) if isinstance(to, int) else to
        self.visitors = [Visitor(i, i % 2 == 0) for i in range(size)]
        self.target, self.every_s = target, size / rate
        self.done, self.failed, self.names = 0, [], collections.Counter()
        self.secure = secure
        self._over, self._paused = threading.Event(), threading.Event()
        self._resting = threading.Event()
        self._selector, self._due = selectors.DefaultSelector(), []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        now = time.monotonic()
        for v in self.visitors:
            self._plan(v, now + self.every_s * v.number / len(self.visitors))
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._over.set()
        self._thread.join(2 * DEADLINE_S)
        for v in self.visitors:
            if v.sock:
                v.sock.close()
        self._selector.close()
        if not error[0]:
            assert not self._thread.is_alive(), "the crowd does not come to an end"
            assert not self.failed, (len(self.failed), self.done, self.failed[:5])

    def more(self, count, deadline_s=DEADLINE_S):
        """Waits for that many answers from now on."""
        goal = self.done + count
        until(lambda: self.done >= goal or self.failed or not self._thread.is_alive(),
              lambda: f"{goal} answers, there are {self.done}", deadline_s)
        assert not self.failed, (len(self.failed), self.done, self.failed[:5])

    def pause(self):
        """Until nobody waits for an answer; connections that are kept stay."""
        self._resting.clear()
        self._paused.set()
        assert self._resting.wait(DEADLINE_S), "the crowd does not come to rest"

    def go_on(self):
        self._paused.clear()

    # --- the thread ---

    def _plan(self, v, at):
        heapq.heappush(self._due, (at, v.number))

    def _busy(self):
        return [v for v in self.visitors if v.since]

    def _run(self):
        end = None
        while True:
            now = time.monotonic()
            if self._over.is_set():
                end = end or now + DEADLINE_S
                if not self._busy() or now > end:
                    break
            elif self._paused.is_set():
                if not self._busy():
                    self._resting.set()
            else:
                while self._due and self._due[0][0] <= now:
                    self._begin(self.visitors[heapq.heappop(self._due)[1]])
            self._look(now)
        for v in self._busy():
            self.failed.append(f"client {v.number}: no answer after {now - v.since:.1f} s")

    def _look(self, now):
        wait = self._due[0][0] - now if self._due else 0.05
        for key, _ in self._selector.select(min(max(wait, 0), 0.02)):
            self._readable(key.data)
        for v in self._busy():
            if now - v.since > DEADLINE_S:
                self._end(v, f"no answer within {DEADLINE_S:g} s")

    def _begin(self, v):
        v.since, v.buf = time.monotonic(), b""
        v.asked += 1
        try:
            if not v.sock:
                v.asked = 1
                v.sock = self._connect()
                v.sock.setblocking(False)
                self._selector.register(v.sock, selectors.EVENT_READ, v)
            tail = b"" if v.keeps else b"Connection: close\r\n"
            v.sock.send(b"GET %s HTTP/1.1\r\nHost: lb.test\r\n%s\r\n"
                        % (self.target.encode(), tail))
        except OSError as e:
            self._end(v, f"{e!r} when it asked")

    def _connect(self):
        sock = socket.create_connection(self.to, DEADLINE_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.secure is None:
            self.secure = tls.listens(self.to) and tls.usually
        return self.secure(sock) if self.secure else sock

    def _readable(self, v):
        try:
            more = v.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError as e:
            self._end(v, f"{e!r} after {v.buf[:200]!r}")
            return
        v.buf += more
        if not v.since:
            self._end(v, f"closed while idle, or more than was asked for: {v.buf[:200]!r}")
        elif not more:
            self._end(v, f"closed after {v.buf[:200]!r}")
        else:
            self._parse(v)

    def _parse(self, v):
        at = v.buf.find(b"\r\n\r\n")
        if at < 0:
            return
        head, body = v.buf[:at], v.buf[at + 4:]
        size = LENGTH.search(head)
        if not head.startswith(b"HTTP/1.1 200 ") or not size:
            self._end(v, f"{head!r} {body[:100]!r}")
        elif len(body) == int(size.group(1)):
            if v.keeps and b"\r\nconnection: close" in head.lower():
                self._end(v, f"a connection that was kept ends: {head!r}")
                return
            self.done += 1
            self.names[body[:40].decode("latin-1")] += 1
            self._end(v, None)
        elif len(body) > int(size.group(1)):
            self._end(v, f"more than was asked for: {v.buf[:300]!r}")

    def _end(self, v, error):
        """The request, or the connection, is over."""
        if error:
            self.failed.append(f"client {v.number}, request {v.asked}: {error}")
        if v.sock and (error or not v.keeps):
            self._selector.unregister(v.sock)
            v.sock.close()
            v.sock = None
        was_busy, v.since, v.buf = v.since, 0.0, b""
        if was_busy:
            self._plan(v, max(was_busy + self.every_s, time.monotonic()))
