"""Rows of a subject's ledger in words: state, verdict, tracks and rules in a reader's language."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from notifications.fanout.approval_text import ground_of
from notifications.fanout.domain.fanout_approval import ApprovalState
from notifications.inbox.alert_text import TrackReason, reasons, verdict_of
from shared.eligibility.verdict import Outcome

from .queries import LedgerRow

HEADER = (
    "cooperative_id",
    "name_fr",
    "name_ar",
    "region",
    "province",
    "sector",
    "edition",
    "kind",
    "verdict",
    "unknown_fields",
    "subject_version",
    "told_at",
    "state",
    "told_late",
    "corrected",
    "tracks",
    "rules",
    "not_told_because",
)


class LedgerLine(BaseModel):
    """One alert of a cooperative; or, without `told_at`, one that matches and was not told."""

    cooperative_id: UUID
    name_fr: str | None
    name_ar: str | None
    region: str | None
    province: str | None
    sector: str | None
    edition: int | None = Field(description="0 for the first alert; null where nobody was told.")
    kind: str | None
    verdict: Outcome = Field(
        description="Ineligible: told before, and corrected by content that is not for it any more."
    )
    unknown_fields: list[str]
    subject_version: int | None
    told_at: datetime | None
    state: Literal["unread", "read", "archived", "held", "stopped"] = Field(
        description="In the inbox, by any account of the cooperative; or what keeps it back."
    )
    told_late: bool = Field(description="First told after the fan-out: it came to match later.")
    corrected: bool = Field(description="Told newer content afterwards.")
    why: list[TrackReason] = Field(description="Matched tracks with their rules in words.")
    not_told_because: str | None


def line_of(row: LedgerRow, language: str) -> LedgerLine:
    """The row with its reasons, from the content and the facts as they were when it was told."""
    kept = row.untold_for
    return LedgerLine(
        cooperative_id=row.cooperative_id,
        name_fr=row.name_fr,
        name_ar=row.name_ar,
        region=row.facts.region,
        province=row.facts.province,
        sector=row.facts.sector,
        edition=row.edition,
        kind=row.kind,
        verdict=verdict_of(row),
        unknown_fields=list(row.unknown_fields),
        subject_version=row.subject_version,
        told_at=row.told_at,
        state=_state(row),
        told_late=row.told_late,
        corrected=row.corrected,
        why=reasons(row.content, row.facts, row, language),
        not_told_because=ground_of(kept, language, for_staff=True) if kept else None,
    )


async def lines_of(rows: Sequence[LedgerRow], language: str) -> list[LedgerLine]:
    """The rows with their reasons, worked out beside the event loop.

    A line takes most of a millisecond. In a thread other requests wait for a turn of the
    interpreter; on the loop they would wait for the whole page, however small its batches.
    """
    return await asyncio.to_thread(lambda: [line_of(row, language) for row in rows])


def _state(row: LedgerRow) -> Literal["unread", "read", "archived", "held", "stopped"]:
    if row.untold_for is not None:
        return "stopped" if row.untold_for.state is ApprovalState.STOPPED else "held"
    for state in ("read", "archived"):
        if row.read_state == state:
            return state
    return "unread"


def cells_of(line: LedgerLine) -> tuple[object, ...]:
    """One line of the table, in the order of `HEADER`."""
    values = {
        **line.model_dump(mode="json", exclude={"why"}),
        "unknown_fields": " ".join(line.unknown_fields),
        "told_late": "yes" if line.told_late else "no",
        "corrected": "yes" if line.corrected else "no",
        "told_at": line.told_at.isoformat() if line.told_at else None,
        "tracks": "; ".join(reason.track for reason in line.why if reason.track),
        "rules": " | ".join(map(_rules, line.why)),
    }
    return tuple(values[name] for name in HEADER)


def _rules(reason: TrackReason) -> str:
    """The rules of one track in one cell, with its name before them where it has one."""
    rules = " ; ".join(reason.reasons)
    return f"{reason.track}: {rules}" if reason.track else rules
