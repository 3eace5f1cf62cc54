"""Fixtures: `evenkeel` starts proxies, `backend` servers, `client` connections."""
import os
import re
import shutil
import socket

import pytest

from harness import Backend, Client, Evenkeel, Gate, build_of, ini, tls
from lab import Lab
from secure import Pki


def pytest_configure(config):
    config.addinivalue_line("markers", "threaded: also run under ThreadSanitizer")
    config.addinivalue_line("markers", "plain_only(why): not in the modes of EVENKEEL_TLS; "
                            "why begins with `front:` or `back:` when it is for that side alone")


def pytest_collection_modifyitems(items):
    for item in items:
        for mark in item.iter_markers("plain_only") if tls.MODE else ():
            side, why = re.fullmatch("(?:(front|back): )?(.*)", mark.args[0]).groups()
            if {"front": tls.FRONT, "back": tls.BACK, None: True}[side]:
                item.add_marker(pytest.mark.skip(reason=f"plain only: {why}"))


@pytest.fixture
def cleanup():
    """Things to stop, in the order clients, proxies, backends."""
    ends = {"client": [], "proxy": [], "backend": []}
    yield ends
    errors = []
    for kind in ("client", "proxy", "backend"):
        for end in reversed(ends[kind]):
            try:
                end()
            except (AssertionError, OSError) as e:
                errors.append(e)
    if errors:
        raise errors[0]


@pytest.fixture
def backend(cleanup):
    """backend(script, name=...) -> a Backend that ends with the test."""
    made = []

    def make(script=None, name=None, **more):
        made.append(Backend(script, name or f"b{len(made)}", **more))
        cleanup["backend"].append(made[-1].stop)
        return made[-1]
    return make


@pytest.fixture
def held(backend):
    """A backend that answers x, when `held.gate` is open."""
    gate = Gate()

    def script(conn):
        while True:
            conn.request()
            gate.wait(30)
            conn.answer(b"x")
    b = backend(script)
    b.gate = gate
    return b


@pytest.fixture
def evenkeel(cleanup, tmp_path):
    """evenkeel(text) -> a running Evenkeel whose end must be clean."""
    count = [0]

    def make(text, **more):
        folder = tmp_path / f"lb{count[0]}"
        folder.mkdir()
        count[0] += 1
        lb = Evenkeel(folder, text, **more)
        cleanup["proxy"].append(lb.stop)
        return lb
    return make


@pytest.fixture
def client(cleanup):
    """client(lb or port) -> a Client that is closed at the end."""
    def make(to, **more):
        made = Client(getattr(to, "port", to), **more)
        cleanup["client"].append(made.close)
        return made
    return make


@pytest.fixture
def lb(evenkeel):
    """lb(backends, **ini options) -> Evenkeel with json access records."""
    def make(backends, top="", binary=None, **options):
        records = "access_log = access.log\naccess_log_format = json\n"
        return evenkeel(ini(backends, top=records + top, **options), binary=binary)
    return make


@pytest.fixture
def lab(cleanup):
    """lab("A", "B") -> a Lab of backends that fail as told."""
    def make(*names):
        made = Lab(names)
        cleanup["backend"].append(made.stop)
        return made
    return make


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    """Certificate authorities and what they issue: see secure.py."""
    folder = tmp_path_factory.mktemp("pki")
    for path in (folder, folder.parent, folder.parent.parent):
        path.chmod(path.stat().st_mode | 0o111)
    return Pki(folder)


@pytest.fixture
def free_port():
    """free_port() -> a port nobody has now, for servers that cannot tell theirs."""
    def find():
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            return s.getsockname()[1]
    return find


@pytest.fixture
def address():
    """
    address() -> (host, port) on the loopback where nobody listens.  Not on
    127.0.0.1, so that no connection of another test can have the port.
    """
    def find():
        host = ".".join(["127", *(str(1 + b % 250) for b in os.urandom(3))])
        with socket.socket() as s:
            s.bind((host, 0))
            return s.getsockname()
    return find


@pytest.fixture
def tool():
    """tool("curl") -> its path; skips the test where it is missing."""
    def find(name):
        path = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
        if not path:
            pytest.skip(f"{name} is not installed")
        return path
    return find


@pytest.fixture
def release_bin():
    """The release binary: for figures that sanitizers would distort."""
    path = build_of("release")
    if not path.exists():
        pytest.skip(f"{path} is not built")
    return path
