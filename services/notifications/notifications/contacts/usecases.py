"""What notifications holds of a person: the contacts of the audience, and what accounts read."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from notifications.audience.models import audience
from notifications.inbox.models import alert_state
from shared.contracts.persons import PersonRequested
from shared.contracts.registry import PersonAccessRequested, PersonErasureRequested
from shared.errors import NotFound
from shared.kernel.encryption.sealer import Sealer
from shared.kernel.privacy.person_requests import Part, opened


class AudienceBehind(NotFound):
    """The audience has not received the registry's change yet; the message is tried again later."""


async def person_part(session: AsyncSession, event: PersonRequested, sealer: Sealer | None) -> Part:
    """What notifications shows, erases or corrects for a person, with counts by table.

    Raises `AudienceBehind` for an erasure or a correction of cooperatives whose newer version has
    not arrived: nothing is reported as done before.
    """
    if isinstance(event, PersonAccessRequested):
        return await _stored_data(session, event, sealer)
    await _require_newest(session, event)
    counts = {"audience": await _erase_contacts(session, event)}
    if isinstance(event, PersonErasureRequested):
        theirs = alert_state.c.account_id.in_(event.account_ids)
        read = await session.execute(delete(alert_state).where(theirs))
        counts["alert_state"] = int(read.rowcount)  # type: ignore[attr-defined]  # a cursor's
    return Part(counts=counts)


async def _require_newest(session: AsyncSession, event: PersonRequested) -> None:
    query = select(audience.c.cooperative_id, audience.c.version)
    rows = await session.execute(query.where(audience.c.cooperative_id.in_(event.cooperative_ids)))
    known = {row.cooperative_id: row.version for row in rows}
    if any(known.get(each.cooperative_id, 0) < each.version for each in event.cooperatives):
        raise AudienceBehind


async def _erase_contacts(session: AsyncSession, event: PersonRequested) -> int:
    """How many cooperatives are done. The newer record has corrected or erased their contact
    already; an erasure removes what a record of that very version may still have brought."""
    if not isinstance(event, PersonErasureRequested):
        return len(event.cooperatives)
    for each in event.cooperatives:
        await session.execute(
            update(audience)
            .where(audience.c.cooperative_id == each.cooperative_id)
            .where(audience.c.version <= each.version)
            .values(contact_sealed=None)
        )
    return len(event.cooperatives)


async def _stored_data(
    session: AsyncSession, event: PersonRequested, sealer: Sealer | None
) -> Part:
    assert sealer is not None
    query = select(audience.c.cooperative_id, audience.c.contact_sealed, audience.c.updated_at)
    query = query.where(audience.c.cooperative_id.in_(event.cooperative_ids))
    contacts = [
        {
            "cooperative_id": str(row.cooperative_id),
            "contact": opened(sealer, row.contact_sealed),
            "updated_at": row.updated_at.isoformat(),
        }
        for row in await session.execute(query.order_by(audience.c.cooperative_id))
    ]
    states = await _read_states(session, event)
    return Part(
        counts={"audience": len(contacts), "alert_state": len(states)},
        held={"contacts": contacts, "alerts_read": states},
    )


async def _read_states(session: AsyncSession, event: PersonRequested) -> list[dict[str, Any]]:
    query = select(alert_state).where(alert_state.c.account_id.in_(event.account_ids))
    return [
        {
            "cooperative_id": str(row.cooperative_id),
            "alert": row.seq,
            "state": row.state,
            "changed_at": row.changed_at.isoformat(),
        }
        for row in await session.execute(query.order_by(alert_state.c.changed_at))
    ]
