"""Large bodies, a slow reader, a slow backend: no memory grows with them."""
import os
import re
import subprocess

from soaklib import ROOT, release

TESTS = "slow_reader or slow_backend"


def run(report, options):
    env = dict(os.environ, EVENKEEL_BODY_MB=str(options.mb), EVENKEEL_RELEASE_BIN=str(release()),
               EVENKEEL_BIN=str(release()), PYTHONDONTWRITEBYTECODE="1")
    p = subprocess.run(["/usr/bin/python3", "-m", "pytest", "-q", "-rP", "-p", "no:cacheprovider",
                        "test/e2e/test_bodies.py", "-k", TESTS], cwd=ROOT, env=env,
                       capture_output=True, text=True, timeout=1800, check=False)
    for line in re.findall(r"^(?:down|up)load .*", p.stdout, re.M):
        report.note(line)
    report.check(f"bodies of {options.mb} MB", p.returncode == 0,
                 p.stdout.strip().splitlines()[-1] if p.returncode == 0 else p.stdout[-4000:])
