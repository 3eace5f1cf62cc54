"""Sessions that are resumed: by other workers, after reloads, by other nodes; and those that are not."""
import base64
import os
import re

import pytest

from harness import Client, ini, until
from harness.reload import refuse, reload, site
from harness.wire import Broken
from secure import (CLOSING, VERSIONS, handshakes, knock, lines, only, s_client,
                    secured)

pytestmark = pytest.mark.plain_only("speaks TLS itself")
TLS = pytest.mark.parametrize("version", VERSIONS)


def session_of(proxy, ctx, port=None):
    """A session that evenkeel gave a ticket for, after a request."""
    with Client(port or proxy.port, secure=secured(ctx)) as c:
        assert not c.sock.tls.session_reused
        assert c.ask().status == 200
        assert c.sock.tls.session.has_ticket
        return c.sock.tls.session


def resumed(proxy, ctx, session, port=None):
    """Whether the session is good for another connection, which must serve in any case."""
    with Client(port or proxy.port, secure=secured(ctx, session=session)) as c:
        assert c.ask().status == 200
        return c.sock.tls.session_reused


@TLS
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_by_any_worker(lb, backend, pki, version, workers):
    proxy = lb([backend()], listener=lines(pki.usual()), workers=workers, admin=True)
    ctx = only(pki, version)
    session = session_of(proxy, ctx)
    for _ in range(8 * workers):
        assert resumed(proxy, ctx, session)
    until(lambda: handshakes(proxy, "client", "resumed") == 8 * workers, "the count")
    assert handshakes(proxy, "client", "full") == 1


@TLS
def test_sessions_in_a_chain(lb, backend, pki, version):
    """Each resumed connection brings a ticket for the next one."""
    proxy = lb([backend()], listener=lines(pki.usual()), workers=2)
    ctx = only(pki, version)
    session = session_of(proxy, ctx)
    for _ in range(10):
        with Client(proxy.port, secure=secured(ctx, session=session)) as c:
            assert c.sock.tls.session_reused and c.ask().status == 200
            session = c.sock.tls.session


def test_one_ticket(lb, backend, pki):
    """TLS 1.3 servers may send any number; one is what a client needs."""
    proxy = lb([backend()], listener=lines(pki.usual()))
    text = s_client(proxy.port, "-tls1_3", request=CLOSING)
    assert text.count("Post-Handshake New Session Ticket arrived") == 1
    life = int(re.search(r"ticket lifetime hint: (\d+)", text).group(1))
    assert 0 < life <= 7 * 86400


def test_no_session_ids(lb, backend, pki):
    """Without tickets nothing is kept: TLS 1.2 gets a full handshake, and works."""
    proxy = lb([backend()], listener=lines(pki.usual()))
    text = s_client(proxy.port, "-tls1_2", "-no_ticket", request=CLOSING)
    assert re.search(r"Session-ID: *\n", text) and " 200 OK" in text
    assert " 200 OK" in s_client(proxy.port, "-tls1_3", "-no_ticket", request=CLOSING)


def test_spoiled_tickets(lb, backend, pki, tmp_path):
    """Any byte of it changed: a full handshake, never an error."""
    proxy = lb([backend()], listener=lines(pki.usual()))
    for how in ("-tls1_2", "-tls1_3"):
        kept = tmp_path / f"s{how}"
        s_client(proxy.port, how, "-sess_out", kept, request=CLOSING)
        assert "\nReused, " in s_client(proxy.port, how, "-sess_in", kept, request=CLOSING)
        pem = kept.read_text()
        der = bytearray(base64.b64decode("".join(pem.splitlines()[1:-1])))
        at = max(m.start() for m in re.finditer(rb"\x04[\x81\x82]", bytes(der)))
        for offset in (4, 12, 20, 30, 60, 100):
            bad = bytearray(der)
            bad[at + offset] ^= 0x55
            kept.write_text("-----BEGIN SSL SESSION PARAMETERS-----\n" +
                            base64.encodebytes(bytes(bad)).decode() +
                            "-----END SSL SESSION PARAMETERS-----\n")
            text = s_client(proxy.port, how, "-sess_in", kept, request=CLOSING, check=False)
            assert " 200 OK" in text and "\nNew, " in text, (how, offset, text)


@TLS
def test_over_reloads(evenkeel, backend, pki, version):
    """Another configuration, even another certificate: tickets stay good."""
    b, ctx = backend(), only(pki, version)
    proxy = evenkeel(site([b], listener=lines(pki.usual()), workers=2))
    session = session_of(proxy, ctx)
    fresh = pki.pair("fresh", "DNS:lb.test", "IP:127.0.0.1")
    for listener in (lines(pki.usual()) + "idle_timeout = 50s\n", lines(fresh)):
        reload(proxy, site([b], listener=listener, workers=2))
        for _ in range(4):
            assert resumed(proxy, ctx, session)
    assert not resumed(proxy, ctx, None)


# --- keys in a file ------------------------------------------------------------------

FORMS = {
    "48": lambda keys: b"".join(k[:48] for k in keys),
    "80": lambda keys: b"".join(keys),
    "text 48": lambda keys: b"\n".join(base64.b64encode(k[:48]) for k in keys) + b"\n",
    "text 80": lambda keys: b"\n".join(base64.b64encode(k) for k in keys) + b"\n",
}


def key_file(folder, form, *keys):
    path = folder / "tickets.key"
    fresh = folder / "tickets.new"
    fresh.write_bytes(FORMS[form](keys))
    fresh.chmod(0o600)
    fresh.rename(path)
    return path


@pytest.fixture
def nodes(evenkeel, backend, pki):
    """nodes(path) -> two proxies with that key file."""
    def make(path, count=2):
        text = site([backend()], workers=2,
                    listener=lines(pki.usual()) + f"tls_ticket_keys = {path}\n")
        return [evenkeel(text) for _ in range(count)]
    return make


@TLS
@pytest.mark.parametrize("form", ["48", "80", "text 48", "text 80"])
def test_shared_by_nodes(nodes, pki, tmp_path, version, form):
    path = key_file(tmp_path, form, os.urandom(80))
    ctx = only(pki, version)
    one, two = nodes(path)
    session = session_of(one, ctx)
    assert resumed(two, ctx, session) and resumed(one, ctx, session)
    assert resumed(one, ctx, session_of(two, ctx))


@TLS
def test_not_shared_without_a_file(evenkeel, backend, pki, version):
    ctx, text = only(pki, version), site([backend()], listener=lines(pki.usual()))
    one, two = evenkeel(text), evenkeel(text)
    assert not resumed(two, ctx, session_of(one, ctx))


@TLS
@pytest.mark.parametrize("form", ["text 80", "text 48"])
def test_rotation(nodes, pki, tmp_path, version, form):
    """The first key seals, all of them open; the file is read again at a reload."""
    a, b, c = (os.urandom(80) for _ in range(3))
    path, ctx = key_file(tmp_path, form, a), only(pki, version)
    one, two = nodes(path)
    old = session_of(one, ctx)
    key_file(tmp_path, form, b, a)
    assert resumed(one, ctx, old)  # nothing changes before a reload
    reload(one)
    assert resumed(one, ctx, old)
    new = session_of(one, ctx)
    assert not resumed(two, ctx, new)  # it still has the old file
    reload(two)
    assert resumed(two, ctx, new) and resumed(two, ctx, old)
    key_file(tmp_path, form, b)
    reload(one)
    assert not resumed(one, ctx, old) and resumed(one, ctx, new)
    key_file(tmp_path, form, c)
    reload(one)
    assert not resumed(one, ctx, new) and not resumed(one, ctx, old)
    assert resumed(two, ctx, new)


def test_a_resumed_old_ticket_is_renewed(nodes, pki, tmp_path):
    """A ticket of the last key is replaced by one of the first."""
    a, b = os.urandom(80), os.urandom(80)
    ctx = only(pki, "1.3")
    one, = nodes(key_file(tmp_path, "text 80", a), 1)
    old = session_of(one, ctx)
    key_file(tmp_path, "text 80", b, a)
    reload(one)
    with Client(one.port, secure=secured(ctx, session=old)) as c:
        assert c.sock.tls.session_reused
        c.ask()
        newer = c.sock.tls.session  # it came with the answer or before
    key_file(tmp_path, "text 80", b)
    reload(one)
    assert resumed(one, ctx, newer) and not resumed(one, ctx, old)


@pytest.mark.parametrize("content", [b"", b"x", b"x" * 47, b"x" * 49, b"x" * 79, b"x" * 81, b"x" * 96,
                                     b"not base64 at all\n", base64.b64encode(b"x" * 47) + b"\n",
                                     base64.b64encode(b"x" * 48)[:-4] + b"\n",
                                     base64.b64encode(b"x" * 48) + b"\n!!\n"])
def test_bad_key_files(evenkeel, backend, pki, tmp_path, content):
    """Refused by reload with the file's name; what is in force stays."""
    path, b, ctx = tmp_path / "bad.key", backend(), only(pki, "1.3")
    path.write_bytes(content)
    proxy = evenkeel(site([b], listener=lines(pki.usual())))
    session = session_of(proxy, ctx)
    said = refuse(proxy, site([b], listener=lines(pki.usual()) + f"tls_ticket_keys = {path}\n"))
    assert "tls_ticket_keys" in said and str(path) in said, said
    assert resumed(proxy, ctx, session)


def test_keys_that_others_can_read(evenkeel, backend, pki, tmp_path):
    """As with other keys: a warning."""
    path = key_file(tmp_path, "48", os.urandom(80))
    path.chmod(0o644)
    proxy = evenkeel(site([backend()], listener=lines(pki.usual()) +
                          f"tls_ticket_keys = {path}\n"))
    said = proxy.verb("check")
    assert said.returncode == 0 and str(path) in said.stdout + said.stderr


# --- sessions are good for one listener -----------------------------------------------

def two_doors(pki, b, first, second, keys):
    """Listeners with the same keys of tickets; [0] and [1]."""
    return ini([b], workers=2, top="access_log = access.log\naccess_log_format = json\n",
               listener=lines(pki.usual()) + first + keys,
               rest=f"[listener second]\nbind = 127.0.0.1:0\npool = web\n{lines(pki.usual())}"
               + second + keys)


@TLS
@pytest.mark.parametrize("shared", [False, True])
def test_resumption_does_not_replace_a_client_certificate(evenkeel, backend, pki, tmp_path,
                                                          version, shared):
    """nginx's CVE-2025-23419: a session of an open listener is nothing to a closed one."""
    keys = f"tls_ticket_keys = {key_file(tmp_path, '80', os.urandom(80))}\n" if shared else ""
    b = backend()
    proxy = evenkeel(two_doors(pki, b, "", f"tls_client_ca = {pki.ca().certificate}\n", keys))
    ctx = only(pki, version)
    session = session_of(proxy, ctx)
    asked = len(b.requests)
    for _ in range(4):
        with pytest.raises((OSError, Broken)):
            with Client(proxy.ports[1], secure=secured(ctx, session=session)) as c:
                c.ask()
    assert len(b.requests) == asked
    assert resumed(proxy, ctx, session)


@TLS
def test_one_ca_s_session_at_another_ca_s_listener(evenkeel, backend, pki, tmp_path, version):
    """A visitor of one CA gets in at the other's door by a full handshake or not at all."""
    other = pki.ca("other")
    keys = f"tls_ticket_keys = {key_file(tmp_path, '80', os.urandom(80))}\n"
    b = backend()
    proxy = evenkeel(two_doors(pki, b, f"tls_client_ca = {pki.ca().certificate}\n",
                               f"tls_client_ca = {other.certificate}\n", keys))
    ctx = only(pki, version, pair=pki.client())
    session = session_of(proxy, ctx)
    assert resumed(proxy, ctx, session)
    asked = len(b.requests)
    with pytest.raises((OSError, Broken)):
        with Client(proxy.ports[1], secure=secured(ctx, session=session)) as c:
            c.ask()
    assert len(b.requests) == asked


@TLS
def test_another_ca_after_a_reload(evenkeel, backend, pki, version):
    """The CA's file changes: sessions of the old one's visitors are over."""
    b, path = backend(), pki.folder / f"ca-{version}.pem"
    path.write_bytes(pki.ca().certificate.read_bytes())
    text = site([b], listener=lines(pki.usual()) + f"tls_client_ca = {path}\n")
    proxy = evenkeel(text)
    ctx = only(pki, version, pair=pki.client())
    session = session_of(proxy, ctx)
    reload(proxy)
    assert resumed(proxy, ctx, session)  # the same content
    path.write_bytes(pki.ca("other").certificate.read_bytes())
    reload(proxy)
    asked = len(b.requests)
    with pytest.raises((OSError, Broken)):
        with Client(proxy.port, secure=secured(ctx, session=session)) as c:
            c.ask()
    assert len(b.requests) == asked


@TLS
def test_a_resumed_visitor_keeps_its_name(evenkeel, backend, pki, version):
    b = backend()
    proxy = evenkeel(site([b], workers=2, listener=lines(pki.usual()) +
                          f"tls_client_ca = {pki.ca().certificate}\n"))
    ctx = only(pki, version, pair=pki.client("kept", subject="/O=Acme/CN=kept"))
    session = session_of(proxy, ctx)
    for _ in range(6):
        assert resumed(proxy, ctx, session)
    assert {r.one("x-client-cert-subject") for r in b.requests} == {"CN=kept,O=Acme"}


@TLS
def test_a_session_of_one_name_at_another(evenkeel, backend, pki, version):
    """A ticket got under one name: under another one the certificate is that name's."""
    a, c2 = pki.pair("a"), pki.pair("c")
    proxy = evenkeel(site([backend()], listener=lines(a, c2)))
    ctx = only(pki, version)
    with knock(proxy, ctx, name="a.test") as c:
        session = c.sock.tls.session
    try:
        with knock(proxy, ctx, name="c.test", session=session) as c:
            assert c.ask().status == 200
    except OSError as e:
        raise AssertionError("a session must never cost a connection") from e
