"""The ledger of a subject: every alert with its profile, and who is kept back.

`within` narrows it to cooperatives that are in these provinces today.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, case, exists, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from notifications.audience.models import PROFILE_FIELDS, audience, audience_history
from notifications.audience.territory import Within, lies_within
from notifications.fanout.domain.contents import Content, read_content
from notifications.fanout.domain.fanout_approval import Decision
from notifications.fanout.domain.subjects import FIRST, Subject
from notifications.fanout.models import alert, stored_content, subject_history
from notifications.fanout.queries.approvals import held_back_by
from notifications.fanout.queries.totals import get_subject
from notifications.fanout.usecases.matching import match_subject
from notifications.inbox.models import alert_state
from shared.contracts.criteria import Profile
from shared.eligibility.verdict import fields_of
from shared.kernel.data.database import AnyRow, Sessions, moment, named_rows

BATCH = 500
"""Rows per transaction, so that none stays open while a slow reader takes its time."""


@dataclass(frozen=True)
class Place:
    """Where a page of the ledger begins: alerts come first, then (`is_waiting`) those kept back.

    `after` is the cooperative id and the edition of the last row before it.
    """

    is_waiting: bool = False
    after: tuple[UUID, int] | None = None


@dataclass(frozen=True)
class LedgerRow:
    """One alert; or one cooperative that matches and is kept back, by the decision `held_back_by`.

    The names are the present ones; they are missing while the audience is being rebuilt. Profile
    and content of an alert are those that it is about, else the present ones.
    """

    cooperative_id: UUID
    name_fr: str | None
    name_ar: str | None
    profile: Profile
    content: Content
    reference_on: date
    eligible_tracks: int
    unknown_tracks: int
    unknown_fields: tuple[str, ...]
    edition: int | None = None
    kind: str | None = None
    subject_version: int | None = None
    alerted_at: datetime | None = None
    read_state: str | None = None
    is_backfill: bool = False
    corrected: bool = False
    held_back_by: Decision | None = None


async def ledger_batches(
    sessions: Sessions, subject_id: UUID, *, within: Within = None, size: int = BATCH
) -> AsyncIterator[list[LedgerRow]]:
    """Every row of a subject's ledger, in batches that are read in transactions of their own."""
    place: Place | None = Place()
    while place is not None:
        async with sessions() as session:
            rows, place = await ledger_page(session, subject_id, place, size, within=within)
        if rows:
            yield rows


async def ledger_page(
    session: AsyncSession, subject_id: UUID, place: Place, size: int, *, within: Within = None
) -> tuple[list[LedgerRow], Place | None]:
    """Up to `size` rows from a place on, and where the next page begins; None at the end."""
    found = await get_subject(session, subject_id)
    if place.is_waiting:
        return await _waiting_page(session, found, place, size, within)
    statement = _alerts(subject_id).where(lies_within(within, alert.c.cooperative_id))
    key = (alert.c.cooperative_id, alert.c.edition)
    if place.after is not None:
        statement = statement.where(tuple_(*key) > place.after)
    rows = named_rows(await session.execute(statement.order_by(*key).limit(size)))
    contents = await _contents(session, subject_id)
    alerted = [_alerted(row, contents[row.subject_version], found) for row in rows]
    if len(rows) < size:
        decision = await _held_back_by(session, found)
        return alerted, Place(is_waiting=True) if decision else None
    return alerted, Place(after=(rows[-1].cooperative_id, rows[-1].edition))


async def _waiting_page(
    session: AsyncSession, found: Subject, place: Place, size: int, within: Within
) -> tuple[list[LedgerRow], Place | None]:
    decision = await _held_back_by(session, found)
    if decision is None:
        return [], None
    rows = named_rows(await session.execute(_waiting(found, within, after=place.after, first=size)))
    content = Content(found.announcement())
    waiting = [_row(row, content, found.reference_on, held_back_by=decision) for row in rows]
    if len(rows) < size:
        return waiting, None
    return waiting, Place(is_waiting=True, after=(rows[-1].cooperative_id, 0))


async def _held_back_by(session: AsyncSession, found: Subject) -> Decision | None:
    """The decision that keeps the first alerts back; None also where nobody may be alerted any
    more."""
    if not found.may_be_alerted(await moment(session)):
        return None
    return await held_back_by(session, found.subject_id)


async def count_waiting(session: AsyncSession, found: Subject, *, within: Within = None) -> int:
    """How many are kept back: they match the newest content, could be alerted now, and have no
    alert."""
    if await _held_back_by(session, found) is None:
        return 0
    waiting = _waiting(found, within).subquery()
    return int(await session.scalar(select(func.count()).select_from(waiting)) or 0)


async def _contents(session: AsyncSession, subject_id: UUID) -> dict[int, tuple[Content, date]]:
    rows = await session.execute(
        select(
            subject_history.c.version,
            subject_history.c.reference_on,
            stored_content(subject_history),
        ).where(subject_history.c.subject_id == subject_id)
    )
    return {row.version: (read_content(row.content), row.reference_on) for row in rows}


_later = alert.alias("later")


def _alerts(subject_id: UUID) -> Select[Any]:
    mine = and_(
        alert_state.c.cooperative_id == alert.c.cooperative_id, alert_state.c.seq == alert.c.seq
    )
    # The marks of all accounts of the cooperative; read counts more than archived.
    rank = case((alert_state.c.state == "read", 2), (alert_state.c.state == "archived", 1), else_=0)
    read_rank = select(func.max(rank)).where(mine).correlate(alert).scalar_subquery()
    corrected = exists().where(
        _later.c.subject_id == alert.c.subject_id,
        _later.c.cooperative_id == alert.c.cooperative_id,
        _later.c.edition > alert.c.edition,
    )
    return (
        select(
            alert,
            read_rank.label("read_rank"),
            corrected.label("corrected"),
            audience.c.name_fr,
            audience.c.name_ar,
            *(audience_history.c[name] for name in PROFILE_FIELDS),
        )
        .outerjoin(audience, audience.c.cooperative_id == alert.c.cooperative_id)
        .join(
            audience_history,
            (audience_history.c.cooperative_id == alert.c.cooperative_id)
            & (audience_history.c.version == alert.c.audience_version),
        )
        .where(alert.c.subject_id == subject_id)
    )


def _waiting(
    found: Subject,
    within: Within,
    *,
    after: tuple[UUID, int] | None = None,
    first: int | None = None,
) -> Select[Any]:
    alerted = exists().where(
        alert.c.subject_id == found.subject_id,
        alert.c.cooperative_id == audience.c.cooperative_id,
    )
    when = [~alerted, lies_within(within, audience.c.cooperative_id)]
    if after is not None:
        when.append(audience.c.cooperative_id > after[0])
    columns = (
        audience.c.cooperative_id,
        audience.c.name_fr,
        audience.c.name_ar,
        *(audience.c[name] for name in PROFILE_FIELDS),
    )
    waiting = match_subject(found, *columns, when=when, first=first)
    return select(
        *(waiting.rows.c[column.name] for column in columns),
        waiting.eligible.label("eligible_tracks"),
        waiting.unknown.label("unknown_tracks"),
        waiting.fields.label("unknown_fields"),
    ).order_by(waiting.rows.c.cooperative_id)


STATES = {0: "unread", 1: "archived", 2: "read", None: "unread"}
"""By the rank of `_alerts`."""


def _alerted(row: AnyRow, content: tuple[Content, date], found: Subject) -> LedgerRow:
    after_fanout = found.fanned_out_at is not None and row.created_at > found.fanned_out_at
    return _row(
        row,
        *content,
        edition=row.edition,
        kind=row.kind,
        subject_version=row.subject_version,
        alerted_at=row.created_at,
        read_state=STATES[row.read_rank],
        is_backfill=row.edition == FIRST and after_fanout,
        corrected=row.corrected,
    )


def _row(row: AnyRow, content: Content, reference_on: date, **more: Any) -> LedgerRow:
    return LedgerRow(
        cooperative_id=row.cooperative_id,
        name_fr=row.name_fr,
        name_ar=row.name_ar,
        profile=Profile.model_validate({name: getattr(row, name) for name in PROFILE_FIELDS}),
        content=content,
        reference_on=reference_on,
        eligible_tracks=row.eligible_tracks,
        unknown_tracks=row.unknown_tracks,
        unknown_fields=fields_of(row.unknown_fields),
        **more,
    )
