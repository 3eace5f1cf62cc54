"""USR1 opens the log files anew: rotation loses no line."""
import signal
import threading

from harness import Client, until


def test_rotation_under_load_loses_no_line(lb, backend):
    proxy = lb([backend()], workers=2)
    done, counts = threading.Event(), [0, 0]

    def load(i):
        while not done.is_set():
            with Client(proxy.port) as c:
                for _ in range(20):
                    counts[i] += c.ask().status == 200
    threads = [threading.Thread(target=load, args=(i,)) for i in range(2)]
    for t in threads:
        t.start()
    old = []
    for n in range(10):
        moved = proxy.access_path.with_suffix(f".{n}")
        before = sum(counts)
        until(lambda b=before: sum(counts) > b + 50, "some requests")
        proxy.access_path.rename(moved)
        proxy.signal(signal.SIGUSR1)
        until(proxy.access_path.exists, "the new file")
        old.append(moved)
    done.set()
    for t in threads:
        t.join(30)
    proxy.stop()
    lines = [line for f in [*old, proxy.access_path] for line in f.read_text().splitlines()]
    assert len(lines) == sum(counts)
    assert all(line.startswith("{") and line.endswith("}") for line in lines)


def test_a_file_that_cannot_be_opened_stays_in_use(lb, backend, client):
    proxy = lb([backend()])
    c = client(proxy)
    c.ask()
    proxy.access(1)
    moved = proxy.folder / "moved.log"
    proxy.access_path.rename(moved)
    proxy.access_path.mkdir()  # open fails even for root
    proxy.signal(signal.SIGUSR1)
    until(lambda: "could not be opened anew" in proxy.stderr(), "the log to say so")
    c.ask()
    until(lambda: len(moved.read_text().splitlines()) == 2, "the record in the old file")
