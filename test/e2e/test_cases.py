"""The byte-exact protocol cases of test/cases, through evenkeel.

Each shard is an evenkeel and a runner (which is client and backend) of its
own, as the runners mostly wait.
"""
import json
import re
import subprocess
import sys

import pytest

from harness.proxy import ROOT

CASES = ROOT / "test" / "cases"
pytestmark = pytest.mark.plain_only("its runners are clients and backends of their own")
SHARDS = 4

# Where the contract of evenkeel differs from what a case expects:
# id -> (what the runner says then, as a regular expression; why that is right).
REQUESTS_DIFFER = {}
RESPONSES_DIFFER = {}

# About 3 s at most, as the cases want; the same order as a user would choose.
TIMEOUTS = ("connect_timeout = 2s\nresponse_timeout = 2s\nstream_timeout = 2s\n"
            "request_timeout = 3s\nkeepalive_timeout = 3s\n")


def shard_of(name, shard):
    """Every SHARDS-th case, so that slow neighbours are spread."""
    lines = (CASES / name).read_text().splitlines(keepends=True)
    return "".join(lines[shard::SHARDS])


def play(runner, cases, proxy, backend_port, folder, *args):
    """Runs one shard; -> its results, one dict a case."""
    (folder / "cases.jsonl").write_text(cases)
    out = folder / "results.json"
    run = subprocess.run(
        [sys.executable, CASES / runner, str(proxy.port), str(backend_port),
         "--cases", folder / "cases.jsonl", "--json", out, *args],
        capture_output=True, text=True, timeout=400, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    results = json.loads(out.read_text())
    assert len(results) == cases.count("\n")
    return results


def wrong(results, differ):
    def excused(r):
        return r["id"] in differ and re.search(differ[r["id"]][0], r["why"])
    return [f"{r['id']}: {r['why']}" for r in results
            if r["verdict"] != "PASS" and not excused(r)]


@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("split", [0, 1])
def test_requests(lb, free_port, tmp_path, split, shard):
    port = free_port()
    proxy = lb([f"127.0.0.1:{port}"], pool=TIMEOUTS)
    results = play("run_requests.py", shard_of("requests.jsonl", shard), proxy, port,
                   tmp_path, "--split", str(split))
    bad = wrong(results, REQUESTS_DIFFER)
    assert not bad, f"{len(bad)} of {len(results)} cases:\n" + "\n".join(bad)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_responses(lb, free_port, tmp_path, shard):
    port = free_port()
    proxy = lb([f"127.0.0.1:{port}"], pool=TIMEOUTS)
    results = play("run_responses.py", shard_of("responses.jsonl", shard), proxy, port,
                   tmp_path)
    bad = wrong(results, RESPONSES_DIFFER)
    assert not bad, f"{len(bad)} of {len(results)} cases:\n" + "\n".join(bad)
