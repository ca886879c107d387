"""Sending facts to one queue again: what is so now (a snapshot), or what was said (the log).

Only queues that are declared rebuildable take them, by way of an exchange of their own. A run is a
row: whoever dies over it leaves it where it was, and the next goes on.
"""

from .asking import Wish, ask, get, list_runs, stop
from .domain import MOVES, Kind, State
from .listeners import Listeners, Listening
from .sources import Page, Snapshot
from .worker import Resender

__all__ = [
    "MOVES",
    "Kind",
    "Listeners",
    "Listening",
    "Page",
    "Resender",
    "Snapshot",
    "State",
    "Wish",
    "ask",
    "get",
    "list_runs",
    "stop",
]
