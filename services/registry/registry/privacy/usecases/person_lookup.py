"""Finding the contacts and accounts of a person who asks for something."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from registry.identity import models
from registry.identity.domain.accounts import Account
from registry.identity.usecases.accounts import email_marks
from registry.register.contact_sealing import open_contact
from registry.register.domain.cooperative import Contact, Cooperative
from registry.register.models import rows as cooperative_rows
from registry.register.models import tables
from shared.kernel.encryption.sealer import Sealer, Unreadable

from ..domain.found_records import (
    FoundRecords,
    PersonIdentifiers,
    found_records,
    refuse_too_many,
)

_CONTACTS_PER_PAGE: Final = 1000


@dataclass(frozen=True, kw_only=True)
class FoundPerson:
    """What leads to a person: contacts by cooperative, and the e-mails of accounts, in clear."""

    named: PersonIdentifiers
    contacts: Mapping[UUID, Contact]
    accounts: Mapping[UUID, str | None]

    @property
    def records(self) -> FoundRecords:
        """The same by ids, and which of them may be somebody else's."""
        return found_records(self.named, self.contacts, self.accounts)


async def find_person(
    session: AsyncSession, sealer: Sealer, named: PersonIdentifiers
) -> FoundPerson:
    """Find contacts by the identifiers, accounts by the e-mails of those contacts, and further
    contacts by the e-mails of those accounts.

    A phone that was not given is not followed: several people may share it. Raises FoundTooMany.
    """
    contacts = await _named(session, sealer, named.cooperative_ids)
    if named.emails or named.phone:
        contacts |= await _matching(session, sealer, named.is_contact)
    refuse_too_many(contacts)
    known = named.with_emails(each.email for each in contacts.values() if each.email)
    accounts = await _accounts(session, sealer, known)
    refuse_too_many(accounts)
    known = known.with_emails(filter(None, accounts.values()))
    if known.email_keys - named.email_keys:
        contacts |= await _matching(session, sealer, replace(known, phone=None).is_contact)
    refuse_too_many(contacts)
    return FoundPerson(named=named, contacts=contacts, accounts=accounts)


async def phones_of_others(
    session: AsyncSession, sealer: Sealer, phones: Set[str], chosen: Set[UUID]
) -> set[str]:
    """Those of the phones that a contact of another cooperative has, too."""
    if not phones:
        return set()
    contacts = await _matching(session, sealer, lambda contact: contact.phone in phones)
    return {each.phone for id, each in contacts.items() if id not in chosen and each.phone}


async def locked_cooperatives(session: AsyncSession, ids: Set[UUID]) -> list[Cooperative]:
    """Those of the records that are cooperatives, locked in the order of ids."""
    table = tables.cooperative
    query = select(table).where(table.c.id.in_(ids)).order_by(table.c.id).with_for_update()
    rows = (await session.execute(query)).mappings()
    return [cooperative_rows.cooperative_from(dict(row)) for row in rows]


async def locked_accounts(session: AsyncSession, ids: Set[UUID]) -> list[Account]:
    """Those of the records that are accounts, locked in the order of ids."""
    columns = models.account.c
    query = select(Account).where(columns.id.in_(ids)).order_by(columns.id).with_for_update()
    return list(await session.scalars(query))


async def _named(
    session: AsyncSession, sealer: Sealer, cooperative_ids: frozenset[UUID]
) -> dict[UUID, Contact]:
    columns = tables.cooperative.c
    query = select(columns.id, columns.contact_sealed).where(columns.id.in_(cooperative_ids))
    return {
        row.id: readable_contact(sealer, row.contact_sealed) for row in await session.execute(query)
    }


async def _matching(
    session: AsyncSession, sealer: Sealer, is_wanted: Callable[[Contact], bool]
) -> dict[UUID, Contact]:
    """Ciphertext can't be searched: every contact is opened, page by page, in a thread."""
    table, last = tables.cooperative, None
    found: dict[UUID, Contact] = {}
    while True:
        query = select(table.c.id, table.c.contact_sealed)
        query = (
            query.where(table.c.contact_sealed.is_not(None))
            .order_by(table.c.id)
            .limit(_CONTACTS_PER_PAGE)
        )
        if last is not None:
            query = query.where(table.c.id > last)
        rows = (await session.execute(query)).all()
        if not rows:
            return found
        found |= await asyncio.to_thread(_matches, sealer, is_wanted, rows)
        last = rows[-1].id


def _matches(
    sealer: Sealer, is_wanted: Callable[[Contact], bool], rows: Iterable[Any]
) -> dict[UUID, Contact]:
    contacts = {row.id: readable_contact(sealer, row.contact_sealed) for row in rows}
    return {each: contact for each, contact in contacts.items() if is_wanted(contact)}


async def _accounts(
    session: AsyncSession, sealer: Sealer, known: PersonIdentifiers
) -> dict[UUID, str | None]:
    columns = models.account.c
    marks = [mark for email in known.emails for mark in email_marks(sealer, email)]
    query = select(columns.id, columns.email_sealed).where(
        or_(columns.id.in_(known.account_ids), columns.email_mark.in_(marks))
    )
    return {
        row.id: readable_email(sealer, row.email_sealed) for row in await session.execute(query)
    }


def readable_contact(sealer: Sealer, sealed: str | None) -> Contact:
    """The contact in clear; empty if no key opens it, which `taawon doctor` reports."""
    try:
        return open_contact(sealer, sealed)
    except Unreadable:
        return Contact()


def readable_email(sealer: Sealer, sealed: str) -> str | None:
    """The e-mail of an account; None where it was erased, or where no key opens it."""
    try:
        return sealer.open(sealed).get("email")
    except Unreadable:
        return None
