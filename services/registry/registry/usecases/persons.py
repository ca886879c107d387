"""Requests of persons: who it is, what the registry does at once, and what the others answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from registry import models
from registry.domain import (
    Account,
    AccountExists,
    Contact,
    Cooperative,
    Ground,
    NobodyNamed,
    NothingToCorrect,
    PersonRequest,
    RequestKind,
    SealedContact,
)
from shared import audit
from shared.auth import Principal, Role
from shared.contracts.base import new_id, now
from shared.contracts.catalogue import ANSWERS
from shared.messaging import outbox
from shared.sealed import Sealer, Unreadable

from .accounts import email_mark, email_marks
from .failures import forget_failures
from .sealing import open_contact, seal_changed

BY_PERSON: Final = "said by the person"
_PAGE: Final = 1000


@dataclass(frozen=True, kw_only=True)
class Who:
    """How a person is known to whoever asks; any of it is enough."""

    email: str | None = None
    phone: str | None = None
    account_ids: frozenset[UUID] = frozenset()
    cooperative_ids: frozenset[UUID] = frozenset()

    def require_somebody(self) -> None:
        if not (self.email or self.phone or self.account_ids or self.cooperative_ids):
            raise NobodyNamed

    def is_contact(self, contact: Contact) -> bool:
        """By e-mail or phone, as the register writes them."""
        same_email = self.email and contact.email and _same(self.email, contact.email)
        return bool(same_email or (self.phone and self.phone == contact.phone))


def _same(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()


async def open_request(
    session: AsyncSession,
    sealer: Sealer,
    caller: Principal,
    kind: RequestKind,
    who: Who,
    *,
    ground: Ground,
    reference: str,
    corrections: dict[str, str | None] | None = None,
) -> PersonRequest:
    """Operators only. What the registry itself holds is changed in the same transaction."""
    caller.require(Role.OPERATOR)
    who.require_somebody()
    if (kind is RequestKind.RECTIFICATION) != bool(corrections):
        raise NothingToCorrect
    cooperatives = await _cooperatives_of(session, sealer, who)
    accounts = await _accounts_of(session, sealer, who)
    if kind is RequestKind.ERASURE:
        await _erase(session, sealer, who, cooperatives, accounts)
    elif corrections:
        await _correct(session, sealer, cooperatives, accounts, corrections)
    request, event = PersonRequest.open(
        kind,
        id=new_id(),
        ground=ground,
        reference=reference,
        by=caller.subject,
        at=now(),
        cooperatives={each.id: each.version for each in cooperatives},
        accounts=[account.id for account in accounts],
        services=[answer.service() for answer in ANSWERS],
    )
    session.add(request)
    outbox.add(session, event)
    audit.record(
        session,
        caller,
        action=f"{kind} of a person requested",
        subject_id=request.id,
        after={
            "ground": ground,
            "reference": reference,
            "cooperatives": [str(each) for each in request.cooperative_ids],
            "accounts": [str(each) for each in request.account_ids],
        },
    )
    return request


async def _cooperatives_of(session: AsyncSession, sealer: Sealer, who: Who) -> list[Cooperative]:
    """Locked in the order of ids, and looked at again: a contact may have changed meanwhile."""
    found = set(who.cooperative_ids)
    if who.email or who.phone:
        found |= await _matching(session, sealer, who)
    table = models.cooperative
    query = select(table).where(table.c.id.in_(found)).order_by(table.c.id).with_for_update()
    rows = (await session.execute(query)).mappings().all()
    return [
        models.cooperative_from(dict(row))
        for row in rows
        if row["id"] in who.cooperative_ids
        or who.is_contact(_opened(sealer, row["contact_sealed"]))
    ]


async def _matching(session: AsyncSession, sealer: Sealer, who: Who) -> set[UUID]:
    """Ciphertext can't be searched: every contact is opened, page by page, in a thread."""
    table, last = models.cooperative, None
    found: set[UUID] = set()
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


def _matches(sealer: Sealer, who: Who, rows: Iterable[Any]) -> set[UUID]:
    return {row.id for row in rows if who.is_contact(_opened(sealer, row.contact_sealed))}


def _opened(sealer: Sealer, sealed: str | None) -> Contact:
    """What no key opens can't be anybody's; `taawon doctor` tells of it."""
    try:
        return open_contact(sealer, sealed)
    except Unreadable:
        return Contact()


async def _accounts_of(session: AsyncSession, sealer: Sealer, who: Who) -> list[Account]:
    columns = models.account.c
    marks = email_marks(sealer, who.email) if who.email else []
    named = or_(columns.id.in_(who.account_ids), columns.email_mark.in_(marks))
    query = select(Account).where(named).order_by(columns.id).with_for_update()
    return list((await session.execute(query)).scalars())


async def _erase(
    session: AsyncSession,
    sealer: Sealer,
    who: Who,
    cooperatives: Sequence[Cooperative],
    accounts: Sequence[Account],
) -> None:
    """The ids stay, for the audit names them and no longer leads to anybody."""
    emails = {who.email} if who.email else set()
    for account in accounts:
        if email := sealer.open(account.email_sealed).get("email"):
            emails.add(email)
        account.forget(email_sealed=sealer.seal({}), at=now())
    linked = models.linked_identity
    theirs = linked.c.account_id.in_([account.id for account in accounts])
    await session.execute(delete(linked).where(theirs))
    await _forget_failures(session, sealer, emails)
    for cooperative in cooperatives:
        await _settle(session, cooperative, None)


async def _correct(
    session: AsyncSession,
    sealer: Sealer,
    cooperatives: Sequence[Cooperative],
    accounts: Sequence[Account],
    corrections: dict[str, str | None],
) -> None:
    for cooperative in cooperatives:
        before = cooperative.entry.contact
        opened = _opened(sealer, before.sealed if before else None)
        contact = seal_changed(sealer, before, replace(opened, **corrections))
        await _settle(session, cooperative, contact)
    email = corrections.get("email")
    for account in accounts if email else ():
        assert email is not None
        old = sealer.open(account.email_sealed).get("email")
        await _refuse_of_another(session, account, email_marks(sealer, email))
        account.email_sealed = sealer.seal({"email": email})
        account.email_mark = email_mark(sealer, email)
        await _forget_failures(session, sealer, {old} if old else set())
        await session.flush()


async def _refuse_of_another(session: AsyncSession, account: Account, marks: list[str]) -> None:
    columns = models.account.c
    taken = select(columns.id).where(columns.email_mark.in_(marks), columns.id != account.id)
    if await session.scalar(taken):
        raise AccountExists


async def _forget_failures(session: AsyncSession, sealer: Sealer, emails: set[str]) -> None:
    await forget_failures(
        session, [mark for email in emails for mark in email_marks(sealer, email)]
    )


async def _settle(
    session: AsyncSession, cooperative: Cooperative, contact: SealedContact | None
) -> None:
    """From now on the person decides and no register file: the old one names them still."""
    event = cooperative.settle_contact(contact, source=BY_PERSON, at=now())
    table = models.cooperative
    await session.execute(
        update(table)
        .where(table.c.id == cooperative.id)
        .values(models.cooperative_values(cooperative) | {"changed_at": now()})
    )
    if event is not None:
        outbox.add(session, event)


async def release_contact(session: AsyncSession, caller: Principal, cooperative_id: UUID) -> None:
    """Let register files say the contact of a cooperative again: somebody else is it now."""
    caller.require(Role.OPERATOR)
    table = models.cooperative
    released = await session.scalar(
        update(table)
        .where(table.c.id == cooperative_id, table.c.contact_settled_at.is_not(None))
        .values(contact_settled_at=None)
        .returning(table.c.id)
    )
    if released is not None:
        audit.record(
            session,
            caller,
            action="contact taken from register files again",
            subject_id=cooperative_id,
        )
