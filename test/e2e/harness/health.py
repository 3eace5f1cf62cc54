"""What the admin pages say about backends, and backends that can be switched."""
import json

from . import metrics
from .client import Client
from .wait import DEADLINE_S, until


def status(proxy):
    with Client(proxy.admin_port) as c:
        return json.loads(c.ask(target="/status").body)


def condition(proxy, name, pool="web"):
    """The entry of a backend in /status."""
    pools = {p["name"]: p for p in status(proxy)["pools"]}
    return next(b for b in pools[pool]["backends"] if b["name"] == name)


def until_state(proxy, name, state, deadline_s=DEADLINE_S):
    return until(lambda: condition(proxy, name)["state"] == state,
                 lambda: f"{name} to be {state}, it is {condition(proxy, name)}", deadline_s)


def scrape(proxy):
    with Client(proxy.admin_port) as c:
        return metrics.parse(c.ask(target="/metrics").body.decode())


class Switched:
    """A script that answers as the test says at the moment: `ok`, or a status."""

    def __init__(self):
        self.checks, self.status = [], "200 OK"

    def __call__(self, conn):
        while True:
            request = conn.request()
            if "evenkeel-health" in str(request.fields):
                self.checks.append(request)
                conn.answer(b"fine", self.status)
            else:
                conn.answer(conn.backend.name.encode())
