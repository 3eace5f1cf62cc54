"""
A network namespace of its own for the whole benchmark: free ports, no filter
rules, and cubic on every socket (bbr, where it is the default, distorts bulk
transfers over loopback; the proxies cannot be told to use another).
"""
import os
import resource
import shutil
import socket
import subprocess
import sys

MARK = "EVENKEEL_BENCH_SPACE"
FILES = 65536
LOCAL = ("127.0.0.0/8", "127.0.0.1")


def enter():
    """Starts this program again inside; outside it goes on where none can be had."""
    if os.environ.get(MARK) or not shutil.which("unshare"):
        return
    flags = "-n" if os.geteuid() == 0 else "-rn"
    if subprocess.run(["unshare", flags, "true"], stderr=subprocess.DEVNULL,
                      check=False).returncode == 0:
        os.environ[MARK] = "1"
        os.execvp("unshare", ["unshare", flags, sys.executable, *sys.argv])


def quiet(*command):
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def prepare():
    """Loopback up, cubic, many ports, many files."""
    if os.environ.get(MARK):
        quiet("ip", "link", "set", "lo", "up")
        quiet("sysctl", "-qw", "net.ipv4.ip_local_port_range=2048 65000")
        for prefix in LOCAL:
            quiet("ip", "route", "change", "local", prefix, "dev", "lo", "table", "local",
                  "proto", "kernel", "scope", "host", "src", "127.0.0.1", "congctl", "cubic")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for files in (FILES, min(FILES, hard)):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, max(files, hard)))
            return
        except (OSError, ValueError):
            continue
    print(f"bench: only {soft} open files", file=sys.stderr)


def files():
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def congestion_control():
    """What an accepted connection really uses."""
    with socket.create_server(("127.0.0.1", 0)) as listener, \
            socket.create_connection(listener.getsockname()) as client:
        peer, _ = listener.accept()
        with peer:
            name = peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
            client.close()
            return name.split(b"\0")[0].decode()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]
