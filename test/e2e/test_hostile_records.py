"""One record a request, ids that never repeat, numbers that agree with each other."""
import collections
import json
import re
import threading

from harness import Broken, Client, ini, metrics, until


def scrape(proxy):
    with Client(proxy.admin_port) as c:
        return metrics.parse(c.ask(target="/metrics").body.decode())


def script(conn):
    """/404 and /500 get that status, /cut half a body, /bad garbage, /end nothing."""
    while True:
        word = conn.request().target[1:]
        if word == "end":
            return
        if word == "bad":
            conn.send(b"garbage\r\n\r\n")
            return
        if word == "cut":
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            return
        conn.answer(b"x", f"{word} X" if word.isdigit() else "200 OK")


RAW = [b"GET /ok HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
       b"GET /404 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
       b"GET /500 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
       b"GET /end HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
       b"GET /bad HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
       b"GET /cut HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
       b"POST /ok HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc",
       b"GET /ok HTTP/1.0\r\n\r\n", b"GET /ok HTTP/1.1\r\n\r\n", b"TRACE / HTTP/1.1\r\nHost: h\r\n"
       b"Connection: close\r\n\r\n", b"GET / HTTP/3.0\r\nHost: h\r\n\r\n", b"\0\0\r\n\r\n",
       b"POST /ok HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: x\r\n\r\n",
       b"POST /ok HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
       b"GET /" + b"l" * 9000 + b" HTTP/1.1\r\nHost: h\r\n\r\n",
       b"GET / HTTP/1.1\r\nHost: h\r\n" + b"X: 1\r\n" * 200 + b"\r\n"]


def test_metrics_agree_with_records(lb, backend):
    """Every kind of end over three workers: counted the same in both, and both complete."""
    proxy = lb([backend(script, name="one"), backend(script, name="two")], workers=3, admin=True)
    def work():
        for data in RAW:
            with Client(proxy.port) as c:
                c.send(data).stream.rest()
    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    count = 4 * len(RAW)
    records = proxy.access(count)
    families = until(lambda: (lambda f: f["evenkeel_requests_total"].total() == count and f)(
        scrape(proxy)), f"{count} requests counted")
    assert len(records) == count
    by_code = collections.Counter((r["pool"], str(r["status"])) for r in records)
    assert {(ls["pool"], ls["code"]): v for _, ls, v in
            families["evenkeel_requests_total"].samples} == by_code
    attempts = collections.Counter((a["backend"], a["outcome"]) for r in records
                                   for a in r["attempts"])
    assert {(ls["backend"], ls["outcome"]): v for _, ls, v in
            families["evenkeel_attempts_total"].samples if v} == attempts
    reused = collections.Counter((a["backend"], "yes" if a["reused"] else "no")
                                 for r in records for a in r["attempts"])
    assert {(ls["backend"], ls["reused"]): v for _, ls, v in
            families["evenkeel_upstream_connections_total"].samples if v} == reused
    seconds = families["evenkeel_request_duration_seconds"].samples
    assert {ls["pool"]: v for s, ls, v in seconds if s == "_count" and v} == \
        collections.Counter(r["pool"] for r in records)
    seconds = families["evenkeel_attempt_duration_seconds"].samples
    timed = sum(v for s, _, v in seconds if s == "_count")
    with_head = sum(n for (_, outcome), n in attempts.items() if outcome == "ok")
    assert with_head <= timed <= sum(attempts.values())
    side = {(ls["side"], ls["direction"]): v for _, ls, v in
            families["evenkeel_bytes_total"].samples}
    assert sum(r["bytes_in"] for r in records) <= side["client", "in"]
    assert sum(r["bytes_out"] for r in records) == side["client", "out"]
    until(lambda: scrape(proxy)["evenkeel_backend_inflight"].total() == 0, "none in flight")


def test_bytes_in_records_are_exact(lb, backend, client):
    """What was sent and received, heads, chunk lines and 1xx included."""
    def answers(conn):
        while True:
            m = conn.request()
            conn.send(b"HTTP/1.1 103 E\r\nX: 1\r\n\r\n")
            if m.target == "/chunked":
                conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                          b"5;x\r\nhello\r\n0\r\nT: 1\r\n\r\n")
            else:
                conn.answer(b"hello")
    proxy = lb([backend(answers)])
    wants = []
    for target, body in (("/a", b""), ("/chunked", b""), ("/b", b"3\r\nabc\r\n0\r\nX: 1\r\n\r\n")):
        c = client(proxy)
        head = f"POST {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n" + (
            "Transfer-Encoding: chunked" if body else "Content-Length: 0") + "\r\n\r\n"
        c.send(head.encode() + body)
        wants.append((len(head) + len(body), len(c.stream.rest())))
    assert [(r["bytes_in"], r["bytes_out"]) for r in proxy.access(3)] == wants


def test_ids_are_unique(lb, backend):
    """Three thousand over four workers, hundreds behind each other in a connection."""
    proxy = lb([backend()], workers=4)
    bad = b"TRACE /x HTTP/1.1\r\nHost: h\r\n\r\n"  # answered here: fast, and has an id as well
    def work():
        left = 300
        while left:
            with Client(proxy.port) as c:
                c.send(bad * left)
                try:
                    while left:
                        c.response()
                        left -= 1
                except Broken:
                    pass  # closed after some of them: the next connection
    threads = [threading.Thread(target=work) for _ in range(10)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    ids = [r["id"] for r in proxy.access(3000)]
    assert len(set(ids)) == len(ids) and all(re.fullmatch(r"[0-9a-zA-Z-]{16,64}", i) for i in ids)


INJECTIONS = ["/\"}", "/\\", "/\\\"", "/%0a%0d", "/\\u000a", "/'", "/$(id)", "/<script>",
              "/a\"b\"c", "/{\"x\":1}", "/" + "\"" * 4000, "/" + "\\" * 8000]


def test_log_injection(evenkeel, backend, client):
    """Quotes, backslashes, raw bytes in the target, in Host, Referer, agent and method."""
    for form in ("json", "combined"):
        proxy = evenkeel(ini([backend()], top=f"access_log = access.log\n"
                             f"access_log_format = {form}\n"))
        count = 0
        for target in INJECTIONS:
            client(proxy).ask(target=target, fields=[
                f"Referer: {target}\x80\xff", f"User-Agent: \" \" {target[:50]} 200 \x9b\t"])
            count += 1
        for raw in (b"GET /\n{\"time\":1}\r\n\r\n", b"GE\"T / HTTP/1.1\r\nHost: \"\r\n\r\n",
                    b"GET / HTTP/1.1\r\nHost: a\"b\\\r\n\r\n", b"\"\n\"\n\"\r\n\r\n",
                    b"GET /\x1b[2J HTTP/1.1\r\nHost: h\r\n\r\n",
                    b"GET / HTTP/1.1\r\nHost: h\nX-Fake: 127.0.0.1 - - [x]\r\n\r\n"):
            client(proxy).send(raw).stream.rest()
            count += 1
        until(lambda n=count, p=proxy: p.access_path.read_bytes().count(b"\n") >= n, "the records")
        data = proxy.access_path.read_bytes()
        assert data.count(b"\n") == count
        assert all(0x20 <= byte < 0x7f or byte == 0x0a for byte in data)
        for line in data.decode().splitlines():
            if form == "json":
                json.loads(line)
            else:
                assert re.fullmatch(r'127\.0\.0\.1 - - \[[^]]+\] "[^"]*" \d{3} (\d+|-) "[^"]*" '
                                    r'"[^"]*"', line), line


def test_records_of_clients_that_reset_while_answers_come(lb, backend):
    """Two hundred aborts at any moment: a record for each request that began, not one more."""
    proxy = lb([backend()], workers=2)
    for i in range(200):
        c = Client(proxy.port)
        c.send(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % i)
        if i % 3 == 0:
            c.response()
        (c.reset if i % 2 else c.close)()
    with Client(proxy.port) as c:
        c.ask(target="/last")
    answered = {f"/{i}" for i in range(0, 200, 3)}
    def seen():
        targets = collections.Counter(r["target"] for r in proxy.access())
        return answered <= set(targets) and targets
    targets = until(seen, "records")
    assert max(targets.values()) == 1


def test_every_error_made_here_says_so(lb, backend, client):
    """X-Request-Id as in the record, Proxy-Status, a body, and a length."""
    proxy = lb([backend(script)], listener="request_id = off\n")
    ids = []
    for data in RAW[3:5] + RAW[8:13] + RAW[14:]:
        c = client(proxy).send(data)
        r = c.response()
        assert r.status >= 400 and r.one("proxy-status").startswith("evenkeel"), r.head
        assert r.framing == "length" and r.body
        ids.append(r.one("x-request-id"))
    assert sorted(ids) == sorted(r["id"] for r in proxy.access(len(ids)))


def test_client_ids_are_not_trusted(lb, backend, client):
    b = backend()
    proxy = lb([b], listener="request_id = both\n")
    r = client(proxy).ask(fields=["X-Request-Id: evil", "x-request-id: evil2"])
    made = proxy.access(1)[0]["id"]
    assert b.requests[0].one("x-request-id") == made == r.one("x-request-id") != "evil"
