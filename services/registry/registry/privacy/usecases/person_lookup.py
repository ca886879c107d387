"""Finding the contacts and accounts of a person who asks for something."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from registry.identity import models
from registry.identity.domain.accounts import Account
from registry.identity.usecases.accounts import email_marks, normalized
from registry.register.contact_sealing import open_contact
from registry.register.domain.cooperative import Contact, Cooperative
from registry.register.models import rows as cooperative_rows
from registry.register.models import tables
from shared.kernel.encryption.sealer import Sealer, Unreadable

from ..domain import NobodyNamed

_CONTACTS_PER_PAGE: Final = 1000


@dataclass(frozen=True, kw_only=True)
class PersonIdentifiers:
    """What a person is found by; one of them is enough."""

    emails: frozenset[str] = frozenset()
    phone: str | None = None
    account_ids: frozenset[UUID] = frozenset()
    cooperative_ids: frozenset[UUID] = frozenset()

    def require_any(self) -> None:
        """Raise NobodyNamed if there is none."""
        if not (self.emails or self.phone or self.account_ids or self.cooperative_ids):
            raise NobodyNamed

    def is_contact(self, contact: Contact) -> bool:
        """Whether a contact has one of the e-mails, in any case, or the phone as E.164."""
        known = {normalized(email) for email in self.emails}
        same_email = contact.email is not None and normalized(contact.email) in known
        return same_email or (self.phone is not None and self.phone == contact.phone)

    def with_emails(self, emails: Iterable[str]) -> PersonIdentifiers:
        """The same with e-mails that were found to be the person's."""
        return replace(self, emails=self.emails | {normalized(email) for email in emails})


@dataclass(frozen=True, kw_only=True)
class FoundPerson:
    """The e-mails of a person, and the person's cooperatives and accounts, locked."""

    emails: frozenset[str]
    cooperatives: list[Cooperative]
    accounts: list[Account]


async def find_person(
    session: AsyncSession, sealer: Sealer, identifiers: PersonIdentifiers
) -> FoundPerson:
    """Find contacts by the identifiers, accounts by the e-mails of those contacts, and further
    contacts by the e-mails of those accounts.

    A phone that was not given is not followed: several people may share it.
    """
    contacts = await _named(session, sealer, identifiers.cooperative_ids)
    if identifiers.emails or identifiers.phone:
        contacts |= await _matching(session, sealer, identifiers.is_contact)
    known = identifiers.with_emails(each.email for each in contacts.values() if each.email)
    sealed = await session.scalars(_accounts(sealer, known, models.account.c.email_sealed))
    known = known.with_emails(filter(None, (readable_email(sealer, each) for each in sealed)))
    if known.emails - identifiers.emails:
        contacts |= await _matching(session, sealer, replace(known, phone=None).is_contact)
    return FoundPerson(
        emails=known.emails,
        cooperatives=await _locked_cooperatives(session, sealer, known, set(contacts)),
        accounts=await _locked_accounts(session, sealer, known),
    )


async def phones_of_others(
    session: AsyncSession, sealer: Sealer, phones: Set[str], found: FoundPerson
) -> set[str]:
    """Those of the phones that are in contacts of somebody else, too: several people share one."""
    if not phones:
        return set()
    theirs = {each.id for each in found.cooperatives}
    contacts = await _matching(session, sealer, lambda contact: contact.phone in phones)
    return {each.phone for id, each in contacts.items() if id not in theirs and each.phone}


async def _named(
    session: AsyncSession, sealer: Sealer, cooperative_ids: frozenset[UUID]
) -> dict[UUID, Contact]:
    columns = tables.cooperative.c
    query = select(columns.id, columns.contact_sealed).where(columns.id.in_(cooperative_ids))
    return {
        row.id: readable_contact(sealer, row.contact_sealed) for row in await session.execute(query)
    }


async def _locked_cooperatives(
    session: AsyncSession, sealer: Sealer, identifiers: PersonIdentifiers, found: set[UUID]
) -> list[Cooperative]:
    """Locked in the order of ids, and compared again: a contact may have changed meanwhile."""
    table = tables.cooperative
    query = select(table).where(table.c.id.in_(found)).order_by(table.c.id).with_for_update()
    rows = (await session.execute(query)).mappings().all()
    return [
        cooperative_rows.cooperative_from(dict(row))
        for row in rows
        if row["id"] in identifiers.cooperative_ids
        or identifiers.is_contact(readable_contact(sealer, row["contact_sealed"]))
    ]


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


async def _locked_accounts(
    session: AsyncSession, sealer: Sealer, identifiers: PersonIdentifiers
) -> list[Account]:
    query = _accounts(sealer, identifiers, Account).order_by(models.account.c.id).with_for_update()
    return list(await session.scalars(query))


def _accounts(sealer: Sealer, identifiers: PersonIdentifiers, wanted: Any) -> Select[Any]:
    columns = models.account.c
    marks = [mark for email in identifiers.emails for mark in email_marks(sealer, email)]
    return select(wanted).where(
        or_(columns.id.in_(identifiers.account_ids), columns.email_mark.in_(marks))
    )


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
