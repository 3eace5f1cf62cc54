"""The configuration by a picky operator: every edge is accepted or named, never guessed."""
import re
import subprocess

import pytest

from harness import build_of
from harness.proxy import environment

pytestmark = pytest.mark.plain_only("no traffic")

GOOD = b"[listener a]\nbind = 127.0.0.1:0\n[pool p]\nbackend = 127.0.0.1:9\n"


def run(folder, data, *args):
    """The verb on a file of those bytes; -> (exit code, both outputs)."""
    (folder / "lb.ini").write_bytes(data)
    r = subprocess.run([str(build_of()), "-c", str(folder / "lb.ini"), *(args or ["check"])],
                       capture_output=True, timeout=10, env=environment(), check=False)
    assert r.returncode in (0, 2), (data[:200], r)
    return r.returncode, (r.stdout + r.stderr).decode("latin-1")


def check_all(folder, good=(), bad=()):
    """Each of good is valid; each of bad is refused with a place; all wrong ones are shown."""
    wrong = []
    for data in good:
        code, out = run(folder, data)
        if code:
            wrong.append(f"refused: {data[:300]!r}: {out[:300]}")
    for data in bad:
        code, out = run(folder, data)
        if not code or not re.search(r"lb\.ini(:\d+)?: ", out):
            wrong.append(f"accepted or without a place: {data[:300]!r}: {out[:300]}")
    assert not wrong, "\n".join(wrong)


def key(section, line):
    """The good file with one more line in that section."""
    assert section in (b"global", b"listener a", b"pool p", b"admin", b"route r")
    at = b"[%s]\n" % section
    text = GOOD if at in GOOD else GOOD + at
    if section == b"route r":
        text += b"pool = p\n"
    return text.replace(at, at + line + b"\n")


@pytest.mark.parametrize("section, names", [
    (b"global", "users groups pidfile worker Workers"),
    (b"admin", "recent slow_request bind"),
    (b"listener a", "tls_certificates tls_ca tls_verify tls_server_name tls_max_version tls "
     "redirects https http2 listen backend"),
    (b"route r", "backend bind prefix"),
    (b"pool p", "tls_client_ca tls_min_version tls_ciphers alpn redirect tls https "
     "resolves retry retry_max health_check eject slow_start_time "
     "bind weight name max"),
])
def test_keys_that_do_not_exist_are_unknown(tmp_path, section, names):
    """What a later version knows is refused by this one, not ignored."""
    names = names.split()
    lines = "\n".join(f"{n} = 1" for n in names).encode()
    code, out = run(tmp_path, key(section, lines))
    assert code == 2
    unknown = re.findall(r"\[[^\]]*\] ([\w.]+): unknown key", out)
    assert sorted(unknown) == sorted(names)


def test_sections_that_do_not_exist(tmp_path):
    names = [b"[instances x]", b"[tls]", b"[Global]", b"[global x]", b"[admin x]", b"[pool]",
             b"[listener]", b"[route]", b"[]", b"[ ]", b"[pool a b]", b"[pool a", b"pool p]",
             b"[[pool x]]", b"[pool x] y", b"[pool x]]", b"[pool ]", b"[pool a/b]",
             b"[pool a\x00b]", b"[pool \xc3\xa4]", b"[pool a:b]"]
    check_all(tmp_path, bad=[GOOD + n + b"\nbackend = 127.0.0.1:8\n" for n in names])


def many(kind, lines):
    """One file with a section for each line, to be judged in one pass; -> (bytes, line numbers)."""
    text, places = GOOD.replace(b"[pool", b"pool = p\n[pool"), []
    for i, line in enumerate(lines):
        text += b"[%s x%d]\n" % (kind, i)
        text += {b"pool": b"backend = 127.0.0.1:9\n", b"listener": b"bind = *:%d\npool = p\n"
                 % (i + 1)}[kind] + line + b"\n"
        places.append(text.count(b"\n"))
    return text, places


def check_many(folder, kind, good=(), bad=()):
    """As check_all, for values of keys of pools or listeners."""
    code, out = run(folder, many(kind, good)[0])
    assert code == 0, out
    text, places = many(kind, bad)
    code, out = run(folder, text)
    named = {int(n) for n in re.findall(r"lb\.ini:(\d+): \[", out)}
    missed = [bad[i] for i, place in enumerate(places) if place not in named]
    assert code == 2 and not missed, missed
    assert named == set(places), out


DURATIONS = [b"1ms", b"250ms", b"2s", b"1m", b"1h", b"24h", b"86400s", b"86400000ms", b"0001s"]
NO_DURATIONS = [
    b"", b"1", b"1 s", b"1S", b"1d", b"1us", b"-1s", b"+1s", b"1.5s", b"1e3ms", b"0x1s", b"25h",
    b"86400001ms", b"1s1", b"1s 2s", b"1s,2s", b"s", b"ms", b"1%", b"1k", b"99999999999999999999s",
    b"18446744073709551617ms", b"307445734561825861m", b"1s\xa0", b"\"1s\"", b"one", b"0"]


@pytest.mark.parametrize("kind, name", [
    (b"listener", b"header_timeout"), (b"listener", b"body_timeout"),
    (b"listener", b"idle_timeout"), (b"listener", b"send_timeout"),
    (b"pool", b"connect_timeout"), (b"pool", b"response_timeout"), (b"pool", b"stream_timeout"),
    (b"pool", b"request_timeout"), (b"pool", b"keepalive_timeout"),
    (b"pool", b"health_interval"), (b"pool", b"health_interval_down"),
    (b"pool", b"health_timeout")])
def test_durations(tmp_path, kind, name):
    check_many(tmp_path, kind, [name + b" = " + v for v in DURATIONS],
               [name + b" = " + v for v in NO_DURATIONS])


def test_sizes_and_numbers(tmp_path):
    def lines(name, *values):
        return [name + b" = " + v for v in values]
    check_many(tmp_path, b"listener",
               lines(b"max_header_size", b"1k", b"1024", b"16k", b"256k", b"00016k", b"262144") +
               lines(b"max_body_size", b"0", b"1", b"8M", b"1G", b"1T", b"1024T") +
               lines(b"max_headers", b"1", b"1000"),
               lines(b"max_header_size", b"", b"0", b"1023", b"262145", b"257k", b"1 k", b"16kb",
                     b"16KiB", b"-1k", b"1.5k", b"16%", b"18014398509481985k",
                     b"18446744073709552640", b"auto") +
               lines(b"max_body_size", b"1025T", b"16777216T", b"18446744073709551615",
                     b"18446744073709551616", b"-1", b"16384E") +
               lines(b"max_headers", b"0", b"1001", b"1k", b"0x10") +
               lines(b"forwarded", b"all", b"rfc7230", b"X", b"x, off", b"") +
               lines(b"request_id", b"client", b"on") + lines(b"bind", b"nobody:http"))
    check_many(tmp_path, b"pool", lines(b"keepalive", b"0", b"65535", b"0064"),
               lines(b"keepalive", b"65536", b"64k", b"-1", b"", b"all") +
               lines(b"balance", b"random", b"hashed", b"ROUND_ROBIN", b"least_conn", b"") +
               lines(b"max_headers", b"0", b"1001"))
    check_all(tmp_path, [key(b"global", v) for v in (
        b"workers = 256", b"shutdown_timeout = 0", b"shutdown_timeout = 1h")],
        [key(b"global", v) for v in (
            b"workers = 0", b"workers = 257", b"workers = Auto", b"shutdown_timeout = 61m",
            b"max_connections = 0", b"access_log_format = Combined", b"log_level = warning")] +
        [key(b"listener a", b"pool = nobody"), key(b"listener a", b"pool = p, p")])


def test_retry_and_health(tmp_path):
    good = [
        b"retry_on = connect", b"retry_on = 400,599 , reset,\ttimeout",
        b"retry_on = " + b",".join(b"%d" % n for n in range(400, 600)),
        b"retry_attempts = 0", b"retry_attempts = 10", b"retry_base = 1s", b"retry_cap = 25ms",
        b"retry_jitter = none", b"retry_first_wait = off", b"retry_budget = 0%",
        b"retry_budget = 100%", b"retry_budget_min = 0", b"retry_body_limit = 0",
        b"retry_body_limit = 64M", b"attempt_timeout = 0", b"slow_start = 24h",
        b"health_path = /" + b"x" * 1023, b"health_path = /?a=b,c;d", b"health_host = [::1]:80",
        b"health_status = 100-599", b"health_status = 200,201, 202-204",
        b"health_status = " + b",".join(b"%d" % n for n in range(100, 600)),
        b"health_body = " + b"x" * 4000, b"health_body = a, \"b\" = [c] \xc3\xa4",
        b"health_port = 1", b"health_port = 65535", b"eject_cap = 10s", b"eject_base = 120s",
        b"eject_max = 0%"]
    bad = [
        b"retry_on = ", b"retry_on = ,", b"retry_on = connect,", b"retry_on = conect",
        b"retry_on = connect reset", b"retry_on = connect,connect", b"retry_on = 502,0502",
        b"retry_on = 399", b"retry_on = 600", b"retry_on = 5xx", b"retry_on = all",
        b"retry_on = 18446744073709552118", b"retry_on = Connect", b"retry_attempts = 11",
        b"retry_attempts = -1", b"retry_base = 1001ms", b"retry_base = 0", b"retry_cap = 24ms",
        b"retry_jitter = FULL", b"retry_first_wait = 1", b"retry_budget = 20",
        b"retry_budget = 101%", b"retry_budget = 0.2", b"retry_budget = 18446744073709551616%",
        b"retry_budget = %", b"retry_budget_min = 10%", b"retry_body_limit = 65M",
        b"attempt_timeout = 25h", b"slow_start = 1", b"health = yes", b"health_path = x",
        b"health_path = /a b", b"health_path = /a#b", b"health_path = /\xc3\xa4",
        b"health_path = /" + b"x" * 1024, b"health_method = POST", b"health_host = a/b",
        b"health_host = " + b"h" * 256, b"health_status = 200-", b"health_status = 399-200",
        b"health_status = 2xx", b"health_status = 99", b"health_status = 200,200",
        b"health_status = 200-300,250-260", b"health_status = 250,200-300", b"health_body = ",
        b"health_body = " + b"x" * 4001, b"health_port = 0", b"health_port = 65536",
        b"health_rise = 0", b"health_fall = 1001", b"health_initial = ejected",
        b"eject_failures = -1", b"eject_base = 121s", b"eject_cap = 9999ms", b"eject_max = 50"]
    check_many(tmp_path, b"pool", good, bad)


def test_files_of_tls(tmp_path):
    """Of the files only the names are looked at here; what stands in them is another matter."""
    pair = b"tls_certificate = c\ntls_key = k\n"
    bad = [pair + v for v in (
        b"tls_min_version = 1.0", b"tls_min_version = 1", b"tls_min_version = 1.20",
        b"tls_min_version = TLS1.2", b"alpn = h2", b"alpn = http/1.1,h2", b"alpn = http/1.0",
        b"tls_ciphers = ", b"tls_ciphers = " + b"A" * 2001, b"tls_ocsp_staple = a,b",
        b"tls_ocsp_staple = no", b"tls_ocsp_staple = None", b"tls_client_ca = " + b"/x" * 513,
        b"tls_ticket_keys =", b"redirect = https", b"tls_key = l", b"tls_certificate = d")]
    bad += [b"tls_certificate = c", b"tls_key = k", b"tls_ticket_keys = t", b"alpn = http/1.1",
            b"tls_min_version = 1.2", b"tls_certificate = c,,d", b"tls_certificate = ,c"]
    for text in bad:
        code, out = run(tmp_path, key(b"listener a", text))
        assert code == 2 and re.search(r"lb\.ini:[2-5]: \[listener a\]", out), (text, out)
    check_many(tmp_path, b"listener", [
        b"redirect = https", b"redirect = https:1", b"redirect = https:65535"], [
        b"redirect = https:443:443", b"redirect = https:+1", b"redirect = https: 1",
        b"redirect = HTTPS", b"redirect = http:80", b"redirect = https:99999", b"redirect ="])
    check_many(tmp_path, b"pool", bad=[
        b"tls_verify = 1", b"tls_verify = Yes", b"tls_ca =", b"tls_server_name = a:1",
        b"tls_server_name = *.a", b"tls_server_name = [::1]", b"tls_server_name = a b",
        b"tls_server_name = 1.2.3", b"tls_certificate = c", b"tls_key = k"])


def test_binds(tmp_path):
    good = [b"127.0.0.1:0", b"[::1]:0", b"*:0", b"[::]:0", b"unix:/tmp/x.sock", b"127.0.0.1:65535",
            b"localhost:8080"]
    bad = [b"", b":", b"80", b"127.0.0.1", b"127.0.0.1:", b"127.0.0.1:65536", b"1.2.3:80",
           b"127.0.0.1:-1", b"127.0.0.1:8a", b"256.0.0.1:80", b"::1:80", b"[::1]", b"[::1]80",
           b"[::1:80", b"[1.2.3.4]:80", b"[g::]:80", b"http://127.0.0.1:80", b"unix:",
           b"unix:" + b"/x" * 60, b"127.0.0.1:80/", b"127.0.0.1 :80", b"127.0.0.1:80 x",
           b"127.0.0.1:080000080", b"01.02.03.04:80", b"%eth0:80"]
    check_many(tmp_path, b"listener", [b"bind = " + v for v in good], [b"bind = " + v for v in bad])


def test_backends(tmp_path):
    good = [b"127.0.0.1:80", b"[::1]:80", b"unix:/x", b"127.0.0.1:80 weight=1",
            b"127.0.0.1:80 name=x weight=256", b"localhost:80",
            b"srv:_http._tcp.x", b"srv:_http._tcp.x max=1 backup name=x",
            b"https://127.0.0.1:80", b"https://[::1]:443 weight=2", b"HTTPS://a.b:1 name=x backup",
            b"https://127.0.0.1:9"]
    bad = [b"", b"127.0.0.1", b"127.0.0.1:0", b"127.0.0.1:65536", b"*:80", b"[::1]:0",
           b"127.0.0.1:80 weight=0", b"127.0.0.1:80 weight=257", b"127.0.0.1:80 weight=",
           b"127.0.0.1:80 weight=-1", b"127.0.0.1:80 weight=1.5", b"127.0.0.1:80 weight",
           b"127.0.0.1:80 weight=1 weight=1", b"127.0.0.1:80 name=a name=b",
           b"127.0.0.1:80 name=", b"127.0.0.1:80 name=a/b", b"127.0.0.1:80 max=0",
           b"127.0.0.1:80 backup=yes", b"127.0.0.1:80 color=red", b"127.0.0.1:80 weight = 2",
           b"https://127.0.0.1", b"https://127.0.0.1:80/", b"https://", b"https://:443",
           b"https://127.0.0.1:0", b"https://::1:443", b"https://a:1 https://b:1", b"https:a:443",
           b"https:/a:443", b"https://u@a:443", b"https://unix:/x", b"https://srv:_http._tcp.x",
           b"https://https://a:1", b"https://*:443", b"https://a:443?x", b" https ://a:443",
           b"http://127.0.0.1:80", b"srv:x",
           b"srv:_http._tcp.x:80", b"srv:_http._udp.x", b"srv:_http._tcp.x weight=1",
           b"127.0.0.1:80 127.0.0.1:81", b"127.0.0.1:80; weight=2", b"a b:80", b"-x:80/",
           b"unix:", b"127.0.0.1:9", b"127.0.0.1:80 name=127.0.0.1:9"]
    check_many(tmp_path, b"pool", [b"backend = " + v for v in good],
               [b"backend = " + v for v in bad])


def padded(size, end=b"\n"):
    """The good file and a comment line, and a key line, of exactly that many bytes."""
    line = b"connect_timeout = 1s ;"
    return (b"; " + b"c" * (size - 2) + end + GOOD + line + b"x" * (size - len(line)) + end)


def test_line_length_is_exact(tmp_path):
    check_all(tmp_path, [padded(4095), padded(4096), padded(4096, b"\r\n"), padded(4096)[:-1]],
              [padded(4097), padded(4098), padded(8192), padded(65536), padded(4097, b"\r\n"),
               padded(4097)[:-1]])


def test_encodings_that_are_read(tmp_path):
    crlf = GOOD.replace(b"\n", b"\r\n")
    good = [GOOD[:-1], crlf, crlf[:-2], b"\xef\xbb\xbf" + GOOD, b"\xef\xbb\xbf" + crlf,
            b"\n\n\r\n \t\n" + GOOD, GOOD.replace(b" = ", b"="), GOOD.replace(b"bind", b"\t bind"),
            GOOD + b"connect_timeout = 1s ;yes\n",
            GOOD + b"; caf\xc3\xa9 \x80\n", GOOD.replace(b"]\n", b"] ; x\n"), GOOD + b"  # c\n"]
    check_all(tmp_path, good)


def test_encodings_that_are_refused(tmp_path):
    bad = [b"", b"\n", b"; only\n", GOOD + b"\0\n", GOOD + b"connect_timeout = 1s\0\n",
           GOOD.replace(b"p]", b"p\0]"), GOOD.replace(b"\n", b"\r"), GOOD.replace(b"\n", b"\n\r"),
           b"\xef\xbb\xbf" * 2 + GOOD, b"\xff\xfe" + GOOD.decode().encode("utf-16-le"),
           b"\xef\xbb" + GOOD, GOOD + b"connect_timeout = 1s\x0b\n",
           GOOD + b"connect_timeout = 1s;no\n", GOOD + b"connect_timeout\n", GOOD + b"= 1s\n",
           GOOD + b"connect_timeout: 1s\n", GOOD + b"connect_timeout = 1s\n  2s\n",
           b"bind = 127.0.0.1:0\n" + GOOD, GOOD + b"\x1b[31mx = 1\n",
           GOOD + b"CONNECT_TIMEOUT = 1s\n"]
    check_all(tmp_path, bad=bad)


def test_messages_do_not_reach_the_terminal_raw(tmp_path):
    """Control bytes of a file are escaped where they are shown."""
    for data in (b"\x1b]0;title\x07 = 1\n", b"connect_timeout = \x1b[2J\n", b"[pool \x1b[2J]\n",
                 b"backend = \x1b[2J\n", b"balance = a\x9b2J\n"):
        code, out = run(tmp_path, GOOD + data)
        assert code == 2 and "\x1b" not in out and "\x07" not in out and "\x9b" not in out


def test_names_at_their_limits(tmp_path):
    """A header has at most 48 bytes between its brackets, a key as well."""
    def named(size):
        return GOOD.replace(b"pool p", b"pool " + b"n" * (size - 5))
    check_all(tmp_path, [named(47), named(48), GOOD.replace(b"pool p", b"pool 0._-Z")],
              [named(49), named(50), named(500), GOOD + b"k" * 48 + b" = 1\n",
               GOOD + b"k" * 49 + b" = 1\n", GOOD + b"connect_timeout" + b"x" * 40 + b" = 1s\n"])


def test_duplicates(tmp_path):
    """Refused at the second place, whatever the first one said."""
    cases = [(GOOD + b"keepalive = 1\nkeepalive = 1\n", 6),
             (GOOD + b"keepalive = x\nkeepalive = 1\n", 6),
             (GOOD + b"[pool p]\nbackend = 127.0.0.1:8\n", 5),
             (GOOD + b"[listener a]\nbind = 127.0.0.1:1\n", 5),
             (GOOD + b"[global]\n[global]\n", 6),
             (GOOD + b"[admin]\n[listener b]\nbind=*:0\n[admin]\n", 8),
             (GOOD + b"backend = 127.0.0.1:9\n", 5),
             (GOOD + b"backend = 127.0.0.1:9 weight=2\n", 5),
             (GOOD + b"backend = 127.0.0.1:8 name=x\nbackend = 127.0.0.1:7 name=x\n", 6),
             (GOOD + b"[route r]\npool = p\n[route r]\npool = p\n", 7),
             (GOOD + b"[listener b]\nbind = *:81\nbind = 127.0.0.1:82, *:81\n", 7),
             (GOOD + b"[listener b]\nbind = *:81\n[listener c]\nbind = *:81\n", 8)]
    for data, line in cases:
        code, out = run(tmp_path, data)
        assert code == 2 and f"lb.ini:{line}: " in out, (data, out)


def test_missing_keys_are_reported_at_their_section(tmp_path):
    code, out = run(tmp_path, b"\n[listener a]\n\n[pool p]\n\n[route r]\npath = /\n")
    assert code == 2
    for line, word in ((2, "bind"), (4, "backend"), (6, "pool")):
        assert re.search(rf"lb\.ini:{line}: .*{word}", out), out


def test_a_thousand_errors_in_one_pass(tmp_path):
    text = GOOD + b"".join(b"wrong_%d = 1\n" % i for i in range(1000))
    code, out = run(tmp_path, text)
    assert code == 2 and len(re.findall(r"unknown key", out)) == 1000


def test_large_files(tmp_path):
    """Five hundred pools and as many routes: valid, and what config prints is the same."""
    text = GOOD.replace(b"[pool", b"pool = p\n[pool") + b"".join(
        b"[pool q%d]\nbackend = 127.0.0.1:%d\n[route r%d]\npath = /%d\npool = q%d\n"
        % (i, i + 1000, i, i, i) for i in range(500))
    code, first = run(tmp_path, text, "config", "--defaults")
    assert code == 0 and first.count("[route ") == 500
    assert run(tmp_path, first.encode(), "config", "--defaults") == (0, first)


def test_suggestions(tmp_path):
    for line, want in ((b"keepalve = 1", "keepalive"),
                       (b"Keepalive = 1", "keepalive"),
                       (b"keep_alive = 1", "keepalive"),
                       (b"conect_timout = 1s", "connect_timeout")):
        code, out = run(tmp_path, key(b"pool p", line))
        assert code == 2 and f"did you mean {want}?" in out, out
