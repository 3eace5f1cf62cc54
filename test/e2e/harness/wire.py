"""HTTP/1 on a socket, read strictly: what is not canonical fails the test."""
import re
import socket
import time
from dataclasses import dataclass, field

from .wait import DEADLINE_S

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
REQUEST_LINE = re.compile(rb"^(" + TOKEN + rb") ([\x21-\x7e]+) HTTP/1\.([01])$")
STATUS_LINE = re.compile(rb"^HTTP/1\.([01]) (\d{3})(?: ([\t\x20-\x7e\x80-\xff]*))?$")
FIELD_LINE = re.compile(rb"^(" + TOKEN + rb"):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*$")
CHUNK_LINE = re.compile(rb"^[0-9A-Fa-f]{1,16}$")
HEAD_LIMIT = 1 << 20


class NotCanonical(AssertionError):
    """The peer sent what HTTP/1 does not allow."""


class Broken(Exception):
    """The peer ended the connection before the message was whole."""

    def __init__(self, why, message=None):
        super().__init__(why)
        self.message = message  # what had come of it


@dataclass
class Message:
    """A request or a response, as it came."""
    minor: int = 1
    method: str = ""
    target: str = ""
    status: int = 0
    reason: str = ""
    fields: list = field(default_factory=list)  # (lower-case name, value)
    body: bytes = b""
    framing: str = ""  # none, length, chunked, close
    chunks: list = field(default_factory=list)  # sizes
    trailers: list = field(default_factory=list)
    interim: list = field(default_factory=list)  # 1xx messages before it
    head: bytes = b""

    def all(self, name):
        return [v for n, v in self.fields if n == name.lower()]

    def one(self, name):
        """The value of a field that must be there once."""
        values = self.all(name)
        assert len(values) == 1, f"{name}: {values} in {self.head!r}"
        return values[0]

    def has(self, name):
        return bool(self.all(name))

    def tokens(self, name):
        text = ",".join(self.all(name)).lower()
        return [t.strip() for t in text.split(",") if t.strip()]


class Stream:
    """A socket with a read buffer and a deadline on every wait."""

    def __init__(self, sock, deadline_s=DEADLINE_S):
        self.sock, self.deadline_s = sock, deadline_s
        self.buf, self.ended, self.was_reset = b"", False, False

    def fill(self, end):
        """More bytes, or notes the end.  False at the end."""
        if self.ended:
            return False
        left = end - time.monotonic()
        if left <= 0:
            raise AssertionError(f"no more bytes within {self.deadline_s:g} s "
                                 f"after {self.buf[-200:]!r}")
        self.sock.settimeout(left)
        try:
            more = self.sock.recv(1 << 18)
        except socket.timeout:
            return self.fill(end)
        except ConnectionError:
            self.was_reset, more = True, b""
        self.ended = not more
        self.buf += more
        return bool(more)

    def need(self, enough, message=None):
        """Reads until enough(buf) gives something other than None or False."""
        end = time.monotonic() + self.deadline_s
        while True:
            got = enough(self.buf)
            if got is not None and got is not False:
                return got
            if not self.fill(end):
                how = "reset" if self.was_reset else "closed"
                raise Broken(f"{how} after {self.buf[-200:]!r}", message)

    def line(self, message=None):
        at = self.need(lambda b: (b.find(b"\r\n") + 1) or None, message) - 1
        line, self.buf = self.buf[:at], self.buf[at + 2:]
        return line

    def at_end(self, deadline_s=None):
        """Waits for the end; nothing may come before it.  True: in order."""
        rest = self.rest(deadline_s)
        assert not rest, f"bytes before the end: {rest[:200]!r}"
        return not self.was_reset

    def rest(self, deadline_s=None):
        end = time.monotonic() + (deadline_s or self.deadline_s)
        while self.fill(end):
            pass
        rest, self.buf = self.buf, b""
        return rest


def parse_fields(lines):
    fields = []
    for line in lines:
        m = FIELD_LINE.match(line)
        if not m:
            raise NotCanonical(f"field line {line[:200]!r}")
        fields.append((m.group(1).decode().lower(), m.group(2).decode("latin-1")))
    return fields


def read_head(stream, message):
    """Reads one head into message and checks its grammar; -> first line."""
    at = stream.need(lambda b: (b.find(b"\r\n\r\n") + 1) or
                     (len(b) > HEAD_LIMIT and -1), message) - 1
    if at < 0:
        raise NotCanonical("a head without end")
    head, stream.buf = stream.buf[:at], stream.buf[at + 4:]
    first, *lines = head.split(b"\r\n")
    message.head, message.fields = head, parse_fields(lines)
    lengths = message.all("content-length")
    if len(lengths) > 1 or (lengths and not re.fullmatch(r"\d{1,19}", lengths[0])):
        raise NotCanonical(f"content-length {lengths}")
    if message.has("transfer-encoding"):
        if lengths or message.all("transfer-encoding") != ["chunked"]:
            raise NotCanonical(f"framing of {head!r}")
    return first


def read_body(stream, message, till_close):
    """The body as the head frames it."""
    if message.has("transfer-encoding"):
        message.framing = "chunked"
        read_chunked(stream, message)
    elif message.has("content-length"):
        message.framing = "length"
        read_counted(stream, message, int(message.one("content-length")))
    elif till_close:
        message.framing = "close"
        message.body = stream.rest()
        if stream.was_reset:
            raise Broken("reset in a body that ends with the connection", message)
    else:
        message.framing = "none"


def read_counted(stream, message, count):
    parts = []
    while count:
        try:
            parts.append(stream.need(lambda b: b[:count] or None, message))
        except Broken:
            message.body += b"".join(parts)
            raise
        stream.buf = stream.buf[len(parts[-1]):]
        count -= len(parts[-1])
    message.body += b"".join(parts)


def read_chunked(stream, message):
    while True:
        line = stream.line(message)
        if not CHUNK_LINE.match(line):
            raise NotCanonical(f"chunk line {line[:60]!r}")
        size = int(line, 16)
        if size == 0:
            break
        message.chunks.append(size)
        read_counted(stream, message, size)
        if stream.line(message) != b"":
            raise NotCanonical("no CRLF after a chunk")
    lines = []
    while (line := stream.line(message)) != b"":
        lines.append(line)
    message.trailers = parse_fields(lines)


def read_request_head(stream):
    message = Message()
    m = REQUEST_LINE.match(read_head(stream, message))
    if not m:
        raise NotCanonical(f"request line {message.head[:200]!r}")
    message.method, message.target = m.group(1).decode(), m.group(2).decode()
    message.minor = int(m.group(3))
    if message.minor == 1 and len(message.all("host")) != 1:
        raise NotCanonical(f"host {message.all('host')}")
    return message


def read_response(stream, method="GET"):
    """The next final response; 1xx before it are in .interim."""
    interim = []
    while True:
        message = Message(interim=interim)
        m = STATUS_LINE.match(read_head(stream, message))
        if not m:
            raise NotCanonical(f"status line {message.head[:200]!r}")
        message.minor, message.status = int(m.group(1)), int(m.group(2))
        message.reason = (m.group(3) or b"").decode("latin-1")
        if message.status >= 200 or message.status == 101:
            break
        interim.append(message)
    if method == "HEAD" or message.status in (101, 204, 304):
        message.framing = "none"
    else:
        read_body(stream, message, till_close=True)
    return message
