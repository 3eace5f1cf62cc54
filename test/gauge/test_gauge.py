"""What a request costs stays under the limits of limits.json."""
import json
import pathlib
import shutil
import socket

import pytest

import measure

LIMITS = json.loads((pathlib.Path(__file__).parent / "limits.json").read_text())
FIGURES = measure.ROOT / "build" / "log" / "gauge.txt"


@pytest.fixture(scope="module")
def backend():
    for name in ("cc", "h2load"):
        if not shutil.which(name):
            pytest.skip(f"{name} is not installed")
    measure.compile_tools()
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    prepared = measure.PreparedBackend(port)
    FIGURES.parent.mkdir(parents=True, exist_ok=True)
    FIGURES.write_text("")
    yield prepared
    prepared.stop()


def show(name, value):
    line = f"{name:26} {value:10.3f} a request (limit {LIMITS[name]:g})\n"
    print(line, end="")
    with open(FIGURES, "a", encoding="utf-8") as f:
        f.write(line)


def needs(name):
    if not shutil.which(name):
        pytest.skip(f"{name} is not installed")


def within(figures):
    for name, value in figures.items():
        show(name, value)
    over = {n: v for n, v in figures.items() if v > LIMITS[n]}
    assert not over, f"over the limit: {over}"


def test_system_calls(backend):
    needs("strace")
    figures, calls = measure.system_calls(backend, 4000)
    print({n: round(v, 3) for n, v in sorted(calls.items()) if abs(v) > 0.001})
    within(figures)


def test_instructions(backend):
    needs("valgrind")
    within({"instructions": measure.instructions(backend, 2000)})


def test_allocations(backend):
    within({"allocations": measure.allocations(backend, 4000)})
