"""What the demo saw, for machines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

PATIENCE = 180.0
"""Seconds that a slow machine may take for one fan-out or for the audience to be complete."""


class NotInTime(RuntimeError):
    """Something did not happen within the demo's patience; the logs under .run say more."""


@dataclass
class EventAlerted:
    """One event and who was alerted. `seconds`: from the request to the last alert visible."""

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
    """One partner: events that its filter accepts, distinct ones that it read, repeats."""

    slug: str
    expected: int
    received: int
    duplicates: int


@dataclass
class Correction:
    """What those alerted before were alerted afterwards, and how many they are."""

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
    events: list[EventAlerted] = field(default_factory=list)
    partners: list[Received] = field(default_factory=list)
    corrections: list[Correction] = field(default_factory=list)
    why_not: dict[str, Any] = field(default_factory=dict)
