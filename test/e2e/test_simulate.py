"""evenkeel simulate: an outage played against the policies of a configuration."""
import json
import pathlib
import re
import resource
import shlex
import subprocess
import sys
import tempfile

import pytest

from harness import build_of, until
from harness.proxy import environment

pytestmark = pytest.mark.plain_only("no traffic")

CONFIG = """[listener a]
bind = 127.0.0.1:0
[pool web]
backend = 127.0.0.1:9 name=one
backend = 127.0.0.1:8 name=two
"""
EXAMPLE = "backend 1 down 30 s; backend 2 5 % 503"


def simulate(folder, *args, config=CONFIG, stdin=None):
    (folder / "lb.ini").write_text(config)
    return subprocess.run([str(build_of()), "-c", "lb.ini", "simulate", *args], cwd=folder,
                          capture_output=True, text=True, timeout=60, input=stdin,
                          env=environment(), check=False)


def as_json(folder, *args, **more):
    r = simulate(folder, "--json", *args, **more)
    assert r.returncode == 0 and not r.stderr, r.stderr
    return json.loads(r.stdout)


def test_help_lists_it(tmp_path):
    r = subprocess.run([str(build_of()), "--help"], capture_output=True, text=True, timeout=10,
                       env=environment(), check=False)
    assert "simulate SCRIPT" in r.stdout and "--seed" in r.stdout


def test_table(tmp_path):
    r = simulate(tmp_path, EXAMPLE)
    assert r.returncode == 0 and not r.stderr
    for part in ("pool web: 2 backends", "10 s to 40 s: backend one down",
                 "10 s to 60 s: backend two 503 5 %", "succeeded", "p99", "amplified",
                 "attempts per request: 1.0", "retries made", "backend one: taken out after",
                 "pool web: backend one is ejected for 10 s"):
        assert part in r.stdout, part
    assert all(len(line) <= 200 for line in r.stdout.splitlines())


def test_file_stdin_and_text_are_the_same(tmp_path):
    (tmp_path / "outage").write_text("# both\n" + EXAMPLE.replace("; ", "\r\n") + "\n")
    by_file = simulate(tmp_path, "outage").stdout
    assert by_file == simulate(tmp_path, "-", stdin=EXAMPLE).stdout
    assert by_file == simulate(tmp_path, EXAMPLE).stdout
    (tmp_path / "a file").write_text(EXAMPLE)
    assert by_file == simulate(tmp_path, "a file").stdout


def test_seed(tmp_path):
    first = as_json(tmp_path, EXAMPLE, "--seed", "5")
    assert first == as_json(tmp_path, "--seed", "5", EXAMPLE)
    assert first == as_json(tmp_path, EXAMPLE + "; seed 5")
    assert first["seed"] == 5
    assert first != as_json(tmp_path, EXAMPLE, "--seed", "6")


def test_json(tmp_path):
    r = as_json(tmp_path, "rate 500/s; " + EXAMPLE)
    assert r["requests"] == r["succeeded"] + r["failed"]
    assert r["success_rate"] > 0.999
    assert r["attempts"] == sum(b["attempts"] for b in r["backends"])
    assert r["attempts_without"] == r["requests"]
    assert sum(f["requests"] for f in r["failed_by"]) == r["failed"]
    one, two = r["backends"]
    assert one["name"] == "one" and one["amplification"] < 0.6
    assert two["amplification"] > 1.4 and two["outcomes"]["status"] > 500
    down = r["faults"][0]
    assert down["from_s"] == 10 and down["until_s"] == 40
    assert 10 < down["out_s"] < 10.2 and 40 < down["back_s"] < 45
    assert r["changes"][0]["state"] == "ejected"


def test_policies_decide(tmp_path):
    """The same outage, other settings: what changes is what they say."""
    outage = "at 10s for 5s: backend one down; rate 200/s"
    assert as_json(tmp_path, outage)["failed"] == 0
    off = as_json(tmp_path, outage, config=CONFIG + "retry_attempts = 0\n")
    assert off["failed_by"] and {f["why"] for f in off["failed_by"]} == {"retries_off"}
    blind = as_json(tmp_path, outage,
                    config=CONFIG + "retry_attempts = 0\nhealth = off\neject_failures = 0\n")
    assert blind["failed"] > 10 * off["failed"] and blind["changes"] == []


def test_pool_of_several(tmp_path):
    config = CONFIG.replace("[pool web]", "pool = web\n[pool web]") + \
        "[pool api]\nbackend = 127.0.0.1:7\n[route r]\npath = /api\npool = api\n"
    r = simulate(tmp_path, EXAMPLE, config=config)
    assert r.returncode == 2 and "pool NAME" in r.stderr and not r.stdout
    assert as_json(tmp_path, EXAMPLE + "; pool web", config=config)["pool"] == "web"


@pytest.mark.parametrize("args, part", [
    ([], "SCRIPT"), (["a", "b"], "b"), (["nowhere"], "nowhere: No such file"),
    (["."], "Is a directory"), ([""], "No such file"), (["--yaml"], "--yaml"),
    (["backend one dwon 3s"], "line 1: \"dwon\": unknown word (did you mean down?)"),
    (["backend uno down; rate x"], "no backend of that name"),
    (["duration 1s;\n\nrate x/s"], "line 3: \"x/s\": not a rate"),
    ([EXAMPLE, "--seed"], "--seed"), ([EXAMPLE, "--seed", "x"], "--seed"),
    ([EXAMPLE, "--seed", "1", "--seed", "2"], "--seed"), ([EXAMPLE, "--defaults"], "--defaults")])
def test_mistakes_are_2(tmp_path, args, part):
    r = simulate(tmp_path, *args)
    assert r.returncode == 2 and not r.stdout
    assert part in r.stderr and r.stderr.count("\n") < 4


def test_long_scripts_and_bad_configurations(tmp_path):
    (tmp_path / "long").write_text("# " + "x" * 70000)
    r = simulate(tmp_path, "long")
    assert r.returncode == 2 and "longer than 64k" in r.stderr
    r = simulate(tmp_path, EXAMPLE, config=CONFIG + "nonsense = 1\n")
    assert r.returncode == 2 and "lb.ini:6:" in r.stderr


DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs" / "simulate.md"
EXAMPLES = re.compile(r"(?<=\n```\n)\$ (evenkeel -c .*)\n([^`]*)(?=```\n)")
OTHERS = {"patient.ini": "attempt_timeout = 500ms\n",
          "steady.ini": "retry_attempts = 5\nretry_base = 200ms\nretry_cap = 2s\n"}


def documented(text):
    """The document with what its examples print."""
    shop = re.search(r"```ini\n(.*?)```", text, re.S).group(1)
    with tempfile.TemporaryDirectory() as folder:
        for name, more in {"shop.ini": "", **OTHERS}.items():
            (pathlib.Path(folder) / name).write_text(shop + more)

        def play(m):
            r = subprocess.run([str(build_of()), *shlex.split(m.group(1))[1:]], cwd=folder,
                               capture_output=True, text=True, timeout=60, env=environment(),
                               check=True)
            return f"$ {m.group(1)}\n{r.stdout}"
        return EXAMPLES.subn(play, text)


def test_documented_examples_are_real():
    """After a change of what it prints: /usr/bin/python3 test/e2e/test_simulate.py"""
    text = DOCUMENT.read_text()
    now, n = documented(text)
    assert n == 5 and now == text


def test_quick(tmp_path):
    """60 s at 500 requests a second, played twice, in well under a second."""
    (tmp_path / "lb.ini").write_text(CONFIG)

    def fast():
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        r = subprocess.run([str(build_of("release")), "-c", "lb.ini", "simulate",
                            "rate 500/s; " + EXAMPLE], cwd=tmp_path, text=True, timeout=60,
                           capture_output=True, env=environment(), check=False)
        assert r.returncode == 0
        return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 0.5
    until(fast, "a run of less than half a second of CPU")


if __name__ == "__main__":
    sys.exit(0 if DOCUMENT.write_text(documented(DOCUMENT.read_text())[0]) else 1)
