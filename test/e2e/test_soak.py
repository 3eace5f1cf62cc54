"""Small forms of the pressure tests of ./dev soak."""
import pathlib
import random
import resource
import sys

import pytest

from harness import build_of

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "soak"))

import part_connections  # noqa: E402
import part_mixed  # noqa: E402
from soaklib import (Report, at_rest, descriptors, more_files,  # noqa: E402
                     same_descriptors, steady_descriptors)

pytestmark = pytest.mark.plain_only("the peers in C speak no TLS; ./dev soak tls presses on it")

REQUESTS = 20000


def press(folder, requests):
    """A storm of all kinds of requests, in an order of its own each time."""
    seed = random.SystemRandom().randrange(1 << 32)
    with part_mixed.started(folder, build_of(), "300ms") as lb:
        fds = steady_descriptors(lb)
        figures, complaints = part_mixed.storm(lb, requests, seed)
        assert not figures["failures"], complaints
        assert figures["requests"] >= requests
        assert not any(at_rest(lb).values()), at_rest(lb, 0)
        assert same_descriptors(lb, fds), f"{descriptors(lb.pid)}, {fds} at first; seed {seed}"
        counted, written = part_mixed.records(lb)
        assert counted == written


def test_mixed(tmp_path):
    press(tmp_path / "mixed", REQUESTS)


@pytest.mark.threaded
def test_mixed_in_threads(tmp_path):
    press(tmp_path / "mixed", REQUESTS // 5)


@pytest.fixture
def many_files():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield more_files()
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_ten_thousand_idle_connections(tmp_path, release_bin, many_files):
    if many_files < 11000:
        pytest.skip("too few open files are allowed")
    report = Report()
    part_connections.press(report, tmp_path / "idle", release_bin, seconds=1)
    assert report.passed and not report.failed
