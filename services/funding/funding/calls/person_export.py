"""What funding does with requests of persons: the calls that their accounts wrote."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.persons import PersonRequested
from shared.contracts.registry import PersonAccessRequested
from shared.kernel.encryption.sealer import Sealer
from shared.kernel.privacy.person_requests import Part, records_of

from .models import calls


async def person_part(session: AsyncSession, event: PersonRequested, _: Sealer | None) -> Part:
    """Access lists the calls; an erasure leaves them, for they are their funder's.

    They keep the id of the account, which leads to nobody once the account is erased.
    """
    if not isinstance(event, PersonAccessRequested):
        return Part()
    written = select(calls.c.id, calls.c.state, calls.c.created_at)
    return await records_of(
        session, "call", written.where(calls.c.created_by.in_(event.account_ids))
    )
