"""What the demo saw, for machines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

PATIENCE = 180.0
"""Seconds that a slow machine may take for one fan-out or for the audience to be complete."""


class NotInTime(RuntimeError):
    """Something did not happen within the demo's patience; the logs under .run say more."""


@dataclass
class EventFanout:
    """One event and the counts of its fan-out. `seconds`: from the request to the last alert."""

    id: str
    type: str
    title: str
    subject_id: str
    matched: int
    alerted: int
    duplicates: int
    seconds: float
    eligible: int
    unknown: int


@dataclass
class Received:
    """One partner: how many events its filter accepts, how many distinct ones it read, repeats."""

    slug: str
    expected: int
    received: int
    duplicates: int


@dataclass
class Correction:
    """A correction of one kind, and how many of those alerted before got it."""

    subject_id: str
    kind: str
    corrected: int


@dataclass
class DemoResult:
    """What the demo saw; written to `.run/demo.json`."""

    cooperatives: int = 0
    members: int = 0
    import_seconds: float = 0.0
    audience_seconds: float = 0.0
    register: str = ""
    events: list[EventFanout] = field(default_factory=list)
    partners: list[Received] = field(default_factory=list)
    corrections: list[Correction] = field(default_factory=list)
    why_not: dict[str, Any] = field(default_factory=dict)
