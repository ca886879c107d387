"""The consumer by which every service does its part of a person's request and reports it.

Its own tables are the service's part; kept events, dead letters and the audit are the kernel's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.base import now
from shared.contracts.persons import (
    ACTIONS_LIMIT,
    PersonAction,
    PersonAnswered,
    PersonRecord,
    PersonRequested,
)
from shared.contracts.registry import PersonAccessRequested, PersonErasureRequested, PersonRectified
from shared.kernel.data import idempotency
from shared.kernel.data.tables import AuditRow
from shared.kernel.encryption.sealer import Sealer, Unreadable, sealer_of
from shared.kernel.messaging import erasure, outbox
from shared.kernel.messaging.consumers import Consumers

from .answer_parts import divided_answer


@dataclass(frozen=True)
class Part:
    """What a service did or found in its own tables.

    `counts` are rows by table. For access, `records` names records by their ids, and `held` are
    values in clear; they are published sealed, so only a service with a key may give any.
    """

    counts: dict[str, int] = field(default_factory=dict)
    records: tuple[PersonRecord, ...] = ()
    held: dict[str, Any] = field(default_factory=dict)


OwnPart = Callable[[AsyncSession, PersonRequested, Sealer | None], Awaitable[Part]]
"""Does a service's own part of a request in the transaction of the session."""


def answer_persons(
    consumers: Consumers,
    answered: type[PersonAnswered],
    own_part: OwnPart,
) -> None:
    """Register the consumer `answer_person` of a service, which publishes `answered` at its end."""

    @consumers.on(
        PersonAccessRequested,
        PersonRectified,
        PersonErasureRequested,
        prefetch=1,
        queue="answer_person",
    )
    async def answer_person(event: PersonRequested, session: AsyncSession) -> None:
        """Do this service's part of a person's request, and publish that it is done."""
        own = await own_part(session, event, sealer_of(session))
        for each in await _answers(session, event, answered, own):
            outbox.add(session, each)


async def _answers(
    session: AsyncSession, event: PersonRequested, answered: type[PersonAnswered], own: Part
) -> list[PersonAnswered]:
    """Do the kernel's part of the request; the events that report both parts."""
    counts = dict(own.counts)
    actions: tuple[PersonAction, ...] = ()
    if isinstance(event, PersonAccessRequested):
        counts["audit"], actions = await _actions(session, event)
    else:
        counts |= await _erase(session, event)
    whole = answered(
        request_id=event.request_id,
        kind=event.kind,
        requested_at=event.occurred_at,
        cooperative_ids=event.cooperative_ids,
        account_ids=event.account_ids,
        counts=counts,
        actions=actions,
        records=own.records,
    )
    sealer = sealer_of(session)
    return divided_answer(whole, own.held, lambda held: _sealed(held, sealer))


def opened(sealer: Sealer, sealed: str | None) -> dict[str, Any]:
    """The values in clear; where no key opens them, a text for the report that says so."""
    try:
        return sealer.open(sealed) if sealed else {}
    except Unreadable:
        return {"unreadable": "no key in TAAWON_SEAL_KEYS opens it"}


async def records_of(session: AsyncSession, kind: str, rows: Select[UUID, str, datetime]) -> Part:
    """The newest of these rows (id, state, moment of creation), and the count of all of them.

    At most `ACTIONS_LIMIT` are named.
    """
    count = await session.scalar(select(func.count()).select_from(rows.subquery()))
    newest = rows.order_by(rows.selected_columns[2].desc()).limit(ACTIONS_LIMIT)
    records = tuple(
        PersonRecord(kind=kind, record_id=record_id, state=state, created_at=created_at)
        for record_id, state, created_at in await session.execute(newest)
    )
    return Part(counts={kind: count or 0}, records=records)


def _sealed(held: dict[str, Any], sealer: Sealer | None) -> str | None:
    return sealer.seal(held) if held and sealer is not None else None


async def _erase(session: AsyncSession, event: PersonRequested) -> dict[str, int]:
    """Erase older sealed values, after a rectification too: they are wrong, and nobody needs them.

    Reports are erased up to now, not only up to the request: those made meanwhile contain them.
    """
    below = {each.cooperative_id: each.version for each in event.cooperatives}
    moment = max(event.occurred_at, now())
    until = dict.fromkeys((*event.cooperative_ids, *event.account_ids), moment)
    erased = erasure.Erased(below, until)
    erasure.remember(session, erased)
    await idempotency.erase_answers(session)
    return await erasure.scrub(session, erased)


async def _actions(
    session: AsyncSession, event: PersonRequested
) -> tuple[int, tuple[PersonAction, ...]]:
    """What accounts of the person did here; it has ids only, so it is not sealed."""
    theirs = AuditRow.actor_id.in_(event.account_ids)
    if not event.account_ids:
        return 0, ()
    count = await session.scalar(select(func.count()).select_from(AuditRow).where(theirs))
    query = select(AuditRow.at, AuditRow.action, AuditRow.subject_id).where(theirs)
    rows = await session.execute(query.order_by(AuditRow.id.desc()).limit(ACTIONS_LIMIT))
    return count or 0, tuple(
        PersonAction(at=row.at, action=row.action, subject_id=row.subject_id) for row in rows
    )
