"""Backends that do what a test's function says, one thread a connection."""
import functools
import socket
import struct
import threading

from . import tls
from .wait import DEADLINE_S, until
from .wire import Broken, Message, Stream, read_body, read_request_head


class Gate:
    """A barrier between a test and its backends: wait() until open()."""

    def __init__(self):
        self._event = threading.Event()

    def open(self):
        self._event.set()

    def wait(self, deadline_s=DEADLINE_S):
        assert self._event.wait(deadline_s), f"gate still shut after {deadline_s:g} s"


def answer(body=b"", status="200 OK", fields=()):
    """The bytes of a response with Content-Length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


class Connection:
    """One connection that the proxy made; methods for scripts."""

    def __init__(self, backend, sock):
        self.backend, self.sock, self.raw = backend, sock, sock
        self.stream = Stream(sock, backend.deadline_s)
        self.requests = []  # those read whole or in part, on this connection
        self.ended = threading.Event()  # the script is over

    def secure(self):
        """The handshake, of a backend that speaks TLS."""
        if self.backend.secure:
            self.sock = self.backend.secure(self.raw)
            self.stream = Stream(self.sock, self.backend.deadline_s)

    def head(self):
        """The next request's head; its body is not read yet."""
        message = read_request_head(self.stream)
        self.requests.append(message)
        self.backend.note(message)
        return message

    def body(self, message):
        """Reads the body of a request whose head was read."""
        read_body(self.stream, message, till_close=False)
        return message

    def request(self):
        return self.body(self.head())

    def send(self, data):
        self.sock.settimeout(self.backend.deadline_s)
        self.sock.sendall(data)

    def answer(self, body=b"", status="200 OK", fields=()):
        self.send(answer(body, status, fields))

    def closed(self, deadline_s=None):
        """Waits until the proxy closed its side."""
        self.stream.rest(deadline_s)
        return True

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()


class Backend:
    """
    A server on 127.0.0.1 (or `address`).  script(conn) runs for each
    connection; without one every request gets 200 and the backend's name.
    secure: how an accepted socket becomes a TLS one, or False; when not given
    as the mode wants it.
    """

    def __init__(self, script=None, name="b", address=("127.0.0.1", 0), rcvbuf=None,
                 deadline_s=DEADLINE_S, secure=None):
        self.name, self.script, self.deadline_s = name, script or serve, deadline_s
        self.lock = threading.Lock()
        self.conns, self.requests, self.errors = [], [], []
        family = (socket.AF_UNIX if isinstance(address, str) else
                  socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        self.sock = socket.socket(family)
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind(address)
        self.sock.listen(512)
        self.port = None if family == socket.AF_UNIX else self.sock.getsockname()[1]
        self.secure = secure
        self._usual = secure is None and tls.BACK and self.port is not None
        if self._usual:
            self.secure = functools.partial(tls.usually, server=True)
            tls.serves(self.port)
        self.address = address if self.port is None else f"{self._host(address)}:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    @staticmethod
    def _host(address):
        return f"[{address[0]}]" if ":" in address[0] else address[0]

    def _accept(self):
        while True:
            try:
                sock, _ = self.sock.accept()
            except OSError:
                return
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            conn = Connection(self, sock)
            with self.lock:
                self.conns.append(conn)
            threading.Thread(target=self._run, args=(conn,), daemon=True).start()

    def _run(self, conn):
        try:
            conn.secure()
            self.script(conn)
        except (Broken, OSError):
            pass  # the proxy or the test ended it; scripts that mind say so
        except BaseException as e:  # shown when the test is over
            self.errors.append(e)
        finally:
            conn.close()
            conn.ended.set()

    def note(self, message: Message):
        with self.lock:
            self.requests.append(message)

    def wait_requests(self, count):
        return until(lambda: len(self.requests) >= count and self.requests,
                     lambda: f"{count} requests at backend {self.name}, "
                     f"there are {len(self.requests)}")

    def wait_conns(self, count):
        return until(lambda: len(self.conns) >= count and self.conns,
                     f"{count} connections at backend {self.name}")

    def stop(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()
        if self._usual:
            tls.serves(self.port, -1)
            self._usual = False
        for conn in list(self.conns):
            conn.close()
        if self.errors:
            raise self.errors[0]


def serve(conn):
    """The usual backend: answers every request with its own name."""
    while True:
        message = conn.request()
        body = conn.backend.name.encode()
        head = answer(body, fields=("Content-Type: text/plain",))
        conn.send(head[:-len(body)] if message.method == "HEAD" else head)
