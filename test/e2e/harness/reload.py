"""Another configuration for a running evenkeel, and what it says about it."""
import json
import os
import re
import signal
import socket
import ssl
import struct
import subprocess

from .client import Client
from .health import scrape, status
from .proxy import environment, ini
from .wait import DEADLINE_S, until

NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, TCP_LISTEN = 4, 20, 10
NLM_F_DUMP_REQUEST, NLMSG_DONE = 0x301, 3
RECORDS = "access_log = access.log\naccess_log_format = json\n"


def site(backends, top="", **options):
    """What the fixture `lb` starts with; has an admin listener unless told."""
    options.setdefault("admin", True)
    return ini(backends, top=RECORDS + top, **options)


def write(proxy, text):
    """The new file takes the place of the old one at once, as editors do it."""
    data = text if isinstance(text, bytes) else proxy._complete(text).encode()
    fresh = proxy.folder / "lb.ini.new"
    fresh.write_bytes(data)
    fresh.rename(proxy.file)


def ask(proxy, *args, deadline_s=DEADLINE_S):
    """`evenkeel reload` -> CompletedProcess; always finds the process."""
    return proxy.verb("--control", str(proxy.control), "reload", *args, deadline_s=deadline_s)


def reload(proxy, text=None, deadline_s=DEADLINE_S):
    """Puts the text in force by the verb; -> what it printed."""
    if text is not None:
        write(proxy, text)
    r = ask(proxy, deadline_s=deadline_s)
    assert r.returncode == 0, (r.returncode, r.stdout, r.stderr, proxy.stderr()[-3000:])
    return r.stdout


def refuse(proxy, text=None):
    """The same, which must be refused; -> all that was said."""
    if text is not None:
        write(proxy, text)
    r = ask(proxy)
    assert r.returncode == 2, (r.returncode, r.stdout, r.stderr)
    return r.stdout + r.stderr


def start_reload(proxy):
    """The verb in the background; -> Popen."""
    return subprocess.Popen([str(proxy.binary), "--control", str(proxy.control), "-c",
                             str(proxy.file), "reload"], text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env=environment(), cwd=proxy.folder)


def counts(proxy):
    """{"applied": N, "refused": N}, as the metrics have it."""
    family = scrape(proxy)["evenkeel_reloads_total"]
    return {kind: int(family.total(result=kind)) for kind in ("applied", "refused")}


def generation(proxy):
    return int(scrape(proxy)["evenkeel_config_generation"].total())


def hup(proxy, text=None):
    """Puts the text in force by SIGHUP; waits until a reload has ended."""
    if text is not None:
        write(proxy, text)
    before = sum(counts(proxy).values())
    proxy.signal(signal.SIGHUP)
    until(lambda: sum(counts(proxy).values()) > before, "the reload to end")


def snapshots(proxy):
    return status(proxy)["snapshots"]


def status_json(proxy):
    return json.loads(proxy.verb("--control", str(proxy.control), "status", "--json").stdout)


def counters(proxy):
    """{(name, labels): value} of all that must never fall."""
    found = {}
    for family in scrape(proxy).values():
        if family.type in ("counter", "histogram"):
            for suffix, labels, value in family.samples:
                found[(family.name + suffix, tuple(sorted(labels.items())))] = value
    return found


def never_fell(before, after):
    """What is less than before, or is gone."""
    return {k: (v, after.get(k)) for k, v in before.items() if after.get(k, 0) < v}


def listening(port, host="127.0.0.1"):
    """Inodes of the sockets that listen there; from the kernel (sock_diag(7))."""
    ask_it = struct.pack("=LHHLLBBBxL48x", 72, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP_REQUEST, 0, 0,
                         socket.AF_INET, socket.IPPROTO_TCP, 0, 1 << TCP_LISTEN)
    found, data = [], b""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as s:
        s.send(ask_it)
        while True:
            data = s.recv(1 << 16)
            while data:
                size, kind = struct.unpack_from("=LH", data)
                if kind == NLMSG_DONE:
                    return sorted(found)
                assert kind == SOCK_DIAG_BY_FAMILY, f"netlink says {data[:40]!r}"
                one, data = data[16:size], data[(size + 3) & ~3:]
                if one[8:12] == socket.inet_aton(host) and \
                        struct.unpack_from("!H", one, 4)[0] == port:
                    found.append(struct.unpack_from("=L", one, 68)[0])


def answers(address):
    """Whether somebody takes connections there, and ends a handshake if there is one."""
    try:
        with Client(address):
            return True
    except (ConnectionError, FileNotFoundError, ssl.SSLError):
        return False


def names(to, count, target="/", method="GET"):
    """Who answered, one request after the other on one connection."""
    with Client(to) as c:
        got = [c.ask(method, target) for _ in range(count)]
    assert {r.status for r in got} == {200}, [(r.status, r.body) for r in got]
    return [r.body.decode() for r in got]


def line_of(text, part):
    """The number of the first line that has it."""
    lines = (text.decode("latin-1") if isinstance(text, bytes) else text).splitlines()
    return next(i for i, line in enumerate(lines, 1) if part in line)


def log_lines(proxy):
    """What the log says, without time, level and who says it."""
    return [re.sub(r"^\S+ +\w+ +(reload: )?", "", line) for line in proxy.stderr().splitlines()]


def root():
    return os.geteuid() == 0
