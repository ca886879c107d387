"""Lines of a subject's ledger in words: state, verdict, tracks and rules in a reader's language."""

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
    "alerted_at",
    "state",
    "is_backfill",
    "corrected",
    "tracks",
    "rules",
    "not_alerted_because",
)


class LedgerLine(BaseModel):
    """One alert of a cooperative; without `alerted_at`, a cooperative that matches and is kept
    back."""

    cooperative_id: UUID
    name_fr: str | None
    name_ar: str | None
    region: str | None
    province: str | None
    sector: str | None
    edition: int | None = Field(description="0 for the first alert; null without an alert.")
    kind: str | None
    verdict: Outcome = Field(
        description="`ineligible`: a correction by newer content, which is not for it any more."
    )
    unknown_fields: list[str]
    subject_version: int | None
    alerted_at: datetime | None
    state: Literal["unread", "read", "archived", "held", "stopped"] = Field(
        description="What any account of the cooperative did with the alert; or what keeps it back."
    )
    is_backfill: bool = Field(
        description="The first alert came after the fan-out, when it came to match."
    )
    corrected: bool = Field(description="It was alerted of newer content afterwards.")
    why: list[TrackReason] = Field(description="Matched tracks with their rules in words.")
    not_alerted_because: str | None


def line_of(row: LedgerRow, language: str) -> LedgerLine:
    """The row with its reasons, from the content and the profile that the alert is about."""
    decision = row.held_back_by
    return LedgerLine(
        cooperative_id=row.cooperative_id,
        name_fr=row.name_fr,
        name_ar=row.name_ar,
        region=row.profile.region,
        province=row.profile.province,
        sector=row.profile.sector,
        edition=row.edition,
        kind=row.kind,
        verdict=verdict_of(row),
        unknown_fields=list(row.unknown_fields),
        subject_version=row.subject_version,
        alerted_at=row.alerted_at,
        state=_state(row),
        is_backfill=row.is_backfill,
        corrected=row.corrected,
        why=reasons(row.content, row.profile, row, language),
        not_alerted_because=ground_of(decision, language, for_staff=True) if decision else None,
    )


async def lines_of(rows: Sequence[LedgerRow], language: str) -> list[LedgerLine]:
    """The rows with their reasons, worked out in a thread beside the event loop.

    A line takes most of a millisecond. On the loop, other requests would wait for the whole page;
    beside a thread they wait for a turn of the interpreter only.
    """
    return await asyncio.to_thread(lambda: [line_of(row, language) for row in rows])


def _state(row: LedgerRow) -> Literal["unread", "read", "archived", "held", "stopped"]:
    if row.held_back_by is not None:
        return "stopped" if row.held_back_by.state is ApprovalState.STOPPED else "held"
    for state in ("read", "archived"):
        if row.read_state == state:
            return state
    return "unread"


def cells_of(line: LedgerLine) -> tuple[object, ...]:
    """The cells of one line, in the order of `HEADER`."""
    values = {
        **line.model_dump(mode="json", exclude={"why"}),
        "unknown_fields": " ".join(line.unknown_fields),
        "is_backfill": "yes" if line.is_backfill else "no",
        "corrected": "yes" if line.corrected else "no",
        "alerted_at": line.alerted_at.isoformat() if line.alerted_at else None,
        "tracks": "; ".join(reason.track for reason in line.why if reason.track),
        "rules": " | ".join(map(_rules, line.why)),
    }
    return tuple(values[name] for name in HEADER)


def _rules(reason: TrackReason) -> str:
    """The rules of one track, with the name of the track before them where it has one."""
    rules = " ; ".join(reason.reasons)
    return f"{reason.track}: {rules}" if reason.track else rules
