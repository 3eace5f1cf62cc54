"""The second harness: varnishtest with the scenarios of test/vtc, each a test."""
import os
import random
import socket
import subprocess

import pytest

from harness import build_of
from harness.proxy import REPORTS, ROOT, environment

pytestmark = pytest.mark.plain_only("varnishtest speaks no TLS")

VTC = ROOT / "test/vtc"
SCENARIOS = sorted(p.stem for p in VTC.glob("*.vtc"))
LIMIT_S = 60
# Pool lines for backends that see only what the scenario sends, where there are such options.
PASSIVE = {"health": "off", "retry_attempts": "0", "eject_failures": "0"}


@pytest.fixture(scope="module")
def pool_lines():
    text = subprocess.run([build_of(), "-c", ROOT / "lb.ini", "config", "--defaults"],
                          capture_output=True, text=True, check=True, env=environment()).stdout
    return "\n".join(f"{k} = {v}" for k, v in PASSIVE.items() if f"\n{k} = " in text)


def fixed_port():
    """
    A port below those that the kernel gives away: the scenario has to name it
    before evenkeel takes it.
    """
    for _ in range(100):
        port = random.SystemRandom().randrange(12000, 30000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise AssertionError("no free port between 12000 and 30000")


@pytest.mark.parametrize("name", SCENARIOS)
def test_vtc(tool, tmp_path, pool_lines, name):
    port = fixed_port()
    env = dict(environment(), EVENKEEL_VTC_POOL=pool_lines, TMPDIR=str(tmp_path))
    p = subprocess.run(
        [tool("varnishtest"), "-v", "-t", str(LIMIT_S), "-D", f"port={port}",
         "-D", f"lb={VTC}/lb.sh {os.path.abspath(build_of())} {port}", VTC / f"{name}.vtc"],
        env=env, cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT_S + 20, check=False)
    output = p.stdout + p.stderr
    assert p.returncode == 0 and not REPORTS.search(output), output[-12000:]


def test_there_are_scenarios():
    assert len(SCENARIOS) >= 20
