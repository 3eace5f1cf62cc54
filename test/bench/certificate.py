"""
The certificate of the TLS groups: ECDSA P-256, from a CA made for this run and
thrown away, and how each proxy is told to use it, and to do equal work with it.
"""
import functools
import ssl
import subprocess

from servers import OUT

FOLDER = OUT / "tls"
CA, CERT, KEY, BOTH = (FOLDER / f for f in ("ca.pem", "cert.pem", "key.pem", "both.pem"))
CIPHER, GROUP = "TLS_AES_128_GCM_SHA256", "X25519"
DAYS = "90"

NGINX_CACHE = "ssl_session_cache none; ssl_session_tickets on;"
# What configuration generators suggest: sessions kept by the server.
NGINX_SHARED = "ssl_session_cache shared:tls:50m; ssl_session_tickets off;"


def openssl(*args):
    subprocess.run(["openssl", *map(str, args)], cwd=FOLDER, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@functools.cache
def make():
    FOLDER.mkdir(parents=True, exist_ok=True)
    new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl(*new, "-x509", "-days", DAYS, "-subj", "/CN=CA of the benchmarks",
            "-keyout", "ca.key", "-out", CA)
    openssl(*new, "-subj", "/CN=localhost", "-keyout", KEY, "-out", "leaf.csr")
    (FOLDER / "leaf.ext").write_text("subjectAltName = DNS:localhost, IP:127.0.0.1\n"
                                     "basicConstraints = CA:FALSE\n"
                                     "keyUsage = digitalSignature\n")
    openssl("x509", "-req", "-in", "leaf.csr", "-CA", CA, "-CAkey", "ca.key",
            "-CAcreateserial", "-days", DAYS, "-extfile", "leaf.ext", "-out", CERT)
    BOTH.touch(mode=0o600)
    BOTH.write_text(CERT.read_text() + KEY.read_text())


def settings(name, sessions=NGINX_CACHE):
    """What goes into the templates of conf/."""
    make()
    options = {"trust": trust()}
    if name == "evenkeel":
        return {**options, "tls": f"tls_certificate = {CERT}\ntls_key = {KEY}\ntls_min_version = 1.3\n"
                f"tls_ciphersuites = {CIPHER}"}
    if name == "haproxy":
        return {**options, "tls": f"ssl crt {BOTH} ssl-min-ver TLSv1.3 ciphersuites {CIPHER} "
                f"curves {GROUP} alpn http/1.1"}
    return {**options, "ssl": " ssl",
            "tls": f"ssl_certificate {CERT}; ssl_certificate_key {KEY}; "
            f"ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites {CIPHER}; "
            f"ssl_ecdh_curve {GROUP}; {sessions}"}


def trust():
    """A client's context: who answers has our certificate."""
    return ssl.create_default_context(cafile=CA)
