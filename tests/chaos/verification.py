"""Who had to be alerted of what, and whether they were: the comparison, without a database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from notifications.fanout.domain.subjects import FIRST, STATE_OF, SubjectState
from shared.contracts.announcement import Announcement

from .load import Subject


@dataclass
class Verdict:
    """What was looked at after a row, and everything that was wrong."""

    alerts: int = 0
    corrections: int = 0
    lost: int = 0
    doubled: int = 0
    never_open: int = 0
    """Subjects of which nobody was to be alerted: notifications received their end first."""
    partner_events: int = 0
    repeats: int = 0
    wrong: list[str] = field(default_factory=list)


@dataclass
class AlertsWritten:
    """The alerts of one cooperative about one subject: editions, and their versions."""

    editions: list[int] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)
    is_sure: bool = False


@dataclass
class Due:
    """The versions of a subject that people were to be alerted of, first to last; and those of them
    that may be somebody's first."""

    versions: list[int] = field(default_factory=list)
    open: set[int] = field(default_factory=set)

    @property
    def last(self) -> int | None:
        return self.versions[-1] if self.versions else None

    def editions_after(self, first: int) -> set[int]:
        """What a recipient first alerted of this version must have: that alert, each correction."""
        return {FIRST, *(version for version in self.versions if version > first)}


def due(published: Iterable[Announcement], received: Mapping[int, datetime]) -> Due:
    """What people had to be alerted of, from what the owner of a subject published and the moments
    at which notifications received it.

    What is older than the newest received changes nothing. Nobody is first alerted of what is not
    open; whoever was alerted of a subject is alerted of every change of it, but not that it closed.
    """
    found, newest = Due(), 0
    for content in sorted(published, key=lambda one: received[one.version]):
        if content.version <= newest:
            continue
        newest = content.version
        if STATE_OF[content.state] is SubjectState.OPEN:
            found.versions.append(content.version)
            found.open.add(content.version)
        elif STATE_OF[content.state] is SubjectState.VOID and found.versions:
            found.versions.append(content.version)
    return found


def verify(
    verdict: Verdict,
    subject: Subject,
    ledger: Mapping[str, Any],
    alerts: Mapping[UUID, AlertsWritten],
    meant: Mapping[UUID, str],
    due: Due,
) -> None:
    """One subject: exactly those who match have the first alert, and each correction after it."""
    wrong = []
    if due.last is None:
        verdict.never_open += 1
        meant = {}
    if ledger["notified_version"] != due.last:
        wrong.append(f"alerted up to version {ledger['notified_version']} instead of {due.last}")
    verdict.lost += len(meant.keys() - alerts.keys())
    if strange := alerts.keys() - meant.keys():
        wrong.append(f"{len(strange)} alerted who do not match")
    if ledger["eligible"] + ledger["unknown"] != len(alerts):
        wrong.append("its counts are not those of its alerts")
    for one in alerts.values():
        _verify_one(verdict, one, due)
    wrong += _wrong_statements(subject, alerts, meant, due)
    verdict.wrong += [f"{subject.subject_id}: {what}" for what in wrong]


def _verify_one(verdict: Verdict, one: AlertsWritten, due: Due) -> None:
    """What one cooperative has, and what it should have."""
    meant = due.editions_after(one.versions[0])
    verdict.alerts += FIRST in one.editions
    verdict.corrections += sum(edition != FIRST for edition in one.editions)
    verdict.lost += len(meant - set(one.editions))
    verdict.doubled += len(set(one.editions) - meant)


def _wrong_statements(
    subject: Subject, alerts: Mapping[UUID, AlertsWritten], meant: Mapping[UUID, str], due: Due
) -> list[str]:
    """What alerts say that is not so."""
    found = []
    if wrong := sum(_is_wrong_first(subject, one, due) for one in alerts.values()):
        found.append(f"{wrong} first alerts are of a wrong version")
    if any(e not in (FIRST, v) for one in alerts.values() for e, v in _pairs(one)):
        found.append("a correction is of another version than its own")
    if subject.is_still and any(
        one.is_sure != (meant.get(who) == "eligible") for who, one in alerts.items()
    ):
        found.append("alerted with a wrong verdict")
    return found


def _is_wrong_first(subject: Subject, one: AlertsWritten, due: Due) -> bool:
    """Where nobody ever changes, only the fan-out alerts first; elsewhere also backfills."""
    first = one.versions[0]
    return first not in (due.versions[:1] if subject.is_still else due.open)


def _pairs(one: AlertsWritten) -> Iterable[tuple[int, int]]:
    return zip(one.editions, one.versions, strict=True)
