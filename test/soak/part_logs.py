"""Rotation under load loses no line; a full disk or a blocked pipe is counted, requests go on."""
import contextlib
import json
import os
import signal
import subprocess
import threading

from soaklib import (MB, Process, free_port, get_ready, load, passive, proxy, release, scrape,
                     tool, until)

CONNECTIONS, RATE, ROTATE_EVERY_S = 64, 5000, 0.2
DISK = "size=512k"

CONFIG = """
[global]
workers = 2
access_log = {log}
access_log_format = json

[admin]
listen = 127.0.0.1:0

[listener main]
bind = 127.0.0.1:0

[pool web]
backend = 127.0.0.1:{port}
{passive}
"""


@contextlib.contextmanager
def started(folder, log):
    port = free_port()
    with Process([tool("backend"), port]):
        get_ready(port)
        lb = proxy(folder, CONFIG.format(port=port, log=log, passive=passive(release())))
        try:
            yield lb
        finally:
            lb.kill()


def lost_lines(lb):
    return int(scrape(lb)["evenkeel_log_lines_lost_total"].total())


def good_lines(text):
    """How many lines there are; each must be a whole record."""
    assert not text or text.endswith("\n"), f"the last line is cut: {text[-200:]!r}"
    lines = text.splitlines()
    for line in lines:
        assert json.loads(line)["status"] == 200, line
    return len(lines)


def rotate(report, options):
    """Renames the file and sends USR1, five times a second."""
    seconds, done, names = options.seconds or 30, threading.Event(), []
    with started(options.folder / "rotate", "access.log") as lb:
        def work():
            while not done.wait(ROTATE_EVERY_S):
                moved = lb.folder / f"access.{len(names)}"
                lb.access_path.rename(moved)
                names.append(moved)
                lb.signal(signal.SIGUSR1)
                until(lb.access_path.exists, "the new file")
        thread = threading.Thread(target=work)
        thread.start()
        try:
            f = load(lb.port, "/", seconds, CONNECTIONS, RATE)
        finally:
            done.set()
            thread.join()
        lost = lost_lines(lb)
        lb.stop()
        lines = sum(good_lines(n.read_text()) for n in [*names, lb.access_path])
    report.check("rotation", lines == f["done"] and not lost + f["errors"] + f["unsent"],
                 f"{f['done']} requests, {lines} lines in {len(names) + 1} files, {lost} lost")


@contextlib.contextmanager
def small_disk(folder):
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", DISK, "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def full_disk(report, options):
    folder = options.folder / "disk"
    if os.geteuid() != 0:
        report.note("skipped the full disk: only root can mount a small one")
        return
    with small_disk(folder):
        log = folder / "access.log"
        with started(options.folder / "full", log) as lb:
            f = load(lb.port, "/", 5, CONNECTIONS, RATE)
            report.check("requests while the disk is full", not f["errors"] + f["unsent"],
                         f"{f['done']}, p99 {f['p99_us'] / 1000:.2f} ms")
            until(lambda: lost_lines(lb) > 0, "lost lines to be counted")
            # What had room stays; emptied, the file takes lines again.
            with open(log, encoding="utf-8") as old:
                text = old.read()
            os.truncate(log, 0)
            until(lambda: log.stat().st_size > 0, "the log to work again")
            f2 = load(lb.port, "/", 0.05, 1, 1000)
            lost = lost_lines(lb)
            lb.stop()
            complaint = "lines lost" in lb.stderr()
            lines = good_lines(text + log.read_text())
        report.check("lines and losses of the full disk", lines + lost == f["done"] + f2["done"],
                     f"{lines} lines and {lost} lost of {f['done'] + f2['done']}")
        report.check("the log says so", complaint)


def blocked_pipe(report, options):
    fifo = options.folder / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    got = bytearray()
    try:
        with started(options.folder / "pipe", fifo) as lb:
            f = load(lb.port, "/", 5, CONNECTIONS, RATE)
            report.check("requests while nobody reads the pipe", not f["errors"] + f["unsent"],
                         f"{f['done']}, p99 {f['p99_us'] / 1000:.2f} ms")
            until(lambda: lost_lines(lb) > 0, "lost lines to be counted")
            os.set_blocking(reader, True)
            drain = threading.Thread(target=read_all, args=(reader, got))
            drain.start()
            f2 = load(lb.port, "/", 1, 8, 500)
            lost = lost_lines(lb)
            lb.stop()
            drain.join(10)
        lines = good_lines(got.decode())
        report.check("lines and losses of the pipe", lines + lost == f["done"] + f2["done"],
                     f"{lines} lines and {lost} lost of {f['done'] + f2['done']}")
    finally:
        os.close(reader)


def read_all(fd, into):
    while block := os.read(fd, MB):
        into += block


def run(report, options):
    rotate(report, options)
    full_disk(report, options)
    blocked_pipe(report, options)
