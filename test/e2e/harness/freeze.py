"""A proxy that stands still while its kernel goes on: events in an exact order."""
import array
import contextlib
import fcntl
import os
import pathlib
import signal
import termios

from .tls import Secured
from .wait import until


@contextlib.contextmanager
def standing_still(proxy):
    """What happens meanwhile is all there when the process goes on."""
    proxy.signal(signal.SIGSTOP)
    try:
        until(lambda: all(s == "T" for s in states(proxy.pid)), "every thread to stand still")
        yield
    finally:
        proxy.signal(signal.SIGCONT)


def states(pid):
    """One letter a thread, as in ps."""
    for stat in pathlib.Path(f"/proc/{pid}/task").glob("*/stat"):
        yield stat.read_text().rsplit(")", 1)[1].split()[0]


def arrived(sock):
    """Waits until all that was sent, the end included, is in the peer's kernel."""
    until(lambda: queued(sock, termios.TIOCOUTQ) == 0, "the peer's kernel to have it all")


def unread(sock):
    """Bytes that lie in the kernel, not yet read here."""
    return sock.unread() if isinstance(sock, Secured) else queued(sock, termios.FIONREAD)


def queued(sock, which):
    count = array.array("i", [0])
    if sock.fileno() < 0:  # it is closed here: nothing lies in it
        return 0
    fcntl.ioctl(sock, which, count)
    return count[0]


def reset_arrived(port, peer_port):
    """Waits until the kernel has dropped that end of a connection on 127.0.0.1."""
    ends = (f"0100007F:{port:04X}", f"0100007F:{peer_port:04X}")

    def there():
        lines = pathlib.Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()
        return any(tuple(line.split()[1:3]) == ends for line in lines)
    until(lambda: not there(), "the reset to arrive")


def cpu_s(proxy):
    """Seconds of processor time the process has taken."""
    stat = pathlib.Path(f"/proc/{proxy.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
