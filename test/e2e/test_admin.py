"""The admin pages and the status verb: reading only, and true."""
import json
import signal

import pytest

from harness import Client, Gate, until
from harness import metrics

# Those families whose subject exists; the others come with
# retries, health checks and queues.
FAMILIES = """
evenkeel_requests_total evenkeel_request_duration_seconds evenkeel_attempts_total
evenkeel_attempt_duration_seconds evenkeel_backend_inflight evenkeel_connections
evenkeel_upstream_connections_total evenkeel_bytes_total evenkeel_build_info
evenkeel_reloads_total evenkeel_config_generation
process_cpu_seconds_total process_open_fds process_max_fds process_virtual_memory_bytes
process_resident_memory_bytes process_start_time_seconds
""".split()


def page(proxy, target, method="GET"):
    with Client(proxy.admin_port) as c:
        return c.ask(method, target)


def scrape(proxy):
    r = page(proxy, "/metrics")
    assert r.status == 200 and r.one("content-type").startswith("text/plain; version=0.0.4")
    return metrics.parse(r.body.decode())


def test_health_pages(lb, backend):
    proxy = lb([backend()], admin=True)
    assert page(proxy, "/healthz").status == 200
    assert page(proxy, "/readyz").status == 200


def test_unknown_page_and_methods(lb, backend):
    proxy = lb([backend()], admin=True)
    assert page(proxy, "/nowhere").status == 404
    assert page(proxy, "/healthz", "POST").status == 405
    assert page(proxy, "/metrics", "DELETE").status == 405
    head = page(proxy, "/healthz", "HEAD")
    assert head.status == 200 and not head.body


def test_admin_is_as_strict_as_the_rest(lb, backend):
    proxy = lb([backend()], admin=True)
    with Client(proxy.admin_port) as c:
        c.send(b"GET /healthz HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n"
               b"Transfer-Encoding: chunked\r\n\r\n")
        assert c.response().status == 400
    with Client(proxy.admin_port) as c:
        for _ in range(3):
            assert c.ask(target="/healthz").status == 200  # keep-alive


def test_status_page(lb, backend, client):
    proxy = lb([backend(name="one"), backend(name="two")], admin=True)
    client(proxy).ask()
    r = page(proxy, "/status")
    assert r.status == 200 and r.one("content-type").startswith("application/json")
    text = json.dumps(json.loads(r.body))
    for word in ("web", "one", "two"):
        assert f'"{word}"' in text


def test_status_verb(lb, backend, client):
    proxy = lb([backend(name="one")])
    client(proxy).ask()
    run = proxy.verb("status")
    assert run.returncode == 0 and "web" in run.stdout and "one" in run.stdout
    run = proxy.verb("status", "--json")
    assert run.returncode == 0 and '"web"' in json.dumps(json.loads(run.stdout))
    run = proxy.verb("--control", str(proxy.control), "status")
    assert run.returncode == 0 and "web" in run.stdout


def test_status_of_nobody(lb, backend):
    proxy = lb([backend()])
    proxy.stop()
    run = proxy.verb("status")
    assert run.returncode == 1 and run.stderr.strip() and not run.stdout


def test_status_reads_a_file_with_errors_tolerantly(lb, backend):
    proxy = lb([backend(name="one")])
    proxy.file.write_text(proxy.file.read_text() + "\nnonsense = 1\n[bad\n")
    run = proxy.verb("status")
    assert run.returncode == 0 and "one" in run.stdout


def test_families(lb, backend):
    families = scrape(lb([backend()], admin=True))
    assert not [name for name in FAMILIES if name not in families]


def test_metrics_count_what_happened(lb, backend, client):
    def script(conn):
        while True:
            request = conn.request()
            conn.answer(b"x", "404 Not Found" if request.target == "/404" else "200 OK")
    proxy = lb([backend(script, name="one")], admin=True)
    c = client(proxy)
    for target in ("/", "/", "/404"):
        c.ask(target=target)
    client(proxy).send(b"bad\r\n\r\n").stream.rest()
    proxy.access(4)

    def counted():
        f = scrape(proxy)
        return f["evenkeel_requests_total"].total() == 4 and f
    f = until(counted, "four requests counted")
    requests = f["evenkeel_requests_total"]
    assert requests.values(listener="main", pool="web", code="200") == [2]
    assert requests.values(listener="main", pool="web", code="404") == [1]
    assert requests.total(listener="main", code="400") == 1
    assert f["evenkeel_attempts_total"].values(pool="web", backend="one", outcome="ok") == [3]
    up = f["evenkeel_upstream_connections_total"]
    assert up.total(backend="one", reused="no") == 1
    assert up.total(backend="one", reused="yes") == 2
    durations = f["evenkeel_request_duration_seconds"]
    assert [v for s, ls, v in durations.samples if s == "_count" and ls["pool"] == "web"] == [3]


def test_metrics_no_route_has_no_pool(evenkeel, backend, client):
    b = backend()
    proxy = evenkeel(f"[global]\nworkers = 1\n[admin]\nlisten = 127.0.0.1:0\n[listener main]\n"
                     f"bind = 127.0.0.1:0\n[pool a]\nbackend = {b.address}\n"
                     f"[pool b]\nbackend = {b.address}\n[route r]\npath = /x\npool = a\n")
    assert client(proxy).ask().status == 404
    until(lambda: scrape(proxy)["evenkeel_requests_total"].total(pool="", code="404") == 1,
          "a 404 without a pool")


def test_gauges_return_to_zero(lb, backend, client):
    """In flight and connections: what begins also ends."""
    gate = Gate()

    def script(conn):
        while True:
            conn.request()
            gate.wait()
            conn.answer(b"x")
    b = backend(script, name="one")
    proxy = lb([b], admin=True)
    clients = [client(proxy).request() for _ in range(5)]
    b.wait_requests(5)
    until(lambda: scrape(proxy)["evenkeel_backend_inflight"].total(backend="one") == 5,
          "five in flight")
    clients[0].close()
    gate.open()
    for c in clients[1:]:
        c.response()
        c.close()
    until(lambda: scrape(proxy)["evenkeel_backend_inflight"].total() == 0, "none in flight")
    until(lambda: scrape(proxy)["evenkeel_connections"].total(side="client") == 0,
          "no client connection left")


def test_bytes_are_counted(lb, backend, client):
    def script(conn):
        while True:
            conn.answer(conn.request().body)
    proxy = lb([backend(script)], admin=True)
    client(proxy).ask("POST", body=b"x" * 100000)

    def enough():
        series = scrape(proxy)["evenkeel_bytes_total"].samples
        return len(series) == 4 and all(100000 < v < 102000 for _, _, v in series)
    until(enough, "100 kB in each direction of each side")


def test_build_info(lb, backend):
    proxy = lb([backend()], admin=True)
    (_, labels, value), = scrape(proxy)["evenkeel_build_info"].samples
    assert value == 1 and labels["version"] in proxy.verb("--version").stdout


def test_readyz_while_stopping(lb, held, client):
    """A balancer in front learns that this one goes: 503 until the end."""
    proxy = lb([held], admin=True)
    c = client(proxy).request()
    held.wait_requests(1)
    proxy.signal(signal.SIGTERM)

    def gone():
        try:
            return page(proxy, "/readyz").status == 503
        except OSError:
            return True  # no admin page while stopping: as clear
    until(gone, "/readyz to say no")
    held.gate.open()
    assert c.response().body == b"x"
    assert proxy.wait() == 0


@pytest.mark.threaded
def test_scrapes_beside_traffic(lb, backend):
    proxy = lb([backend(), backend()], admin=True, workers=2)
    for _ in range(20):
        with Client(proxy.port) as c:
            for _ in range(5):
                assert c.ask().status == 200
        scrape(proxy)
        page(proxy, "/status")
    until(lambda: scrape(proxy)["evenkeel_requests_total"].total(code="200") == 100, "100")
