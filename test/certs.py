#!/usr/bin/python3
"""
Certificates to try things with: ./dev certs [DIRECTORY]

Makes a local CA, certificates for localhost (ECDSA and RSA) and one for a
client, and says how to use them.  A CA that is there is kept.  The tests use
the module for certificates of all kinds, broken ones too.
"""
import argparse
import dataclasses
import datetime
import os
import pathlib
import re
import subprocess
import sys

CONFIG = """
[ca]
default_ca = here
[here]
database = {folder}/index.txt
serial = {folder}/serial
new_certs_dir = {folder}/issued
default_md = sha256
policy = anything
unique_subject = no
rand_serial = yes
[anything]
commonName = optional
[req]
distinguished_name = nothing
prompt = no
utf8 = yes
string_mask = utf8only
[nothing]
"""
LEAF = """basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = {usage}
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""
AUTHORITY = """basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign, digitalSignature
subjectKeyIdentifier = hash
"""
KINDS = {"ec": ("EC", "ec_paramgen_curve:P-256"), "rsa": ("RSA", "rsa_keygen_bits:2048")}
CA_DAYS, LEAF_DAYS = 3650, 90
# OCSP responses hold their times as text of one length.
OCSP_TIME = re.compile(rb"\x18\x0f(\d{4})(\d{10}Z)")


def openssl(*args, data=None):
    """Runs the program; -> what it prints.  RuntimeError says why not."""
    env = {**os.environ, "LC_ALL": "C.UTF-8"}
    run = subprocess.run(["openssl", *map(str, args)], input=data, capture_output=True, env=env,
                         check=False, timeout=120)
    if run.returncode:
        raise RuntimeError(f"openssl {' '.join(map(str, args))}: "
                           f"{run.stderr.decode(errors='replace')}")
    return run.stdout


def write_key(path, kind="ec", shared=None):
    """A private key, 0600 from its first moment; `shared`: a copy of that one."""
    if shared:
        pem = pathlib.Path(shared).read_bytes()
    else:
        algorithm, option = KINDS[kind]
        pem = openssl("genpkey", "-algorithm", algorithm, "-pkeyopt", option)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as f:
        f.write(pem)
    return path


def utc(when):
    """A time for `openssl ca`: a datetime, or days from now."""
    if not isinstance(when, datetime.datetime):
        when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=when)
    return when.strftime("%Y%m%d%H%M%SZ")


@dataclasses.dataclass
class Pair:
    """Paths: the certificate with what leads to the root, its key, it alone."""
    certificate: pathlib.Path
    key: pathlib.Path
    leaf: pathlib.Path

    def ini(self):
        """Lines for a listener, or for a pool."""
        return f"tls_certificate = {self.certificate}\ntls_key = {self.key}\n"

    def serial(self):
        return openssl("x509", "-in", self.leaf, "-noout", "-serial").decode().split("=")[1].strip()

    def expires(self):
        """Unix time."""
        text = openssl("x509", "-in", self.leaf, "-noout", "-enddate").decode().split("=")[1]
        when = datetime.datetime.strptime(text.strip(), "%b %d %H:%M:%S %Y GMT")
        return int(when.replace(tzinfo=datetime.timezone.utc).timestamp())


class Authority:
    """A CA in a folder of its own; with a parent it is an intermediate one."""

    def __init__(self, folder, name="Test CA", parent=None, kind="ec", start=-400, end=CA_DAYS):
        self.folder, self.name, self.parent = pathlib.Path(folder), name, parent
        self.certificate, self.key = self.folder / "ca.pem", self.folder / "ca.key"
        self.was_there = self.certificate.exists()
        if self.was_there:
            return
        (self.folder / "issued").mkdir(parents=True, exist_ok=True)
        (self.folder / "openssl.cnf").write_text(CONFIG.format(folder=self.folder))
        (self.folder / "index.txt").touch()
        write_key(self.key, kind)
        request = self._request(self.key, f"/CN={name}")
        extensions = AUTHORITY if not parent else AUTHORITY + "authorityKeyIdentifier = keyid\n"
        (parent or self)._sign(request, self.certificate, extensions, (start, end),
                               own=parent is None)

    def _request(self, key, subject):
        return openssl("req", "-new", "-config", self.folder / "openssl.cnf", "-key", key,
                       "-subj", subject, "-utf8")

    def _sign(self, request, out, extensions, days, own=False):
        """`own`: signed by the key that asks for it."""
        part = out.with_suffix(".part")
        part.with_suffix(".csr").write_bytes(request)
        part.with_suffix(".ext").write_text(extensions)
        whose = ["-selfsign"] if own else ["-cert", self.certificate]
        openssl("ca", "-batch", "-config", self.folder / "openssl.cnf", *whose,
                "-keyfile", self.key, "-in", part.with_suffix(".csr"), "-out", part,
                "-extfile", part.with_suffix(".ext"), "-startdate", utc(days[0]),
                "-enddate", utc(days[1]), "-notext", "-preserveDN", "-utf8")
        for used in (".csr", ".ext"):
            part.with_suffix(used).unlink()
        part.rename(out)

    def issue(self, name, sans=(), usage="serverAuth", kind="ec", subject=None,
              start=-1, end=LEAF_DAYS, key=None, chain=True):
        """
        NAME.pem and NAME.key in the folder.  sans: "DNS:a.test", "IP:::1"; subject: as
        -subj has it; start, end: days from now; key: that of another pair;
        chain: with the intermediate certificates.
        """
        pair = Pair(self.folder / f"{name}.pem", self.folder / f"{name}.key",
                    self.folder / f"{name}.leaf")
        write_key(pair.key, kind, key)
        extensions = LEAF.format(usage=usage)
        if sans:
            extensions += "subjectAltName = " + ",".join(sans) + "\n"
        self._sign(self._request(pair.key, f"/CN={name}" if subject is None else subject),
                   pair.leaf, extensions, (start, end))
        pair.certificate.write_bytes(pair.leaf.read_bytes() + (self.chain() if chain else b""))
        return pair

    def chain(self):
        """Certificates between a leaf and the root, which is left out."""
        return self.certificate.read_bytes() + self.parent.chain() if self.parent else b""

    def revoke(self, pair):
        openssl("ca", "-batch", "-config", self.folder / "openssl.cnf", "-cert", self.certificate,
                "-keyfile", self.key, "-revoke", pair.leaf)

    def staple(self, pair, name="staple", days=7, shift_years=0):
        """An OCSP response about the pair, DER; -> its path."""
        out = self.folder / f"{name}.ocsp"
        openssl("ocsp", "-index", self.folder / "index.txt", "-CA", self.certificate,
                "-rsigner", self.certificate, "-rkey", self.key, "-issuer", self.certificate,
                "-cert", pair.leaf, "-respout", out, "-ndays", days, "-noverify", "-no_nonce")
        if shift_years:  # the signature breaks, the form does not
            out.write_bytes(OCSP_TIME.sub(
                lambda m: b"\x18\x0f%04d%s" % (int(m[1]) + shift_years, m[2]), out.read_bytes()))
        return out


def self_signed(folder, name="lonely", sans=("DNS:localhost", "IP:127.0.0.1"), kind="ec"):
    """A certificate that nobody else has signed."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    pair = Pair(folder / f"{name}.pem", folder / f"{name}.key", folder / f"{name}.pem")
    write_key(pair.key, kind)
    openssl("req", "-x509", "-key", pair.key, "-out", pair.certificate, "-days", LEAF_DAYS,
            "-subj", f"/CN={name}", "-addext", "subjectAltName = " + ",".join(sans))
    return pair


# --- ./dev certs ---------------------------------------------------------------------

LOCAL = ("DNS:localhost", "DNS:*.localhost", "IP:127.0.0.1", "IP:::1")


def make_local(folder):
    """-> (CA, {what: Pair}, names of those that were made now)."""
    ca = Authority(folder, "evenkeel local CA", start=-1)
    made = [] if ca.was_there else ["ca.pem", "ca.key"]
    pairs = {}
    for name, more in (("localhost-ecdsa", {}), ("localhost-rsa", {"kind": "rsa"}),
                       ("client", {"usage": "clientAuth", "sans": ()})):
        pair = Pair(*(ca.folder / f"{name}.{s}" for s in ("pem", "key", "leaf")))
        if not pair.certificate.exists():
            for half in (pair.key, pair.leaf):  # of a run that was broken off
                half.unlink(missing_ok=True)
            ca.issue(name, **{"sans": LOCAL, **more})
            made += [pair.certificate.name, pair.key.name]
        pairs[name] = pair
    return ca, pairs, made


def explain(ca, pairs, made):
    ec, rsa, client = pairs.values()
    print(f"made: {', '.join(made)}" if made else "all of them were there",
          f"in {ca.folder}", sep="\n", end="\n\n")
    print(f"""For lb.ini:

[listener secure]
bind = 127.0.0.1:8443
tls_certificate = {ec.certificate}
tls_key = {ec.key}
tls_certificate = {rsa.certificate}
tls_key = {rsa.key}
; clients must show a certificate of this CA:
; tls_client_ca = {ca.certificate}

; in a [pool] with https:// backends that have certificates of this CA:
; tls_ca = {ca.certificate}

Then:

curl --cacert {ca.certificate} https://localhost:8443/
curl --cacert {ca.certificate} --cert {client.certificate} --key {client.key} \
https://localhost:8443/""")


def main():
    parser = argparse.ArgumentParser(
        prog="./dev certs", description="A local CA, certificates for localhost and a client.")
    parser.add_argument("folder", nargs="?", default="build/certs", metavar="DIRECTORY")
    folder = pathlib.Path(parser.parse_args().folder).resolve()
    if (folder / "ca.pem").exists() and not (folder / "index.txt").exists():
        sys.exit(f"dev: {folder / 'ca.pem'} is of another CA; name another directory")
    try:
        explain(*make_local(folder))
    except (RuntimeError, OSError) as e:
        sys.exit(f"dev: {e}")


if __name__ == "__main__":
    main()
