"""slowhttptest with 1,000 connections beside 50 ordinary clients: these must not notice."""
import shutil
import statistics
import subprocess
import time

from soaklib import (MB, URGENT, Process, Skipped, at_rest, load, moody, more_files, plain_site,
                     proxy, scrape, until)

ATTACKERS = 1000
CLIENTS, RATE, SECONDS, ROUNDS = 50, 1500, 4, 3
LIMIT = 2.0
PAGE = "/d/1024/7"
ATTACKS = {
    # heads that never end, bodies that drip, answers that are hardly read
    "H": ["-H", "-i", "3", "-t", "GET", "-x", "24"],
    "B": ["-B", "-i", "3", "-t", "POST", "-s", "8192", "-x", "10"],
    "X": ["-X", "-w", "512", "-y", "1024", "-n", "5", "-z", "32", "-k", "3"],
}
TARGETS = {"H": "/d/1024/1", "B": "/k/1024/1", "X": "/d/1000000/1"}


def attackers(lb):
    return scrape(lb)["evenkeel_connections"].total(side="client")


def quiet(lb):
    """Whether less than 1 MB came and went in a quarter of a second."""
    before = scrape(lb)["evenkeel_bytes_total"].total()
    time.sleep(0.25)
    return scrape(lb)["evenkeel_bytes_total"].total() - before < MB


def attack(program, lb, kind):
    """A running attack; at a lower priority, as it has machines of its own in real life."""
    url = f"http://127.0.0.1:{lb.port}{TARGETS[kind]}"
    return Process(["nice", "-n", "10", program, "-c", ATTACKERS, "-r", 1000, "-p", 3,
                    "-l", 120, "-u", url, *ATTACKS[kind]],
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def summary(report, name, figures):
    """The p99 of the ordinary clients in ms, the median of the rounds; all must be answered."""
    lost = sum(f["errors"] + f["unsent"] for f in figures)
    p99 = statistics.median(f["p99_us"] for f in figures) / 1000
    report.note(f"{name}: p99 {p99:.2f} ms of "
                f"{', '.join('%.2f' % (f['p99_us'] / 1000) for f in figures)}, "
                f"p50 {statistics.median(f['p50_us'] for f in figures) / 1000:.2f} ms")
    report.check(f"all answered, {name}", not lost, f"{sum(f['done'] for f in figures)} requests")
    return p99


def press(report, program, lb, kind):
    """Rounds without and with the attack beside each other: the machine may have moods."""
    calm, pressed, there = [], [], []
    for _ in range(ROUNDS):
        calm.append(load(lb.port, PAGE, SECONDS, CLIENTS, RATE, URGENT))
        with attack(program, lb, kind):
            until(lambda: attackers(lb) >= ATTACKERS * 0.95, "the attackers", 30)
            until(lambda: quiet(lb), "the attack to be under way", 30)
            there.append(attackers(lb))
            pressed.append(load(lb.port, PAGE, SECONDS, CLIENTS, RATE, URGENT))
            there.append(attackers(lb))
        until(lambda: not attackers(lb), "the attackers' end", 60)
    before = summary(report, f"without -{kind}", calm)
    beside = summary(report, f"with -{kind}", pressed)
    report.check(f"p99 with -{kind}", beside < LIMIT * before,
                 f"{beside / before:.2f} times; {min(there):.0f} to {max(there):.0f} attackers")


def run(report, options):
    program = shutil.which("slowhttptest")
    if not program:
        raise Skipped("slowhttptest is not installed")
    more_files()
    backend, port = moody(URGENT)
    with backend:
        lb = proxy(options.folder / "slow",
                   plain_site([port]), prefix=URGENT)
        try:
            load(lb.port, PAGE, 1, CLIENTS, RATE, URGENT)
            for kind in ATTACKS:
                press(report, program, lb, kind)
            report.check("gauges at the end", not any(at_rest(lb, 60).values()))
            lb.stop()
        finally:
            lb.kill()
