"""testssl.sh and sslscan look at a listener with default TLS settings and find nothing."""
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import xml.etree.ElementTree

from soaklib import ROOT, Process, Skipped, free_port, get_ready, passive, proxy, release

sys.path.insert(0, str(ROOT / "test"))

import certs  # noqa: E402

from harness import Backend  # noqa: E402

TESTSSL_S, SSLSCAN_S = 900, 120
BAD = ("MEDIUM", "HIGH", "CRITICAL", "FATAL", "WARN")

# What testssl.sh says that is not about evenkeel: {id: (how the finding
# begins, why)}.  Anything else that is bad is about it.
EXCEPTIONS = {
    "engine_problem": ("No engine", "the openssl that testssl.sh calls has no GOST ciphers"),
    "cert_revocation": ("Neither CRL nor OCSP", "the private CA of this test publishes neither"),
    "sessionresumption_ticket": (
        "check failed because of connect problem",
        "the s_client it calls often leaves before the ticket of TLS 1.3 has come, with any "
        "server; check_resumption waits for it"),
}
# It has looked at these, and they are as they must be.
EXPECTED = {
    "SSLv2": "not offered", "SSLv3": "not offered", "TLS1": "not offered",
    "TLS1_1": "not offered", "TLS1_2": "offered", "TLS1_3": "offered",
    "ALPN": "http/1.1", "NPN": "not offered",
    "cipherlist_NULL": "not offered", "cipherlist_aNULL": "not offered",
    "cipherlist_EXPORT": "not offered", "cipherlist_LOW": "not offered",
    "cipherlist_3DES_IDEA": "not offered", "cipherlist_AVERAGE": "not offered",
    "cipherlist_STRONG": "offered", "PFS": "offered", "cipher_order": "server",
    "cert_numbers": "2", "cert_chain_of_trust": "passed",
    "heartbleed": "not vulnerable", "CCS": "not vulnerable", "ticketbleed": "not vulnerable",
    "ROBOT": "not vulnerable", "secure_renego": "supported",
    "secure_client_renego": "not vulnerable", "CRIME_TLS": "not vulnerable",
    "BREACH": "not vulnerable", "POODLE_SSL": "not vulnerable",
    "SWEET32": "not vulnerable", "FREAK": "not vulnerable", "DROWN": "not vulnerable",
    "LOGJAM": "not vulnerable", "BEAST": "not vulnerable", "LUCKY13": "not vulnerable",
    "RC4": "not vulnerable",
}
# Said of each certificate, cipher or client; the answers are in other findings.
DETAILS = re.compile(r"(cert_(?!revocation)|certs_|cert$|cipher_x|clientsimulation-)")
# What this old a client can do is no less than it must not be offered.
NO_CONNECTION = {"ie_6_xp", "ie_8_win7", "ie_8_xp", "java_7u25"}

CONFIG = """
[global]
workers = 1

[admin]
listen = 127.0.0.1:0

[listener main]
bind = 127.0.0.1:0
{certificates}

[pool web]
backend = 127.0.0.1:{port}
{passive}
"""

# The headers are the application's: evenkeel passes them on.
FIELDS = ["Strict-Transport-Security: max-age=31536000", "X-Content-Type-Options: nosniff",
          "X-Frame-Options: DENY", "Content-Security-Policy: default-src 'none'",
          "Referrer-Policy: no-referrer", "Content-Type: text/html"]


def application(conn):
    while True:
        conn.request()
        conn.answer(b"<p>here</p>\n", fields=FIELDS)


# --- testssl.sh ----------------------------------------------------------------------

def testssl_program():
    program = shutil.which("testssl") or shutil.which("testssl.sh")
    if not program:
        raise Skipped("testssl.sh is not installed")
    return program


def testssl(folder, port, ca, *only):
    """Every finding as testssl.sh writes it: {id, severity, finding}."""
    out = folder / f"testssl.{port}.json"
    out.unlink(missing_ok=True)
    with open(folder / f"testssl.{port}.txt", "wb") as text:
        subprocess.run(
            [testssl_program(), "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none",
             "--ip", "127.0.0.1", "--connect-timeout", "5", "--openssl-timeout", "10",
             "--add-ca", str(ca.certificate), "--jsonfile", str(out), *only,
             f"https://localhost:{port}"],
            stdin=subprocess.DEVNULL, stdout=text, stderr=subprocess.STDOUT, cwd=folder,
            timeout=TESTSSL_S, check=False, env={**os.environ, "LC_ALL": "C.UTF-8"})
    return json.loads(out.read_text())


def name_of(finding):
    """Without the certificate it is about: "cert_trust <cert#2>"."""
    return finding["id"].split()[0]


def told(finding):
    return f"{finding['severity']} {finding['id']}: {finding['finding'][:110]}"


def excuse(finding):
    """Why it is none, or None."""
    begins, why = EXCEPTIONS.get(name_of(finding), ("", None))
    return why if finding["finding"].startswith(begins) else None


def unexpected(findings, names=tuple(EXPECTED)):
    """What was not looked at, or is not as it must be."""
    wrong = []
    for name in names:
        seen = [f["finding"] for f in findings if name_of(f) == name] or ["not looked at"]
        wrong += [f"{name}: {s[:60]}" for s in seen if not s.startswith(EXPECTED[name])]
    return wrong


def clients(findings):
    """(how many simulated clients there are, those that could not connect)"""
    simulated = {f["id"].split("-", 1)[1]: f["finding"] for f in findings
                 if f["id"].startswith("clientsimulation-")}
    return len(simulated), {n for n, text in simulated.items() if text == "No connection"}


def check_testssl(report, findings):
    bad = [f for f in findings if f["severity"] in BAD]
    left = [f for f in bad if not excuse(f)]
    report.check("testssl.sh: nothing of MEDIUM or worse", not left,
                 "; ".join(map(told, left)) or f"{len(findings)} findings")
    for name, why in sorted({(name_of(f), excuse(f)) for f in bad if excuse(f)}):
        report.note(f"excused: {name}: {why}")
    wrong = unexpected(findings)
    report.check("testssl.sh: all is as it must be", not wrong,
                 "; ".join(wrong) or f"{len(EXPECTED)} findings compared")
    count, refused = clients(findings)
    report.check("testssl.sh: all clients but those of long ago", count > 20
                 and refused <= NO_CONNECTION, f"{count - len(refused)} of {count}; "
                 f"not: {', '.join(sorted(refused))}")
    for f in findings:
        if re.match(r"(overall_grade|final_score|grade_cap)", f["id"]):
            report.note(told(f))
        elif f["severity"] in ("LOW", "INFO") and not DETAILS.match(name_of(f)):
            report.note(told(f))


# --- sslscan -------------------------------------------------------------------------

def sslscan(folder, port):
    """-> (its XML, its text)"""
    if not shutil.which("sslscan"):
        raise Skipped("sslscan is not installed")
    out = folder / f"sslscan.{port}.xml"
    run = subprocess.run(["sslscan", "--no-colour", "--show-sigs", "--sni-name=localhost",
                          f"--xml={out}", f"127.0.0.1:{port}"], stdin=subprocess.DEVNULL,
                         capture_output=True, text=True, timeout=SSLSCAN_S, check=False)
    return xml.etree.ElementTree.parse(out).getroot().find("ssltest"), run.stdout


def doubts(scan):
    """What sslscan found that is not as good as it can be."""
    found = [f"{p.get('type')} {p.get('version')} is offered" for p in scan.iter("protocol")
             if p.get("enabled") == "1" and (p.get("type"), p.get("version"))
             not in (("tls", "1.2"), ("tls", "1.3"))]
    found += [f"{c.get('cipher')} is {c.get('strength')}" for c in scan.iter("cipher")
              if c.get("strength") not in ("strong", "acceptable")
              or not re.search(r"GCM|POLY1305", c.get("cipher"))]
    found += [f"heartbleed with {h.get('sslversion')}" for h in scan.iter("heartbleed")
              if h.get("vulnerable") != "0"]
    found += ["it renegotiates" for r in scan.iter("renegotiation") if r.get("supported") != "0"]
    found += ["it compresses" for c in scan.iter("compression") if c.get("supported") != "0"]
    found += [f"group {g.get('name')}" for g in scan.iter("group") if int(g.get("bits")) < 112]
    found += [f"signatures {s.get('name')}" for s in scan.iter("connection-signature-algorithm")
              if re.search(r"sha1|md5|any", s.get("name"))]
    found += ["a weak key" for k in scan.iter("pk") if k.get("error") != "false"]
    return found


def check_sslscan(report, scan, text):
    found = doubts(scan)
    ciphers = [f"{c.get('sslversion')} {c.get('cipher')}" for c in scan.iter("cipher")]
    report.check("sslscan: nothing to object to", not found and ciphers,
                 "; ".join(found) or f"{len(ciphers)} ciphers, all AEAD with forward secrecy")
    report.check("sslscan: both versions", {c.split()[0] for c in ciphers}
                 == {"TLSv1.2", "TLSv1.3"}, ", ".join(ciphers))
    report.check("sslscan: TLS_FALLBACK_SCSV", "supports TLS Fallback SCSV" in text)
    for kind in ("group", "connection-signature-algorithm"):
        report.note(f"{kind}s: " + ", ".join(
            f"{e.get('sslversion')} {e.get('name')}" for e in scan.iter(kind)))


# --- what testssl.sh is too fast for -------------------------------------------------

def ask(port, context, session=None):
    """Asks once and reads the answer; -> (the session to take up, whether one was)."""
    with socket.create_connection(("127.0.0.1", port), 10) as plain, \
            context.wrap_socket(plain, server_hostname="localhost", session=session) as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        while s.recv(65536):
            pass
        return s.session, s.session_reused


def check_resumption(report, port, ca):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = ssl.create_default_context(cafile=str(ca.certificate))
        context.minimum_version = context.maximum_version = version
        session, first = ask(port, context)
        report.check(f"a session is taken up, {version.name}",
                     not first and ask(port, context, session)[1])


# --- that they would see it ----------------------------------------------------------

def check_planted(report, folder, ca, pair):
    """Both object to a server that offers what is old."""
    port = free_port()
    command = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", pair.certificate,
               "-key", pair.key, "-cipher", "AES128-SHA:ECDHE-RSA-AES128-SHA:@SECLEVEL=0",
               "-www", "-quiet"]
    with Process(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        get_ready(port)
        findings = testssl(folder, port, ca, "--protocols", "--std")
        scan, _ = sslscan(folder, port)
    seen = unexpected(findings, ("cipherlist_AVERAGE", "ALPN"))
    report.check("a server with CBC is seen", len(seen) == 2 and len(doubts(scan)) > 1,
                 "; ".join(seen + doubts(scan))[:300])


def run(report, options):
    testssl_program()
    folder = options.folder / "tls_scan"
    folder.mkdir()
    ca, pairs, _ = certs.make_local(folder / "ca")
    ec, rsa = pairs["localhost-ecdsa"], pairs["localhost-rsa"]
    # A kept connection waits for the next request while other things are tried.
    backend = Backend(application, "here", deadline_s=2 * TESTSSL_S)
    text = CONFIG.format(port=backend.port, passive=passive(release()),
                         certificates=ec.ini() + rsa.ini())
    lb = proxy(folder / "lb", text)
    try:
        scan, out = sslscan(folder, lb.port)
        check_sslscan(report, scan, out)
        check_resumption(report, lb.port, ca)
        check_testssl(report, testssl(folder, lb.port, ca))
        lb.stop()
        check_planted(report, folder, ca, rsa)
    finally:
        lb.kill()
        backend.stop()
