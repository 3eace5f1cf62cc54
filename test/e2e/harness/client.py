"""A client that sends what the test says, byte for byte."""
import socket
import struct

from . import tls
from .wait import DEADLINE_S
from .wire import Stream, read_response


class Client:
    """
    One connection to the proxy.  `to`: a port, (host, port) or a path.  secure:
    how the socket becomes a TLS one, or False; as the mode wants it when not given.
    """

    def __init__(self, to, deadline_s=DEADLINE_S, rcvbuf=None, secure=None):
        if isinstance(to, str):
            self.sock = socket.socket(socket.AF_UNIX)
        elif isinstance(to, tuple) and ":" in to[0]:
            self.sock = socket.socket(socket.AF_INET6)
        else:
            self.sock = socket.socket()
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(deadline_s)
        self.sock.connect(("127.0.0.1", to) if isinstance(to, int) else to)
        if not isinstance(to, str):
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = self._secured(to, secure)
        self.stream = Stream(self.sock, deadline_s)

    def _secured(self, to, secure):
        if secure is False or (secure is None and not tls.listens(to)):
            return self.sock
        try:
            return secure(self.sock) if secure else tls.usually(self.sock).settle()
        except BaseException:
            self.sock.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.sock.settimeout(self.stream.deadline_s)
        self.sock.sendall(data)
        return self

    def request(self, method="GET", target="/", fields=(), body=None, host="lb.test"):
        """Sends a whole request; a body given gets its Content-Length."""
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *fields]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        return self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b""))

    def response(self, method="GET"):
        return read_response(self.stream, method)

    def ask(self, method="GET", target="/", fields=(), body=None, host="lb.test"):
        self.request(method, target, fields, body, host)
        return self.response(method)

    def at_end(self, deadline_s=None):
        """Waits until the proxy closed; True when it was no reset."""
        return self.stream.at_end(deadline_s)

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)
        return self

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        self.sock.close()
