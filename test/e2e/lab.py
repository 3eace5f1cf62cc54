"""
The fault laboratory: backends that fail at a chosen point, in a chosen way,
and that count what they were asked to do.

A Play is one request through the proxy.  It is known to the backends by its
target, so that hundreds of them share two listening sockets; what reached a
backend is noted in it.  The first backend that a play's request reaches is
the faulty one, whichever the proxy picked; all others answer well.
"""
import dataclasses
import email.utils
import hashlib
import socket
import threading
import time

from harness import Backend, Gate
from harness.backend import answer
from harness.freeze import unread
from harness.wait import DEADLINE_S, until

WARM = "/warm"  # targets that every backend answers well, to have idle connections
PART = b"beginning"  # of a response body that is never finished
LIMIT_BYTES = 4096  # retry_body_limit in the tables
# Sizes of request bodies: within the limit, and far beyond it, though small
# enough for the kernel's buffers, so that a backend that does not read has it.
BODIES = {"none": None, "small": b"s" * 100, "over": b"o" * 20000}


@dataclasses.dataclass(frozen=True)
class Fault:
    """
    Where it happens: unread, head, mid_body, request (all after so much of the
    request was read), resp_head, resp_body (after so much was answered), answer.
    How: close, reset, stall; of an answer: its status line or `garbage`.
    """
    where: str
    how: str
    fields: tuple = ()

    def __str__(self):
        return "-".join([self.where, self.how.split()[0].lower(),
                         *(f.split(": ")[1].replace(" ", "_") for f in self.fields)])


@dataclasses.dataclass
class Arrival:
    """One time that bytes of the request reached a backend."""
    backend: str
    reused: bool  # the connection had served before
    at: float  # time.monotonic()
    answering_at: float = 0.0  # just before its answer went out, and just after
    answered_at: float = 0.0


class Play:
    """One request, who fails it and how, and what the backends saw."""

    def __init__(self, target, fault=None, times=1 << 30, body=None, everywhere=False):
        self.target, self.fault, self.times = target, fault, times
        self.everywhere = everywhere  # every backend is faulty
        self.body = body or b""
        self.lock = threading.Lock()
        self.faulty = None  # name of a backend
        self.arrivals, self.executed, self.wrong = [], [], []
        self.committed = Gate()  # the client has seen the beginning of the body
        self.conns = []

    def arrive(self, conn, reused):
        """Notes the arrival; -> it and what the backend is to do: a Fault or None."""
        arrival = Arrival(conn.backend.name, reused, time.monotonic())
        with self.lock:
            self.arrivals.append(arrival)
            self.faulty = self.faulty or conn.backend.name
            at_fault = self.everywhere or conn.backend.name == self.faulty
            if not at_fault or self.times <= 0:
                return arrival, None
            self.times -= 1
        return arrival, self.fault

    def execute(self, conn, message):
        """The backend has the whole request: it may have been processed."""
        with self.lock:
            self.executed.append(conn.backend.name)
            if message.body != self.body:
                self.wrong.append(f"{conn.backend.name} got a body of {len(message.body)} bytes")

    def end(self):
        for conn in self.conns:
            conn.close()


def good_body(name, body):
    """What a good backend answers: its name, and a proof of the body it got."""
    return f"{name} {hashlib.sha256(body).hexdigest()}".encode()


def peek_line(conn):
    """The request line, still unread; None at the end of the connection."""
    conn.sock.settimeout(None)
    seen = conn.sock.recv(4096, socket.MSG_PEEK)
    end = time.monotonic() + DEADLINE_S
    while seen and b"\r\n" not in seen:
        assert time.monotonic() < end, f"no whole request line: {seen!r}"
        time.sleep(0.001)
        seen = conn.sock.recv(4096, socket.MSG_PEEK)
    return seen.split(b"\r\n")[0].decode("latin-1") if seen else None


def read_exactly(conn, count):
    conn.sock.settimeout(DEADLINE_S)
    got = b""
    while len(got) < count:
        more = conn.sock.recv(count - len(got))
        assert more, f"ended after {len(got)} of {count} bytes"
        got += more
    return got


def read_head(conn):
    """Exactly the head, not a byte of the body."""
    end = time.monotonic() + DEADLINE_S
    while b"\r\n\r\n" not in (seen := conn.sock.recv(16384, socket.MSG_PEEK)):
        assert seen and time.monotonic() < end, f"no whole head: {seen!r}"
        time.sleep(0.001)
    return read_exactly(conn, seen.index(b"\r\n\r\n") + 4)


def all_in_kernel(conn, play):
    """The whole body lies here unread: the proxy has sent, and may have dropped, it all."""
    until(lambda: unread(conn.sock) >= len(play.body), "the body to arrive", every_s=0.001)


def take(conn, play, where):
    """Reads as much of the request as the fault's place says."""
    if where in ("unread", "head"):
        if where == "head":
            read_head(conn)
        all_in_kernel(conn, play)
    elif where == "mid_body":
        read_head(conn)
        all_in_kernel(conn, play)
        read_exactly(conn, len(play.body) // 2)
    else:
        play.execute(conn, conn.request())


def give(conn, play, fault):
    """Sends as much of a response as the fault's place says."""
    if fault.where == "resp_head":
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Le")
    elif fault.where == "resp_body":
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + PART)
        if fault.how != "stall":
            play.committed.wait()
    elif fault.how == "garbage":
        conn.send(b"220 mail.example ESMTP\r\n\r\n")


def leave(conn, how):
    """Ends the connection, or keeps still until the proxy does."""
    if how == "reset":
        conn.reset()
        return
    if how == "close":
        conn.half_close()
    conn.closed()


def answer_status(conn, fault, method):
    body = b"fault"
    data = answer(body, fault.how, ("X-Fault: yes", *map(dated, fault.fields)))
    conn.send(data[:-len(body)] if method == "HEAD" else data)


def dated(line):
    """Retry-After: LATER and PAST stand for dates, 5 s from now and long ago."""
    date = email.utils.formatdate(time.time() + 5, usegmt=True)
    past = email.utils.formatdate(0, usegmt=True)
    return line.replace("LATER", date).replace("PAST", past)


def misbehave(conn, play, arrival, fault, method):
    """True when the connection goes on."""
    take(conn, play, fault.where)
    if fault.where == "answer" and fault.how != "garbage":
        arrival.answering_at = time.monotonic()
        answer_status(conn, fault, method)
        arrival.answered_at = time.monotonic()
        return True
    give(conn, play, fault)
    leave(conn, "close" if fault.how == "garbage" else fault.how)
    return False


def behave(conn, play, method):
    message = conn.request()
    if play:
        play.execute(conn, message)
    body = good_body(conn.backend.name, message.body)
    data = answer(body)
    conn.send(data[:-len(body)] if method == "HEAD" else data)


class Lab:
    """The backends, by name, and the plays they know."""

    def __init__(self, names=("A", "B")):
        self.plays = {}
        self.backends = {name: Backend(self._serve, name) for name in names}
        self.refusing = refusing()
        self.silent = silent()

    def play(self, target, *args, **more):
        self.plays[target] = Play(target, *args, **more)
        return self.plays[target]

    def all(self):
        return list(self.backends.values())

    def _serve(self, conn):
        served = 0
        while line := peek_line(conn):
            method, target, _ = line.split(" ")
            play = None if target.startswith(WARM) else self.plays[target]
            fault = None
            if play:
                play.conns.append(conn)
                arrival, fault = play.arrive(conn, served > 0)
            if not fault:
                behave(conn, play, method)
            elif not misbehave(conn, play, arrival, fault, method):
                return
            served += 1

    def stop(self):
        for sock in (*self.refusing[1], *self.silent[1]):
            sock.close()
        for backend in self.backends.values():
            backend.stop()


def refusing():
    """(port, sockets): bound, nobody listens there, and nobody else can."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock.getsockname()[1], [sock]


def silent():
    """(port, sockets): a full backlog, so that the kernel answers no SYN."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(0)
    address, fillers = sock.getsockname(), []
    for _ in range(8):
        filler = socket.socket()
        filler.settimeout(0.1)
        fillers.append(filler)
        try:
            filler.connect(address)
        except TimeoutError:
            return address[1], [sock, *fillers]
    raise AssertionError("the backlog does not fill up")
