"""What a confirmed request does to the registry's own records: contacts and accounts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from registry.identity import models
from registry.identity.domain.accounts import Account, AccountExists
from registry.identity.usecases.accounts import email_mark, email_marks, refuse_last_operators
from registry.identity.usecases.identities import delete_identities
from registry.identity.usecases.known_devices import delete_devices
from registry.identity.usecases.login_throttling import delete_failures, wait_for_turn
from registry.identity.usecases.revocation import revoke_tokens
from registry.register.contact_sealing import seal_changed
from registry.register.domain.cooperative import Contact, Cooperative, SealedContact
from registry.register.usecases.cooperatives import update_cooperative
from registry.register.usecases.erased_contacts import admit_contact, remember_erased
from shared.contracts.base import now
from shared.kernel.encryption.sealer import Sealer
from shared.kernel.messaging import outbox
from shared.spelling import email_key

from ..domain.requests import RequestKind
from .person_lookup import FoundPerson, phones_of_others, readable_contact, readable_email
from .proposals import Corrections

BY_PERSON: Final = "said by the person"

Changed = tuple[UUID, str]
"""A record that lost or got something of a person, and the action that its audit row names."""


@dataclass(frozen=True, kw_only=True)
class ChosenRecords:
    """The records that a request concerns, locked, among all that were found for the person."""

    found: FoundPerson
    cooperatives: list[Cooperative]
    accounts: list[Account]

    @property
    def ids(self) -> set[UUID]:
        """The ids of the records that were chosen."""
        return {each.id for each in self.cooperatives} | {each.id for each in self.accounts}

    @property
    def emails(self) -> set[str]:
        """E-mails that are the person's, named or of a chosen record, and on no record left."""
        return {*self.found.named.email_keys, *self._emails(self.ids)} - self._emails(self._left)

    @property
    def phones(self) -> set[str]:
        """The phone that was named, and those of chosen records; others may have them, too."""
        known = (each.phone for id, each in self.found.contacts.items() if id in self.ids)
        return {each for each in (self.found.named.phone, *known) if each}

    @property
    def _left(self) -> set[UUID]:
        return self.found.records.ids - self.ids

    def _emails(self, ids: set[UUID]) -> set[str]:
        contacts = (each.email for id, each in self.found.contacts.items() if id in ids)
        accounts = (each for id, each in self.found.accounts.items() if id in ids)
        return {email_key(each) for each in (*contacts, *accounts) if each}


async def fulfil(
    session: AsyncSession,
    sealer: Sealer,
    kind: RequestKind,
    chosen: ChosenRecords,
    corrections: Corrections,
) -> list[Changed]:
    """Erase or correct the chosen records, which access leaves as they are; what changed."""
    if kind is RequestKind.ERASURE:
        return await _erase(session, sealer, chosen)
    if kind is RequestKind.RECTIFICATION:
        return await _correct(session, sealer, chosen, corrections)
    return []


async def _erase(session: AsyncSession, sealer: Sealer, chosen: ChosenRecords) -> list[Changed]:
    """Erase accounts and contacts. The ids stay: the audit names them, and they lead to nobody."""
    await refuse_last_operators(session, chosen.accounts)
    await _remember(session, sealer, chosen)
    for account in chosen.accounts:
        await revoke_tokens(session, account.id, partner=account.partner)
        account.erase(email_sealed=sealer.seal({}), at=now())
    await _delete_failures(session, sealer, chosen.emails)
    await delete_identities(session, sealer, [account.id for account in chosen.accounts])
    await delete_devices(session, [account.id for account in chosen.accounts])
    for cooperative in chosen.cooperatives:
        await _settle(session, cooperative, None)
    return [(each.id, "contact erased") for each in chosen.cooperatives] + [
        (each.id, "account erased") for each in chosen.accounts
    ]


async def _remember(session: AsyncSession, sealer: Sealer, chosen: ChosenRecords) -> None:
    """Let nobody bring e-mails and phones back unseen, but those that somebody else has still."""
    phones = chosen.phones
    phones -= await phones_of_others(session, sealer, phones, chosen.ids)
    erased = [Contact(phone=each) for each in phones]
    erased += [Contact(email=each) for each in chosen.emails]
    await remember_erased(session, sealer, erased)


async def _correct(
    session: AsyncSession, sealer: Sealer, chosen: ChosenRecords, corrections: Corrections
) -> list[Changed]:
    await admit_contact(session, sealer, Contact(**corrections), confirmed=True)
    changed = []
    for cooperative in chosen.cooperatives:
        before = cooperative.entry.contact
        known = readable_contact(sealer, before.sealed if before else None)
        contact = seal_changed(sealer, before, replace(known, **corrections))
        await _settle(session, cooperative, contact)
        changed.append((cooperative.id, "contact corrected"))
    email = corrections.get("email")
    for account in chosen.accounts if email else ():
        assert email is not None
        old = readable_email(sealer, account.email_sealed)
        await _refuse_taken_email(session, account, email_marks(sealer, email))
        account.email_sealed = sealer.seal({"email": email})
        account.email_mark = email_mark(sealer, email)
        await _delete_failures(session, sealer, {old} if old else set())
        await session.flush()
        changed.append((account.id, "sign-in e-mail corrected"))
    return changed


async def _refuse_taken_email(session: AsyncSession, account: Account, marks: list[str]) -> None:
    await wait_for_turn(session, marks)
    columns = models.account.c
    taken = select(columns.id).where(columns.email_mark.in_(marks), columns.id != account.id)
    if await session.scalar(taken):
        raise AccountExists


async def _delete_failures(session: AsyncSession, sealer: Sealer, emails: Iterable[str]) -> None:
    await delete_failures(
        session, [mark for email in emails for mark in email_marks(sealer, email)]
    )


async def _settle(
    session: AsyncSession, cooperative: Cooperative, contact: SealedContact | None
) -> None:
    """Replace a contact for good: register files that still name the person don't change it."""
    event = cooperative.settle_contact(contact, source=BY_PERSON, at=now())
    await update_cooperative(session, cooperative)
    if event is not None:
        outbox.add(session, event)
