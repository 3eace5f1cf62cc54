"""Configurations at random: a walk through all that a reload can change."""
import random

# Per section: key, and a function of the dice that gives a value.
GLOBAL = {
    "log_level": lambda r: r.choice(["info", "debug", "warn", "error"]),
    "log_format": lambda r: r.choice(["text", "json"]),
    "access_log": lambda r: r.choice(["off", "a.log", "b.log", "stdout"]),
    "access_log_format": lambda r: r.choice(["combined", "json"]),
    "max_connections": lambda r: r.choice(["auto", "5000", "9000"]),
}
LISTENER = {
    "header_timeout": lambda r: f"{r.randint(10, 60)}s",
    "body_timeout": lambda r: f"{r.randint(10, 60)}s",
    "idle_timeout": lambda r: f"{r.randint(20, 60)}s",
    "send_timeout": lambda r: f"{r.randint(10, 60)}s",
    "max_header_size": lambda r: f"{r.choice([1, 2, 16, 64, 256])}k",
    "max_headers": lambda r: r.randint(20, 1000),
    "max_body_size": lambda r: r.choice([0, "1M", "1G"]),
    "forwarded": lambda r: r.choice(["off", "x", "rfc7239", "both"]),
    "trusted_proxies": lambda r: r.choice(["10.0.0.0/8", "127.0.0.1, ::1", "192.0.2.0/24"]),
    "request_id": lambda r: r.choice(["off", "backend", "both"]),
}
POOL = {
    "balance": lambda r: r.choice(["round_robin", "least_connections", "random_two", "hash"]),
    "hash_on": lambda r: r.choice(["client_ip", "path", "header:X-Key", "cookie:k"]),
    "queue_size": lambda r: r.randint(500, 5000),
    "host_header": lambda r: r.choice(["keep", "backend", "inner.test"]),
    "connect_timeout": lambda r: f"{r.randint(5, 9)}s",
    "response_timeout": lambda r: f"{r.randint(40, 60)}s",
    "stream_timeout": lambda r: f"{r.randint(20, 60)}s",
    "request_timeout": lambda r: f"{r.randint(60, 90)}s",
    "max_header_size": lambda r: f"{r.choice([1, 2, 32, 256])}k",
    "max_headers": lambda r: r.randint(10, 1000),
    "keepalive": lambda r: r.choice([0, 1, 2, 8, 64, 1000]),
    "keepalive_timeout": lambda r: f"{r.choice([50, 500, 5000])}ms",
    "slow_start": lambda r: r.choice([0, "100ms", "5s"]),
    "retry_attempts": lambda r: r.randint(0, 10),
    "retry_on": lambda r: r.choice(["connect", "connect,reset,503", "timeout,500"]),
    "retry_base": lambda r: f"{r.randint(1, 20)}ms",
    "retry_cap": lambda r: f"{r.randint(25, 900)}ms",
    "retry_jitter": lambda r: r.choice(["full", "equal", "none"]),
    "retry_first_wait": lambda r: r.choice(["yes", "no"]),
    "retry_budget": lambda r: f"{r.randint(0, 100)}%",
    "retry_budget_min": lambda r: r.randint(0, 100),
    "retry_non_idempotent": lambda r: r.choice(["yes", "no"]),
    "retry_body_limit": lambda r: r.choice([0, 100, "64k", "1M"]),
    "attempt_timeout": lambda r: r.choice([0, "40s"]),
    "health": lambda r: r.choice(["off", "tcp", "http"]),
    "health_path": lambda r: r.choice(["/", "/alive"]),
    "health_interval": lambda r: f"{r.choice([20, 50, 500, 60000])}ms",
    "health_timeout": lambda r: f"{r.choice([2, 5])}s",
    "health_rise": lambda r: r.randint(1, 3),
    "health_fall": lambda r: r.randint(3, 5),
    "eject_failures": lambda r: r.choice([0, 1, 5]),
    "eject_max": lambda r: f"{r.choice([0, 50, 100])}%",
}
ERRORS = ("nonsense", "keepalive = many", "backend = 127.0.0.1:0", "health_status = 42")


class Walk:
    """
    step() gives the next text; every second in `wrong` has an error.  Pool
    `web`, which listener `main` leads to, always has a backend that serves.
    """

    def __init__(self, seed, backends, places, top="", rest="", wrong=6):
        self.seed, self.backends, self.places = seed, backends, places
        self.top, self.rest, self.wrong = top, rest, wrong
        self.dice = random.Random(seed)
        self.keys = {}  # of each section, those that are set

    def _lines(self, section, table):
        """Some keys change, some come, some go; most stay."""
        have = self.keys.setdefault(section, {})
        for key in self.dice.sample(sorted(table), min(len(table), 5)):
            if self.dice.random() < 0.3:
                have.pop(key, None)
            else:
                have[key] = table[key](self.dice)
        return "".join(f"{k} = {v}\n" for k, v in have.items())

    def _backend(self, at, name):
        text = f"backend = {at}"
        if self.dice.random() < 0.5:
            text += f" weight={self.dice.randint(1, 256)}"
        if self.dice.random() < 0.3:
            text += f" max={self.dice.randint(1, 50)}"
        return text + (f" name={name}" if self.dice.random() < 0.7 else "") + "\n"

    def _pool(self, name):
        chosen = self.dice.sample(range(len(self.backends)),
                                  self.dice.randint(1, len(self.backends)))
        lines = [self._backend(self.backends[i], f"{name}{i}") for i in chosen]
        if len(lines) > 1 and self.dice.random() < 0.3:
            lines[0] = lines[0].replace("\n", " backup\n")
        return (f"[pool {name}]\n{''.join(lines)}queue_timeout = 20s\n"
                + self._lines(f"pool {name}", POOL))

    def step(self):
        """-> (text, whether it is valid)."""
        dice = self.dice
        pools = ["web", *dice.sample(["p0", "p1", "p2", "p3"], dice.randint(0, 4))]
        places = dice.sample(self.places, dice.randint(0, len(self.places)))
        owners = ["main", *dice.sample(["l0", "l1", "l2"], dice.randint(0, min(3, len(places))))]
        binds = {name: [] for name in owners}
        for i, place in enumerate(places):
            owner = owners[i + 1] if i + 1 < len(owners) else dice.choice(owners)
            binds[owner].append("bind = {}:{}\n".format(*place))
        parts = [f"[global]\n{self.top}" + self._lines("global", GLOBAL), self.rest]
        for name in owners:
            first = "bind = 127.0.0.1:0\npool = web\n" if name == "main" else \
                f"pool = {dice.choice(pools)}\n"
            parts.append(f"[listener {name}]\n{first}{''.join(binds[name])}"
                         + self._lines(f"listener {name}", LISTENER))
        for i, name in enumerate(pools[1:]):
            parts.append(f"[route r{dice.randint(0, 9)}{i}]\npath = /{name}\npool = {name}\n")
        parts += [self._pool(name) for name in pools]
        good = dice.randrange(self.wrong) > 0
        if not good:
            parts.append(dice.choice(ERRORS) + "\n")
        return "\n".join(parts), good
