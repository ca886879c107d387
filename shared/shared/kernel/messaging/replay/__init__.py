"""Replays: a snapshot of present state, or events of the log, to one rebuildable queue.

Only rebuildable queues are bound to the replay exchange. A run is a row with a position: where a
process dies, another goes on from there.
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
