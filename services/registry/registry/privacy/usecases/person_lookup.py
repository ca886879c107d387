"""Who a person is that asks for something: the contacts and the accounts that it is known by."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
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

_PAGE: Final = 1000


@dataclass(frozen=True, kw_only=True)
class Who:
    """How a person is known to whoever asks; any of it is enough."""

    emails: frozenset[str] = frozenset()
    phone: str | None = None
    account_ids: frozenset[UUID] = frozenset()
    cooperative_ids: frozenset[UUID] = frozenset()

    def require_somebody(self) -> None:
        if not (self.emails or self.phone or self.account_ids or self.cooperative_ids):
            raise NobodyNamed

    def is_contact(self, contact: Contact) -> bool:
        """By e-mail or phone, as the register writes them."""
        known = {normalized(email) for email in self.emails}
        same_email = contact.email is not None and normalized(contact.email) in known
        return same_email or (self.phone is not None and self.phone == contact.phone)

    def known_by(self, emails: Iterable[str]) -> Who:
        """The same person, with e-mails found out."""
        return replace(self, emails=self.emails | {normalized(email) for email in emails})


@dataclass(frozen=True, kw_only=True)
class Found:
    """The person with every e-mail found out, and what is the person's; locked."""

    emails: frozenset[str]
    cooperatives: list[Cooperative]
    accounts: list[Account]


async def recognise(session: AsyncSession, sealer: Sealer, who: Who) -> Found:
    """Whoever gives a phone or an id has accounts too, under the e-mails of the contacts found.

    And may be the contact elsewhere, under the e-mail of an account. A phone that was found out is
    not followed: a whole house may have it.
    """
    contacts = await _named(session, sealer, who.cooperative_ids)
    if who.emails or who.phone:
        contacts |= await _matching(session, sealer, who)
    known = who.known_by(each.email for each in contacts.values() if each.email)
    sealed = await session.scalars(_accounts(sealer, known, models.account.c.email_sealed))
    known = known.known_by(filter(None, (email_in(sealer, each) for each in sealed)))
    if known.emails - who.emails:
        contacts |= await _matching(session, sealer, replace(known, phone=None))
    return Found(
        emails=known.emails,
        cooperatives=await _locked_cooperatives(session, sealer, known, set(contacts)),
        accounts=await _locked_accounts(session, sealer, known),
    )


async def _named(
    session: AsyncSession, sealer: Sealer, cooperative_ids: frozenset[UUID]
) -> dict[UUID, Contact]:
    columns = tables.cooperative.c
    query = select(columns.id, columns.contact_sealed).where(columns.id.in_(cooperative_ids))
    return {row.id: opened(sealer, row.contact_sealed) for row in await session.execute(query)}


async def _locked_cooperatives(
    session: AsyncSession, sealer: Sealer, who: Who, found: set[UUID]
) -> list[Cooperative]:
    """Locked in the order of ids, and looked at again: a contact may have changed meanwhile."""
    table = tables.cooperative
    query = select(table).where(table.c.id.in_(found)).order_by(table.c.id).with_for_update()
    rows = (await session.execute(query)).mappings().all()
    return [
        cooperative_rows.cooperative_from(dict(row))
        for row in rows
        if row["id"] in who.cooperative_ids or who.is_contact(opened(sealer, row["contact_sealed"]))
    ]


async def _matching(session: AsyncSession, sealer: Sealer, who: Who) -> dict[UUID, Contact]:
    """Ciphertext can't be searched: every contact is opened, page by page, in a thread."""
    table, last = tables.cooperative, None
    found: dict[UUID, Contact] = {}
    while True:
        query = select(table.c.id, table.c.contact_sealed)
        query = query.where(table.c.contact_sealed.is_not(None)).order_by(table.c.id).limit(_PAGE)
        if last is not None:
            query = query.where(table.c.id > last)
        rows = (await session.execute(query)).all()
        if not rows:
            return found
        found |= await asyncio.to_thread(_matches, sealer, who, rows)
        last = rows[-1].id


def _matches(sealer: Sealer, who: Who, rows: Iterable[Any]) -> dict[UUID, Contact]:
    contacts = {row.id: opened(sealer, row.contact_sealed) for row in rows}
    return {each: contact for each, contact in contacts.items() if who.is_contact(contact)}


async def _locked_accounts(session: AsyncSession, sealer: Sealer, who: Who) -> list[Account]:
    query = _accounts(sealer, who, Account).order_by(models.account.c.id).with_for_update()
    return list(await session.scalars(query))


def _accounts(sealer: Sealer, who: Who, wanted: Any) -> Select[Any]:
    columns = models.account.c
    marks = [mark for email in who.emails for mark in email_marks(sealer, email)]
    return select(wanted).where(or_(columns.id.in_(who.account_ids), columns.email_mark.in_(marks)))


def opened(sealer: Sealer, sealed: str | None) -> Contact:
    """What no key opens can't be anybody's; `taawon doctor` reports it."""
    try:
        return open_contact(sealer, sealed)
    except Unreadable:
        return Contact()


def email_in(sealer: Sealer, sealed: str) -> str | None:
    """The e-mail of an account; None where it was erased, or where no key opens it."""
    try:
        return sealer.open(sealed).get("email")
    except Unreadable:
        return None
