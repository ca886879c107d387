"""Replays: a snapshot of present state, or events of the log, to one rebuildable queue.

The replay exchange is bound to rebuildable queues alone. A run is a row with a position: whichever
process dies over it leaves it where it was, and the next goes on.
"""

from .domain import MOVES, Kind, State
from .requests import ReplayRequest, begin, get, list_runs, stop
from .sources import Page, Snapshot
from .worker import Replayer

__all__ = [
    "MOVES",
    "Kind",
    "Page",
    "ReplayRequest",
    "Replayer",
    "Snapshot",
    "State",
    "begin",
    "get",
    "list_runs",
    "stop",
]
