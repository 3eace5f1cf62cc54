"""Certificates change fifty times under TLS load; the end-to-end tests with TLS on each side."""
import os
import pathlib
import re
import shutil
import subprocess
import sys

from soaklib import MB, ROOT, proxy, release, until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

from harness import Backend  # noqa: E402
from harness.crowd import Crowd  # noqa: E402
from harness.reload import ask, counts, snapshots  # noqa: E402
from secure import Pki, context, secured, served  # noqa: E402

RELOADS, CLIENTS, RATE, BETWEEN = 50, 32, 250, 40
GROWTH = 3 * MB
MODES = ("front", "back", "both")
BUILDS = {"debug": "asan", "tsan": "tsan"}
TESTS_S = 2400

CONFIG = """
[global]
workers = 2

[admin]
listen = 127.0.0.1:0

[listener main]
bind = 127.0.0.1:0
tls_certificate = {folder}/site.pem
tls_key = {folder}/site.key

[pool web]
{backends}
tls_ca = {folder}/trust.pem
health = off
eject_failures = 0
retry_attempts = 0
keepalive_timeout = 300ms
"""


def put(path, data):
    """A file takes the place of another at once."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(data)
    fresh.chmod(0o600)
    fresh.rename(path)


def renew(folder, pair, trust):
    put(folder / "site.pem", pair.certificate.read_bytes())
    put(folder / "site.key", pair.key.read_bytes())
    put(folder / "trust.pem", b"".join(ca.certificate.read_bytes() for ca in trust))


def replacing(report, folder):
    """Certificates and trust of both sides, replaced by reload under load."""
    folder.mkdir(parents=True)
    pki = Pki(folder / "pki")
    pairs = [pki.pair(f"v{n}", "DNS:lb.test", kind=("ec", "rsa")[n % 2]) for n in range(4)]
    inner = served(pki.pair("inner", "IP:127.0.0.1"))
    trusts = ([pki.ca()], [pki.ca(), pki.ca("other")])
    renew(folder, pairs[0], trusts[0])
    servers = [Backend(name=f"s{n}", secure=inner, deadline_s=120) for n in range(3)]
    lines = "\n".join(f"backend = https://{b.address}" for b in servers)
    lb = proxy(folder / "lb", CONFIG.format(folder=folder, backends=lines))
    try:
        wrong, sizes = [], []
        with Crowd(lb.port, CLIENTS, RATE,
                   secure=secured(context(pki), settle=False)) as crowd:
            for n in range(RELOADS):
                renew(folder, pairs[n % 4], trusts[n % 2])
                r = ask(lb)
                wrong += [] if r.returncode == 0 else [r.stdout + r.stderr]
                crowd.more(BETWEEN)
                sizes.append(lb.rss_bytes())
            report.check("no request failed", not crowd.failed,
                         f"{crowd.done} requests {crowd.failed[:3] or ''}")
            crowd.failed.clear()
        until(lambda: snapshots(lb) == 1, "one configuration")
        report.check("reloads", not wrong and counts(lb)["applied"] == RELOADS,
                     f"{counts(lb)} {wrong[:1] or ''}")
        report.check("memory", sizes[-1] - sizes[9] < GROWTH,
                     f"{sizes[9] / MB:.1f} MB after ten, {sizes[-1] / MB:.1f} MB at the end")
        lb.stop()
    finally:
        lb.kill()
        for b in servers:
            b.stop()


def built(preset):
    """The binary of a preset, made when it is not there or older than its source."""
    for command in (["cmake", "--preset", preset],
                    ["cmake", "--build", "--preset", preset, "-j", str(os.cpu_count())]):
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    return ROOT / "build" / preset / "evenkeel"


def suite(report, folder, preset, mode, version):
    """The end-to-end tests in one mode."""
    name = f"{BUILDS[preset]}, {mode}{', TLS ' + version if version else ''}"
    env = {**os.environ, "EVENKEEL_TLS": mode, "EVENKEEL_BIN": str(built(preset)),
           "EVENKEEL_RELEASE_BIN": str(release()), "PYTHONDONTWRITEBYTECODE": "1"}
    if version:
        env["EVENKEEL_TLS_VERSION"] = version
    log = ROOT / "build" / "log" / f"soak-tls-{preset}-{mode}{version}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "wb") as out:
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout", "150",
             "-n", "4", f"--basetemp={folder / name.replace(', ', '-').replace(' ', '')}",
             ROOT / "test/e2e"], env=env, stdout=out, stderr=subprocess.STDOUT,
            timeout=TESTS_S, check=False)
    last = re.sub(r"\x1b\[[0-9;]*m|=", "", log.read_text(errors="replace").strip()
                  .splitlines()[-1]).strip()
    report.check(f"end-to-end tests, {name}", run.returncode == 0, f"{last}; {log}")


def run(report, options):
    replacing(report, options.folder / "tls")
    if not shutil.which("cmake"):
        report.note("the end-to-end tests need cmake for their builds")
        return
    for preset in BUILDS:
        for mode in MODES:
            suite(report, options.folder, preset, mode, "")
    suite(report, options.folder, "debug", "both", "1.2")
