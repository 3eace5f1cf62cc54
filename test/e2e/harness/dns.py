"""A real name server (dnsmasq) on a loopback address, and programs that ask it and nobody else."""
import os
import random
import signal
import socket
import struct
import subprocess

from .wait import until

NAMESERVER = """nameserver {}
options timeout:1 attempts:1
"""
# Runs "$2" and the rest with "$1" in the place of /etc/resolv.conf, seen by nobody else.
INSIDE = 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'


def missing():
    """Why there can be no name server here, or None."""
    if os.geteuid() != 0:
        return "only root can bind port 53 and put a resolv.conf in place"
    if not os.path.exists("/etc/resolv.conf"):
        return "there is no /etc/resolv.conf to put another in the place of"
    tried = subprocess.run(["unshare", "-m", "sh", "-c", INSIDE, "sh", "/dev/null", "true"],
                           capture_output=True, text=True, timeout=30, check=False)
    return f"no mount namespace here: {tried.stderr.strip()}" if tried.returncode else None


class Block:
    """
    Loopback addresses of one test alone: ip(1), ip(2), ...  Backends on one
    port of several of them stand for the servers behind one name.
    """

    def __init__(self):
        self.base = f"127.{random.randrange(1, 255)}.{random.randrange(256)}"

    def ip(self, n):
        return f"{self.base}.{n}"

    def backends(self, make, count, script=None):
        """`count` backends named ip(1).. on the same free port; -> (port, backends)."""
        for _ in range(50):
            with socket.socket() as s:
                s.bind((self.ip(1), 0))
                port = s.getsockname()[1]
            made = []
            try:
                for n in range(1, count + 1):
                    made.append(make(script, name=self.ip(n), address=(self.ip(n), port)))
                return port, made
            except OSError:
                for b in made:
                    b.stop()
        raise AssertionError("no port is free on all addresses")


def name_of(host):
    return b"".join(bytes([len(x)]) + x.encode() for x in host.split(".")) + b"\0"


class Nameserver:
    """dnsmasq for names below .test; every change is in force when it returns."""

    def __init__(self, program, folder, ip):
        self.program, self.folder, self.ip = program, folder, ip
        self.hosts_path, self.process = folder / "hosts", None
        self.resolv_conf = folder / "resolv.conf"
        self.resolv_conf.write_text(NAMESERVER.format(ip))
        self.hosts_path.write_text("")
        self.prefix = ("unshare", "-m", "sh", "-c", INSIDE, "sh", str(self.resolv_conf))

    def start(self, hosts=None, srv=()):
        """hosts: {name: [ip, ...]}; srv: (name, target, port, priority, weight)."""
        self._write(hosts or {})
        with open(self.folder / "dnsmasq.log", "ab") as log:
            self.process = subprocess.Popen(
                [self.program, "--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
                 f"--addn-hosts={self.hosts_path}", "--bind-interfaces",
                 f"--listen-address={self.ip}", "--port=53", "--user=root", "--pid-file",
                 "--local=/test/", "--local-ttl=0", "--log-queries",
                 *[f"--srv-host={','.join(map(str, s))}" for s in srv]],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until(lambda: self._answers("any.test", 1) is not None or self.process.poll() is not None,
              "the name server to answer")
        assert self.process.poll() is None, (self.folder / "dnsmasq.log").read_text()
        return self

    def _write(self, hosts):
        self.hosts_path.write_text("".join(f"{ip} {name}\n" for name, ips in hosts.items()
                                           for ip in ips))

    def set(self, hosts):
        """Other addresses, while it runs."""
        self._write(hosts)
        self.process.send_signal(signal.SIGHUP)
        until(lambda: all(self._has(name, ips) for name, ips in hosts.items()),
              lambda: f"the name server to know {hosts}")

    def forget(self, name):
        """The name is gone: the answer is NXDOMAIN."""
        self._write({})
        self.process.send_signal(signal.SIGHUP)
        until(lambda: self._answers(name, 1) == [], f"the name server to forget {name}")

    def asked(self, name):
        """How often it was asked for the name, over all types."""
        text = (self.folder / "dnsmasq.log").read_text(errors="replace")
        return text.count(f"] {name} from ")

    def _has(self, name, ips):
        v4 = sorted(ip for ip in ips if ":" not in ip)
        return not v4 or sorted(self._answers(name, 1) or []) == v4

    def _answers(self, name, kind):
        """The IPv4 addresses it has for the name; None: it says nothing."""
        question = name_of(name) + struct.pack(">HH", kind, 1)
        with socket.socket(type=socket.SOCK_DGRAM) as s:
            s.settimeout(0.2)
            try:
                s.connect((self.ip, 53))
                s.send(struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + question)
                answer = s.recv(4096)
            except OSError:
                return None
        count, at, found = struct.unpack(">H", answer[6:8])[0], 12 + len(question), []
        for _ in range(count):
            # a compressed name (2), type, class, ttl, length
            length = struct.unpack(">H", answer[at + 10:at + 12])[0]
            found.append(socket.inet_ntoa(answer[at + 12:at + 12 + length]))
            at += 12 + length
        return found

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
