"""Contacts that a person had erased do not come back unseen, whichever cooperative they are of.

They are remembered by keyed digests of the e-mail and the phone, in every spelling; a name alone is
many people's. Digests by a key that is no longer in TAAWON_SEAL_KEYS recognise nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.errors import Problem
from shared.kernel.auth.tokens import Principal
from shared.kernel.data import audit
from shared.kernel.encryption.sealer import Sealer
from shared.sentences import Sentence
from shared.spelling import email_key

from ..domain.cooperative import Contact, ErasedContact
from ..models import tables

_erased = tables.erased_contact


@dataclass(frozen=True, kw_only=True, slots=True)
class ErasedContacts:
    """All that is remembered, to compare many contacts with. No import runs during an erasure."""

    sealer: Sealer
    marks: frozenset[str]

    def fields_of(self, contact: Contact) -> tuple[str, ...]:
        """The fields whose values were erased."""
        if not self.marks:
            return ()
        known = _marks_of(self.sealer, contact)
        return tuple(name for name, marks in known.items() if not self.marks.isdisjoint(marks))


async def all_erased(session: AsyncSession, sealer: Sealer) -> ErasedContacts:
    """What an import compares its rows with."""
    marks = await session.scalars(select(_erased.c.mark))
    return ErasedContacts(sealer=sealer, marks=frozenset(marks))


async def remember_erased(
    session: AsyncSession, sealer: Sealer, contacts: Iterable[Contact]
) -> None:
    """Remember the e-mails and phones of these contacts, under the newest key."""
    marks = {marks[0] for each in contacts for marks in _marks_of(sealer, each).values()}
    if marks:
        added = insert(_erased).values([{"mark": mark} for mark in sorted(marks)])
        again = {"erased_at": func.clock_timestamp()}
        await session.execute(
            added.on_conflict_do_update(index_elements=[_erased.c.mark], set_=again)
        )


async def admit_contact(
    session: AsyncSession, sealer: Sealer, contact: Contact, *, confirmed: bool, within: str = ""
) -> bool:
    """Whether a contact comes back that was erased, as somebody confirmed that its person wants.

    It is not remembered any more then. Raises ErasedContact, with its fields `within` the request,
    if nobody confirmed it.
    """
    known = _marks_of(sealer, contact)
    wanted = [mark for marks in known.values() for mark in marks]
    found = set(await session.scalars(select(_erased.c.mark).where(_erased.c.mark.in_(wanted))))
    if found and not confirmed:
        names = [name for name, marks in known.items() if not found.isdisjoint(marks)]
        raise ErasedContact.many([Problem(within + name, _REMEDY) for name in names])
    if found:
        await session.execute(delete(_erased).where(_erased.c.mark.in_(found)))
    return bool(found)


def audit_return(session: AsyncSession, caller: Principal, record_id: UUID) -> None:
    """Record who confirmed that somebody wants an erased contact back; nothing of the contact."""
    audit.record(session, caller, action="erased contact entered again", subject_id=record_id)


_REMEDY = Sentence(
    "a person had this erased: leave it out, or send `confirm_erased`: true if they asked for it to"
    " be stored again"
)


async def delete_old_erased(session: AsyncSession, days: int) -> None:
    """Remember nothing that was erased more than so many days ago."""
    old = _erased.c.erased_at < func.clock_timestamp() - timedelta(days=days)
    await session.execute(delete(_erased).where(old))


def _marks_of(sealer: Sealer, contact: Contact) -> dict[str, list[str]]:
    """The marks of e-mail and phone by field; not those by which anything else is found."""
    values = {"email": email_key(contact.email) if contact.email else None, "phone": contact.phone}
    return {
        name: sealer.marks(f"erased\0{name}\0{value}") for name, value in values.items() if value
    }
