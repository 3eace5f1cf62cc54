"""Scripted clients, backends and the proxy under test.

Everything waits for facts with a deadline; nothing sleeps and hopes.
"""
from . import tls
from .backend import Backend, Connection, Gate
from .client import Client
from .proxy import Evenkeel, build_of, ini
from .wait import DEADLINE_S, until
from .wire import Broken, Message, NotCanonical

__all__ = ["Backend", "Broken", "Client", "Connection", "DEADLINE_S", "Evenkeel", "Gate",
           "Message", "NotCanonical", "build_of", "ini", "tls", "until"]
