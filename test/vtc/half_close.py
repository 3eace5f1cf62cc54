"""A request, and then a half-close, which varnishtest has no word for; prints what comes."""
import socket
import sys

with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10) as s:
    s.sendall(b"GET /half HTTP/1.1\r\nHost: h\r\n\r\n")
    s.shutdown(socket.SHUT_WR)
    print(s.makefile("rb").read().decode())
