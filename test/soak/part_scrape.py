"""/metrics ten times a second under load: no request fails, none is much slower."""
import statistics
import threading
import time

from soaklib import (URGENT, Process, free_port, get_ready, load, plain_site, proxy, scrape,
                     tool)

CONNECTIONS, RATE, EVERY_S, SLICES = 64, 4000, 0.1, 3
FACTOR, SLACK_MS = 1.5, 1.0


class Scraper:
    """Reads /metrics, strictly, at a fixed pace."""

    def __init__(self, lb):
        self.lb, self.took_ms, self.errors, self.done = lb, [], [], threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        due = time.monotonic()
        while not self.done.wait(max(0.0, due - time.monotonic())):
            due += EVERY_S
            start = time.monotonic()
            try:
                scrape(self.lb)
            except (AssertionError, OSError) as e:
                self.errors.append(repr(e))
            self.took_ms.append((time.monotonic() - start) * 1000)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()


def run(report, options):
    seconds = (options.seconds or 60) / SLICES
    port = free_port()
    with Process([*URGENT, tool("backend"), port]):
        get_ready(port)
        lb = proxy(options.folder / "scrape",
                   plain_site([port]), prefix=URGENT)
        try:
            load(lb.port, "/", 1, CONNECTIONS, RATE, URGENT)
            calm, scraped, took, errors = [], [], [], []
            for _ in range(SLICES):
                calm.append(load(lb.port, "/", seconds, CONNECTIONS, RATE, URGENT))
                with Scraper(lb) as s:
                    scraped.append(load(lb.port, "/", seconds, CONNECTIONS, RATE, URGENT))
                took += s.took_ms
                errors += s.errors
            lost = sum(f["errors"] + f["unsent"] for f in calm + scraped)
            report.check("no failed request", not lost,
                         f"{sum(f['done'] for f in calm + scraped)} requests")
            report.check("every scrape was well-formed", took and not errors,
                         f"{len(took)} scrapes, median {statistics.median(took):.1f} ms"
                         + "".join(errors[:1]))
            a, b = (statistics.median(f["p99_us"] for f in fs) / 1000 for fs in (calm, scraped))
            report.check("p99", b <= FACTOR * a + SLACK_MS, f"{a:.2f} ms without, {b:.2f} with")
            lb.stop()
        finally:
            lb.kill()
