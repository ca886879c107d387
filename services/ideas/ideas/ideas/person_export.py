"""What the idea bank does with requests of persons: the ideas of their accounts."""

from __future__ import annotations

from sqlalchemy import ColumnElement, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.persons import PersonRequested
from shared.contracts.registry import PersonAccessRequested, PersonErasureRequested
from shared.kernel.data import audit
from shared.kernel.encryption.sealer import Sealer
from shared.kernel.privacy.person_requests import Part, records_of

from .domain import State
from .models import ideas


async def person_part(session: AsyncSession, event: PersonRequested, _: Sealer | None) -> Part:
    """Access lists the person's ideas; an erasure deletes those that nobody else was to read.

    Other ideas keep the id of the account, which leads to nobody once the account is erased.
    """
    if isinstance(event, PersonAccessRequested):
        return await _held(session, event)
    if isinstance(event, PersonErasureRequested):
        return Part(counts={"idea": await _delete_unread(session, event)})
    return Part()


async def _held(session: AsyncSession, event: PersonRequested) -> Part:
    accounts = event.account_ids
    theirs = or_(ideas.c.author_id.in_(accounts), ideas.c.on_behalf_of.in_(accounts))
    return await records_of(
        session, "idea", select(ideas.c.id, ideas.c.state, ideas.c.created_at).where(theirs)
    )


async def _delete_unread(session: AsyncSession, event: PersonRequested) -> int:
    """Delete drafts and what was withdrawn before it was public, but nothing filed for others."""
    owner = func.coalesce(ideas.c.on_behalf_of, ideas.c.author_id)
    gone = delete(ideas).where(owner.in_(event.account_ids), _is_unread())
    deleted = list(await session.scalars(gone.returning(ideas.c.id)))
    for idea_id in deleted:
        audit.record(session, None, action="idea deleted with its author", subject_id=idea_id)
    return len(deleted)


def _is_unread() -> ColumnElement[bool]:
    return ideas.c.state.in_([State.DRAFT, State.WITHDRAWN]) & ideas.c.published_at.is_(None)
