"""The rows of TLS: the same subjects as the plain ones, and handshakes."""
import certificate
import counts
import load
import servers
from load import MB
from rows import EQUAL, Row, better, check_reuse, compared, counted_connections

IDLE = 5000
THREE = ("evenkeel", "nginx", "haproxy")
KINDS = (("full", load.FULL, {"nginx": (1.05, 0.95)}),
         ("resumed", load.RESUMED, {"nginx": (1.0, 0.9)}))


def secure(name, label=None, more=None, **given):
    return name, label or name, {**certificate.settings(name, **given), **(more or {})}


def noise_of(b, measure, *keys):
    return b.noise(measure, keys, **certificate.settings("evenkeel"))


def in_turn(b, what, measure, wanted, rounds):
    with b.proxies(*wanted) as all_:
        halves = load.rounds(all_, measure, max(1, rounds))
    b.raw[what] = halves
    return halves


def rate_below(halves):
    """60 % of what the slowest can do."""
    return int(0.6 * min(load.value(halves, n, "rps") for n in THREE))


def saturated(b, what, measure):
    """(halves, noise) of `what` a second in a closed loop."""
    noise = noise_of(b, measure, "rps")
    return in_turn(b, f"tls saturation, {what}", measure, map(secure, THREE),
                   b.rounds // 2), noise


def tls_get(b):
    """Keep-alive GETs of 1 KB: as many as possible, and CPU at an equal rate."""
    halves, noise = saturated(b, "GET", lambda s: load.saturate(s, b.seconds))
    yield compared("TLS requests/s at saturation, 64 connections", "1/s", halves, "rps",
                   better(halves, "rps", True), noise, must=1.0, at_least=True)
    for other in THREE[1:]:
        yield compared("TLS requests/s, each", "1/s", halves, "rps", other, noise)
    rate = rate_below(halves)
    measure = counted_connections(b, lambda s: load.at_rate(s, rate, b.seconds))
    noise = noise_of(b, measure, "cpu_us", "p99_us")
    wanted = [*map(secure, THREE), secure("evenkeel", EQUAL, {"listener": servers.EQUAL_WORK})]
    halves = in_turn(b, "tls_get", measure, wanted, b.rounds)
    for ours in ("evenkeel", EQUAL):
        for other, must, aim in (("nginx", 1.0, 0.9), ("haproxy", 0.9, 0.8)):
            yield compared(f"CPU per TLS GET of 1 KB at {rate}/s, {ours}", "us", halves,
                           "cpu_us", other, noise, ours=ours, must=must, aim=aim)
    yield compared(f"p99 of TLS GETs at {rate}/s, open loop", "us", halves, "p99_us",
                   better(halves, "p99_us", False), noise)
    yield from check_reuse(halves)


def tls_handshake(b):
    """Connections with one small GET each, full and resumed."""
    for what, kind, limits in KINDS:
        def measure(s, rate=0, kind=kind):
            return load.handshakes(s, kind, b.seconds, rate)
        halves, noise = saturated(b, what, measure)
        yield compared(f"{what} handshakes/s at saturation, 64 at a time", "1/s", halves, "rps",
                       better(halves, "rps", True), noise)
        rate = rate_below(halves)

        def at_rate(s, rate=rate, measure=measure):
            return measure(s, rate)
        noise = noise_of(b, at_rate, "cpu_us")
        shared = secure("nginx", "nginx, shared cache", sessions=certificate.NGINX_SHARED)
        wanted = [*map(secure, THREE), shared]
        halves = in_turn(b, f"tls_handshake, {what}", at_rate, wanted, b.rounds)
        for _, other, _ in wanted[1:]:
            must, aim = limits.get(other, (None, None))
            yield compared(f"CPU per {what} TLS 1.3 handshake with a GET at {rate}/s", "us",
                           halves, "cpu_us", other, noise, must=must, aim=aim)


def idle_memory(b, name, n):
    with b.proxies(secure(name)) as (s,):
        load.Idle(s, load.CONNECTIONS).end()
        before = s.memory("RssAnon")
        with load.Idle(s, n):
            return (s.memory("RssAnon") - before) / n


def tls_idle(b):
    n = 500 if b.quick else IDLE
    each = {name: idle_memory(b, name, n) for name in THREE}
    b.raw["tls_idle"] = each
    best = min(THREE[1:], key=each.get)
    for other in THREE[1:]:
        limits = {"must": 1.0, "aim": 0.75} if other == best else {}
        yield Row(f"user memory per idle TLS connection, {n} of them", each["evenkeel"], "B",
                  other, each[other], each["evenkeel"] / each[other], **limits)


def tls_bulk(b):
    """Large bodies, four connections: how fast, and at which cost."""
    def measure(s):
        return load.body(s, f"/bytes/{16 * MB}", b.seconds)
    noise = noise_of(b, measure, "gb_s", "cpu_ms_gb")
    wanted = [*map(secure, THREE), secure("haproxy", "haproxy, 64k buffers", {"bufsize": 65536})]
    halves = in_turn(b, "tls_bulk", measure, wanted, b.rounds)
    for _, other, _ in wanted[1:]:
        limits = {"must": 1.0} if other == "nginx" else {}
        yield compared("bodies of 16 MB over TLS", "GB/s", halves, "gb_s", other, noise,
                       at_least=True, **limits)
        yield compared("CPU per GB of body over TLS", "ms", halves, "cpu_ms_gb", other, noise,
                       **limits)


def tls_counts(b):
    """What noise cannot touch: system calls and user instructions."""
    def subject(name, ask=load.exactly):
        return counts.Subject(name, b.backend, certificate.settings(name), ask)
    for name in THREE:
        calls = counts.system_calls(subject(name), b.counted)
        b.raw[f"system calls, TLS, {name}"] = calls
        yield Row(f"system calls per TLS GET, {name}", sum(c for c, _ in calls.values()))
    asks = [("TLS GET", load.exactly, b.counted // 2)]
    for what, kind, _ in KINDS:
        def ask(server, n, kind=kind):
            load.exact_handshakes(server, kind, n)
        asks.append((f"{what} TLS handshake with a GET", ask, b.counted // 8))
    for what, ask, n in asks:
        names = THREE[:2] if b.quick else THREE
        found = {name: counts.instructions(subject(name, ask), n) for name in names}
        b.raw[f"instructions, {what}"] = found
        for other in names[1:]:
            yield Row(f"user instructions per {what}", found["evenkeel"], "", other,
                      found[other], found["evenkeel"] / found[other])


GROUPS = {"tls_get": tls_get, "tls_handshake": tls_handshake, "tls_idle": tls_idle,
          "tls_bulk": tls_bulk, "tls_counts": tls_counts}
