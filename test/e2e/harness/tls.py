"""
TLS for the scripted peers, and the modes in which the whole suite runs over it.

EVENKEEL_TLS=front gives every listener a certificate, and the clients speak
TLS; =back does so for the backends; =both for both.  A Secured socket behaves
as the plain one below it, so that half closes, resets and cuts keep their
meaning: an end of the stream is an orderly one only with close_notify.
"""
import itertools
import os
import pathlib
import re
import select
import socket
import ssl
import struct
import sys
import tempfile
import threading
import time
import weakref

from .wait import DEADLINE_S

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

import certs  # noqa: E402

MODE = os.environ.get("EVENKEEL_TLS", "")
assert MODE in ("", "front", "back", "both"), f"EVENKEEL_TLS is {MODE!r}"
FRONT, BACK = MODE in ("front", "both"), MODE in ("back", "both")
SCHEME = "https" if FRONT else "http"
# Names the usual certificate is good for.
NAME = "lb.test"
NAMES = ("DNS:lb.test", "DNS:localhost", "IP:127.0.0.1", "IP:::1", "DNS:app.test",
         "DNS:new.test", "DNS:clock.test", "DNS:none.test")
PIECE = 1 << 16
NO_LINGER = struct.pack("ii", 1, 0)


class Cut(ConnectionError):
    """The connection ended without close_notify."""


class Usual:
    """One CA and one certificate for all that runs in a mode, made when first needed."""

    def __init__(self):
        self._lock, self._made = threading.Lock(), None

    def _make(self):
        with self._lock:
            if not self._made:
                keep = tempfile.TemporaryDirectory(prefix="evenkeel-certs-")
                # Evenkeel may run as somebody else in tests of privileges.
                os.chmod(keep.name, 0o755)
                ca = certs.Authority(pathlib.Path(keep.name) / "ca")
                self._made = (ca, ca.issue("usual", NAMES), keep, {})
        return self._made

    @property
    def ca(self):
        return self._make()[0]

    @property
    def pair(self):
        return self._make()[1]

    def context(self, server):
        kept = self._make()[3]
        if server not in kept:
            kept[server] = server_context(self.pair) if server else client_context(self.ca)
        return kept[server]


usual = Usual()


def strict(context):
    """An end without close_notify is to be seen."""
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    return context


def client_context(ca=None, pair=None, verify=True):
    """For peers that connect; `verify`: against the CA and the name."""
    made = strict(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    made.set_alpn_protocols(["http/1.1"])
    if not verify:
        made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    if ca:
        made.load_verify_locations(str(ca.certificate))
    if pair:
        made.load_cert_chain(pair.certificate, pair.key)
    if os.environ.get("EVENKEEL_TLS_VERSION") == "1.2":
        made.maximum_version = ssl.TLSVersion.TLSv1_2
    return made


def server_context(pair, client_ca=None):
    made = strict(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    made.load_cert_chain(pair.certificate, pair.key)
    made.set_alpn_protocols(["http/1.1"])
    if client_ca:
        made.verify_mode = ssl.CERT_REQUIRED
        made.load_verify_locations(str(client_ca.certificate))
    return made


class Secured:
    """A TLS stream with the methods of the socket below it."""

    def __init__(self, sock, context, server=False, name=NAME, session=None, deadline_s=DEADLINE_S):
        self._sock, self._timeout = sock, sock.gettimeout()
        sock.setblocking(False)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._in, self._out, server_side=server,
                                    server_hostname=None if server else name, session=session)
        self._lock = threading.RLock()  # of the TLS object
        self._sending = threading.Lock()  # of the order of what is sealed
        self._plain, self._sealed = bytearray(), b""
        self._ended = self._said_end = self._aborts = False
        self._broken = None
        self._received = 0
        self._shake(time.monotonic() + deadline_s)

    def __getattr__(self, name):
        return getattr(self._sock, name)

    # --- below: ciphertext ---

    def _wait(self, what, end):
        """Until the socket is ready; BlockingIOError or TimeoutError as sockets do."""
        if end == 0:
            raise BlockingIOError("nothing to do now")
        left = None if end is None else max(0.0, end - time.monotonic())
        poll = select.poll()
        poll.register(self._sock, what)
        if not poll.poll(None if left is None else 1000 * left):
            raise socket.timeout("timed out")

    def _end_of_wait(self):
        """When the present call is to end; 0: at once; None: never."""
        return self._timeout and time.monotonic() + self._timeout

    def _flush(self, end):
        """Sends what is sealed; of several threads one does it for all."""
        while True:
            if not self._sending.acquire(blocking=end != 0):
                return
            try:
                while True:
                    with self._lock:
                        self._sealed += self._out.read()
                    if not self._sealed:
                        return
                    try:
                        sent = self._sock.send(self._sealed)
                        self._sealed = self._sealed[sent:]
                    except BlockingIOError:
                        break
            finally:
                self._sending.release()
            self._wait(select.POLLOUT, end)

    def _flush_now(self):
        """As much as the kernel takes; what breaks is seen by the next recv."""
        try:
            self._flush(0)
        except OSError:
            pass

    def _receive(self, end):
        """More ciphertext; notes the end of it."""
        while True:
            try:
                data = self._sock.recv(PIECE)
                break
            except BlockingIOError:
                self._wait(select.POLLIN, end)
        with self._lock:
            if data:
                self._in.write(data)
            else:
                self._in.write_eof()
        self._received += len(data)
        return bool(data)

    def _shake(self, end):
        while True:
            try:
                with self._lock:
                    self.tls.do_handshake()
                self._flush(end)
                return
            except ssl.SSLWantReadError:
                self._flush(end)
                if not self._receive(end) and self.tls.server_side and not self._received:
                    self._ended = True  # whoever connected said nothing at all
                    return
            except ssl.SSLEOFError:
                raise Cut("closed in the handshake") from None
            except ssl.SSLError:
                self._flush_now()  # the alert
                raise

    def settle(self):
        """Waits for the server's ticket: then it has ended the handshake, too."""
        end = time.monotonic() + 2
        try:
            while not self._ended and not self.tls.session.has_ticket:
                self._receive(end)
                self._open()
        except OSError:
            pass
        return self

    # --- above ---

    def _open(self):
        """Opens all records there are; whether anything came of it."""
        before = len(self._plain)
        with self._lock:
            while not self._ended:
                try:
                    data = self.tls.read(PIECE)
                    self._plain += data
                    self._ended = not data
                except ssl.SSLWantReadError:
                    break
                except ssl.SSLZeroReturnError:
                    self._ended = True
                except ssl.SSLEOFError:
                    self._ended, self._broken = True, Cut("closed without close_notify")
                except ssl.SSLError as e:
                    self._ended, self._broken = True, e
        self._flush_now()
        return len(self._plain) > before

    def _more(self, end):
        while not self._ended and not self._open():
            if not self._ended:
                self._receive(end)

    def recv(self, size, flags=0):
        peek = flags & socket.MSG_PEEK
        now = flags & socket.MSG_DONTWAIT or (peek and self._plain)
        self._flush_now()
        if peek or not self._plain:
            try:
                self._more(0 if now else self._end_of_wait())
            except BlockingIOError:
                if not self._plain:
                    raise
            except ConnectionError as e:
                self._ended, self._broken = True, self._broken or e
        if not self._plain and self._broken:
            raise self._broken if isinstance(self._broken, ConnectionError) else \
                ConnectionAbortedError(str(self._broken))
        data = bytes(self._plain[:size])
        if not peek:
            del self._plain[:size]
        return data

    def unread(self):
        """Bytes that have come and were not received."""
        try:
            while not self._ended:
                self._open()
                self._receive(0)
        except BlockingIOError:
            pass
        return len(self._plain)

    def send(self, data):
        end = self._end_of_wait()
        self._flush(end)
        if self._sealed:
            raise BlockingIOError("the kernel takes no more")
        data = memoryview(data)[:1 << 14]
        with self._lock:
            self.tls.write(data)
        self._flush_now() if end == 0 else self._flush(end)
        return len(data)

    def sendall(self, data):
        data = memoryview(data)
        for at in range(0, len(data), 1 << 14):
            with self._lock:
                self.tls.write(data[at:at + (1 << 14)])
            self._flush(self._end_of_wait() or DEADLINE_S + time.monotonic())

    def settimeout(self, seconds):
        self._timeout = seconds

    def gettimeout(self):
        return self._timeout

    def setblocking(self, flag):
        self._timeout = None if flag else 0.0

    def setsockopt(self, level, name, value):
        if (level, name) == (socket.SOL_SOCKET, socket.SO_LINGER):
            self._aborts = True
        self._sock.setsockopt(level, name, value)

    def say_end(self, end=0):
        """close_notify, once; reading goes on."""
        with self._lock:
            if self._said_end or self._broken:
                return
            self._said_end = True
            self._open()
            try:
                self.tls.unwrap()
            except ssl.SSLError:
                pass  # it wants the peer's end, which comes when it comes
        self._flush(end)

    def shutdown(self, how):
        if how != socket.SHUT_RD:
            try:
                self.say_end(time.monotonic() + 1)
            except OSError:
                pass
        try:
            self._sock.shutdown(how)
        except OSError:  # a reset was the answer to close_notify already
            if not self._said_end:
                raise

    def close(self):
        """As a plain socket: what came and was not received makes it a reset."""
        if self._sock.fileno() < 0:
            return
        if not self._aborts:
            try:
                self._open()
                if not self._plain and not self._ended:
                    self._receive(0)
                    self._open()
            except OSError:
                pass
            if not self._plain:
                self._bye()
            else:
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self._sock.close()

    def _bye(self):
        try:
            self.say_end()
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


# --- who speaks TLS in a mode --------------------------------------------------------

_backends = {}  # port -> count of servers there that speak TLS
_proxies = weakref.WeakKeyDictionary()  # to the order they came in
_serial = itertools.count()
BIND = re.compile(r"^\s*(?:bind|listen)\s*=\s*(\S+)", re.M)
SECTION = re.compile(r"^\s*\[\s*(\w+)\s*([^\]]*)\]")
BACKEND = re.compile(r"^(\s*backend\s*=\s*)(.*?)(\s+[;#].*)?$")
LISTENING = re.compile(r'(listening on|admin on) ([^\s"]+)')


def serves(port, how_many=1):
    """A backend that speaks TLS has come to a port, or (-1) has gone."""
    if port is not None:
        _backends[port] = _backends.get(port, 0) + how_many


def watch(proxy):
    _proxies[proxy] = next(_serial)


def watched():
    """Those that run first, then the newest: of two that had a port it is theirs."""
    return sorted(list(_proxies), reverse=True,
                  key=lambda p: (p.process is None or p.process.returncode is None, _proxies[p]))


def listens(to):
    """Whether a client is to speak TLS there: it is a listener of a proxy under test."""
    if not FRONT:
        return False
    key = f"127.0.0.1:{to}" if isinstance(to, int) else \
        f"unix:{to}" if isinstance(to, str) else place(*to[:2])
    for proxy in watched():
        said = proxy.told_places()
        for kind in (key, "*:" + key.rsplit(":", 1)[-1]):
            if kind in said:
                return said[kind]
    return False


def place(host, port):
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def places(log, text):
    """{place: whether it is a TLS listener}, by what the log and the file say."""
    found = {}
    for kind, at in LISTENING.findall(log):
        found[at] = kind == "listening on"
    for section, lines in sections(text):
        for at in BIND.findall("\n".join(lines)):
            if not at.endswith(":0"):
                found[at] = section == "listener" and \
                    any(re.match(r"\s*tls_certificate\s*=", ln) for ln in lines)
    return found


def sections(text):
    """[(kind, lines with the first)], what is before any section under ""."""
    found = [("", [])]
    for line in text.split("\n"):
        if m := SECTION.match(line):
            found.append((m.group(1), []))
        found[-1][1].append(line)
    return found


def address_host(address):
    return address.rsplit(":", 1)[0].strip("[]")


def secure_backend(words, pool):
    """One value of `backend` as https when a TLS server is there; notes names it needs."""
    at, *options = words.split()
    m = re.fullmatch(r"(?!unix:|srv:|https:).+:(\d+)", at)
    if not m or not _backends.get(int(m.group(1))):
        return words
    pool.add(address_host(at))
    return " ".join([f"https://{at}", *options])


def good_for(host):
    return f"DNS:{host}" in NAMES or host in ("127.0.0.1", "::1")


def secure_pool(lines):
    made, hosts = [], set()
    for line in lines:
        if m := BACKEND.match(line):
            values = [secure_backend(v.strip(), hosts) for v in m.group(2).split(",")]
            line = m.group(1) + ", ".join(values) + (m.group(3) or "")
        made.append(line)
    if not hosts or any(re.match(r"\s*tls_", ln) for ln in lines):
        return made
    more = [f"tls_ca = {usual.ca.certificate}"]
    if not all(map(good_for, hosts)):
        more.append(f"tls_server_name = {NAME}")
    return added(made, more)


def added(lines, more):
    """At the end of a section, before the blank lines there."""
    end = len(lines)
    while end > 1 and not lines[end - 1].strip():
        end -= 1
    return lines[:end] + more + lines[end:]


def secure(text):
    """A configuration as the mode has it; errors in it stay what they are."""
    if not MODE:
        return text
    out = []
    for kind, lines in sections(text):
        if kind == "pool" and BACK:
            lines = secure_pool(lines)
        elif kind == "listener" and FRONT and \
                not any(re.match(r"\s*(tls_certificate|redirect)\s*=", ln) for ln in lines):
            lines = added(lines, usual.pair.ini().splitlines())
        out += lines
    return "\n".join(out)


def usually(sock, server=False):
    """The socket with TLS as the modes have it."""
    return Secured(sock, usual.context(server), server=server)
