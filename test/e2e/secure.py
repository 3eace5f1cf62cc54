"""Certificates of the tests of TLS, and ways to talk to evenkeel with them."""
import functools
import pathlib
import re
import select
import ssl
import subprocess
import time

from harness import Client, tls, until
from harness.health import scrape
from harness.tls import certs
from harness.wait import DEADLINE_S

RECORDS = "access_log = access.log\naccess_log_format = json\n"
# Record types, versions, alerts (RFC 8446 5.1, 6).
ALERT, DATA = 21, 23
PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.S)


class Pki:
    """CAs and what they have issued; each certificate is made when first asked for."""

    def __init__(self, folder):
        self.folder, self._made = pathlib.Path(folder), {}

    def ca(self, name="root", **more):
        """root and other are roots, `middle` is signed by root."""
        if name not in self._made:
            if name == "middle":
                more.setdefault("parent", self.ca())
            self._made[name] = certs.Authority(self.folder / name, f"{name} CA", **more)
        return self._made[name]

    def pair(self, name, *sans, ca="root", **more):
        """By default for NAME.test."""
        sans = sans or (f"DNS:{name}.test",)
        key = (ca, name, sans, repr(more))
        if key not in self._made:
            others = sum(k[:2] == (ca, name) for k in self._made)  # that tests before have made
            file = f"{name}-{others + 1}" if others else name
            self._made[key] = self.ca(ca).issue(file, sans, **more)
        return self._made[key]

    def usual(self):
        """What most listeners have."""
        return self.pair("usual", *tls.NAMES)

    def client(self, name="visitor", **more):
        if ("client", name) not in self._made:
            ca = more.pop("ca", "root")
            self._made["client", name] = self.ca(ca).issue(
                f"client-{name}", usage=more.pop("usage", "clientAuth"), **more)
        return self._made["client", name]

    def lonely(self, name="lonely"):
        if ("lonely", name) not in self._made:
            self._made["lonely", name] = certs.self_signed(self.folder / "lonely", name)
        return self._made["lonely", name]

    def bundle(self, name, *parts):
        """A file with the certificates of several CAs."""
        path = self.folder / name
        path.write_bytes(b"".join(p.certificate.read_bytes() for p in parts))
        return path


def lines(*pairs, staples=()):
    """Of a listener with those certificates."""
    return "".join(p.ini() for p in pairs) + "".join(f"tls_ocsp_staple = {s}\n" for s in staples)


def secured(context, name=tls.NAME, session=None, settle=True):
    """For Client(secure=...): TLS with that context."""
    def wrap(sock):
        made = tls.Secured(sock, context, name=name, session=session)
        return made.settle() if settle else made
    return wrap


def context(pki=None, pair=None, low=None, high=None, alpn=("http/1.1",), ciphers=None,
            verify=True):
    """A client's; verified against the root CA unless told."""
    made = tls.client_context(pki.ca() if pki else None, pair, verify and pki is not None)
    if low:
        made.minimum_version = low
    if high:
        made.maximum_version = high
    if ciphers:
        made.set_ciphers(ciphers)
    if alpn is None:
        fresh = tls.strict(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        fresh.check_hostname, fresh.verify_mode = made.check_hostname, made.verify_mode
        if pki:
            fresh.load_verify_locations(str(pki.ca().certificate))
        return fresh
    made.set_alpn_protocols(list(alpn))
    return made


V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
VERSIONS = {"1.2": V12, "1.3": V13}


def only(pki, version, **more):
    """A context of one version, "1.2" or "1.3"."""
    return context(pki, low=VERSIONS[version], high=VERSIONS[version], **more)


def knock(port, ctx, **more):
    """A Client that has ended its handshake."""
    return Client(getattr(port, "port", port), secure=secured(ctx, **more))


def served(pair):
    """A server's `secure` for a Backend with that certificate."""
    return accepted(tls.server_context(pair))


def accepted(ctx):
    return functools.partial(tls.Secured, context=ctx, server=True)


def der(pair):
    return ssl.PEM_cert_to_DER_cert(PEM.search(pair.leaf.read_text()).group(0))


def whose(client, *pairs):
    """Which of the pairs the server showed."""
    got = client.sock.tls.getpeercert(binary_form=True)
    return next((p for p in pairs if der(p) == got), got)


def s_client(port, *args, request=b"", deadline_s=20, check=True):
    """
    Runs openssl s_client until the server closes; -> what it printed, as text.
    With a request it reads the answer to its end.
    """
    run = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *map(str, args),
         *(["-ign_eof"] if request else [])],
        input=request, capture_output=True, timeout=deadline_s, check=False)
    text = (run.stdout + run.stderr).decode("latin-1")
    assert not check or run.returncode == 0, text
    return text


CLOSING = b"GET / HTTP/1.1\r\nHost: lb.test\r\nConnection: close\r\n\r\n"


class Talk:
    """An openssl s_client that is told things as one goes: R, K, Q or requests."""

    def __init__(self, port, *args):
        self._run("s_client", "-connect", f"127.0.0.1:{port}", *args)

    def _run(self, *command):
        self.process = subprocess.Popen(
            ["stdbuf", "-o0", "openssl", *map(str, command)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.text = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def say(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()
        return self

    def hear(self, pattern, deadline_s=DEADLINE_S):
        """Reads until the pattern was seen, in what came since the last time."""
        end = time.monotonic() + deadline_s
        while not (m := re.search(pattern, self.text)):
            left = end - time.monotonic()
            assert left > 0, f"{pattern!r} not within {deadline_s:g} s in {self.text[-3000:]}"
            if select.select([self.process.stdout], [], [], left)[0]:
                more = self.process.stdout.read1(65536).decode("latin-1")
                assert more, f"{pattern!r} not before the end of {self.text[-3000:]}"
                self.text += more
        self.text = self.text[m.end():]
        return m

    def ended(self, deadline_s=DEADLINE_S):
        """Waits until it has ended; -> what it said last."""
        end = time.monotonic() + deadline_s
        while True:
            left = end - time.monotonic()
            assert left > 0, f"no end within {deadline_s:g} s: {self.text[-3000:]}"
            if select.select([self.process.stdout], [], [], left)[0]:
                more = self.process.stdout.read1(65536).decode("latin-1")
                if not more:
                    return self.text
                self.text += more


class Host(Talk):
    """An openssl s_server, told in the same way; one connection at a time."""

    def __init__(self, port, pair, *args):
        self._run("s_server", "-accept", f"127.0.0.1:{port}", "-cert", pair.certificate,
                  "-key", pair.key, *args)
        self.hear("ACCEPT")


def hello(name="lb.test", version=None, alpn=("http/1.1",)):
    """The bytes of a ClientHello, as a client of this OpenSSL sends it."""
    made = context(alpn=alpn)
    if version:
        made.minimum_version = made.maximum_version = version
    read, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        made.wrap_bio(read, out, server_hostname=name).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def records(data):
    """[(type, payload)] of whole records."""
    found = []
    while data:
        size = int.from_bytes(data[3:5], "big")
        assert len(data) >= 5 + size, data[:60]
        found.append((data[0], data[5:5 + size]))
        data = data[5 + size:]
    return found


def handshakes(proxy, side, result):
    """How many there were, as the metrics have it."""
    return scrape(proxy)["evenkeel_tls_handshakes_total"].total(side=side, result=result)


def failed_handshakes(proxy, count, side="client"):
    return until(lambda: handshakes(proxy, side, "failed") >= count,
                 lambda: f"{count} failed handshakes, there are "
                 f"{handshakes(proxy, side, 'failed'):g}")


def https(backend, *options, host=None):
    """One value of `backend`: that Backend over TLS, at its address or by another host name."""
    at = f"{host}:{backend.port}" if host else backend.address
    return " ".join([f"https://{at}", f"name={backend.name}", *options])


def trusting(pki, *more, ca="root"):
    """Lines of a pool that trusts the CA."""
    return "\n".join([f"tls_ca = {pki.ca(ca).certificate}", *more, ""])
