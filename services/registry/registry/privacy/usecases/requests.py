"""Requests of persons: the registry does its part at once and asks the other services."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select, update
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
from registry.register.models import tables
from registry.register.usecases.cooperatives import update_cooperative
from registry.register.usecases.erased_contacts import admit_contact, remember_erased
from registry.register.usecases.imports import block_imports
from shared.contracts.base import new_id, now
from shared.contracts.catalogue import ANSWERS
from shared.kernel.auth.tokens import Principal, Role
from shared.kernel.data import audit
from shared.kernel.encryption.sealer import Sealer
from shared.kernel.messaging import outbox

from .. import queries
from ..domain import Ground, NothingToCorrect, PersonRequest, RequestKind
from .person_lookup import (
    FoundPerson,
    PersonIdentifiers,
    find_person,
    phones_of_others,
    readable_contact,
    readable_email,
)

BY_PERSON: Final = "said by the person"

Changed = tuple[UUID, str]
"""A record that lost or got something of a person, and the action that its audit row names."""


async def open_request(
    session: AsyncSession,
    sealer: Sealer,
    caller: Principal,
    kind: RequestKind,
    identifiers: PersonIdentifiers,
    *,
    ground: Ground,
    reference: str,
    corrections: dict[str, str | None] | None = None,
) -> PersonRequest:
    """Open a request, do the registry's part and publish it, in one transaction. Operators only.

    Raises NobodyNamed, NothingToCorrect, LastOperator, AccountExists if a corrected e-mail is
    another account's, and RegisterInMotion while an import runs: it would write back the person
    from rows that it has read already.
    """
    caller.require(Role.OPERATOR)
    identifiers.require_any()
    if (kind is RequestKind.RECTIFICATION) != bool(corrections):
        raise NothingToCorrect
    if kind is not RequestKind.ACCESS:
        await block_imports(session)
    found = await find_person(session, sealer, identifiers)
    changed: list[Changed] = []
    if kind is RequestKind.ERASURE:
        changed = await _erase(session, sealer, found, identifiers.phone)
    elif corrections:
        changed = await _correct(session, sealer, found.cooperatives, found.accounts, corrections)
    request, event = PersonRequest.open(
        kind,
        id=new_id(),
        ground=ground,
        reference=reference,
        by=caller.subject,
        at=now(),
        cooperatives={each.id: each.version for each in found.cooperatives},
        accounts=[account.id for account in found.accounts],
        services=[answer.service() for answer in ANSWERS],
    )
    session.add(request)
    outbox.add(session, event)
    _audit(session, caller, request, changed)
    return request


def _audit(
    session: AsyncSession, caller: Principal, request: PersonRequest, changed: Iterable[Changed]
) -> None:
    audit.record(
        session,
        caller,
        action=f"{request.kind} of a person requested",
        subject_id=request.id,
        after={
            "ground": request.ground,
            "reference": request.reference,
            "cooperatives": [str(each) for each in request.cooperative_ids],
            "accounts": [str(each) for each in request.account_ids],
        },
    )
    for record_id, action in changed:
        after = {"request_id": str(request.id)}
        audit.record(session, caller, action=action, subject_id=record_id, after=after)


async def hand_out_report(
    session: AsyncSession, sealer: Sealer, caller: Principal, request_id: UUID, *, days: int
) -> dict[str, Any]:
    """Everything that is held on the person; that it was handed out is audited. Operators only.

    Raises NoReport before all services have answered, and `days` after they have.
    """
    caller.require(Role.OPERATOR)
    report = await queries.compose_report(session, sealer, request_id, days=days)
    audit.record(session, caller, action="report on a person handed out", subject_id=request_id)
    return report


async def _erase(
    session: AsyncSession, sealer: Sealer, found: FoundPerson, phone: str | None
) -> list[Changed]:
    """Erase accounts and contacts. The ids stay: the audit names them, and they lead to nobody."""
    await refuse_last_operators(session, found.accounts)
    await _remember(session, sealer, found, phone)
    for account in found.accounts:
        await revoke_tokens(session, account.id, partner=account.partner)
        account.erase(email_sealed=sealer.seal({}), at=now())
    await _delete_failures(session, sealer, found.emails)
    await delete_identities(session, sealer, [account.id for account in found.accounts])
    await delete_devices(session, [account.id for account in found.accounts])
    for cooperative in found.cooperatives:
        await _settle(session, cooperative, None)
    return [(each.id, "contact erased") for each in found.cooperatives] + [
        (each.id, "account erased") for each in found.accounts
    ]


async def _remember(
    session: AsyncSession, sealer: Sealer, found: FoundPerson, phone: str | None
) -> None:
    """Let nobody bring e-mails and phones back unseen; of phones the one that the person gave, and
    those that no other contact has."""
    sealed = (each.entry.contact for each in found.cooperatives)
    contacts = [readable_contact(sealer, each.sealed) for each in sealed if each]
    phones = {each.phone for each in contacts if each.phone and each.phone != phone}
    phones -= await phones_of_others(session, sealer, phones, found)
    erased = [Contact(phone=each) for each in (phone, *phones)]
    await remember_erased(
        session, sealer, [*erased, *(Contact(email=email) for email in found.emails)]
    )


async def _correct(
    session: AsyncSession,
    sealer: Sealer,
    cooperatives: Sequence[Cooperative],
    accounts: Sequence[Account],
    corrections: dict[str, str | None],
) -> list[Changed]:
    await admit_contact(session, sealer, Contact(**corrections), confirmed=True)
    changed = []
    for cooperative in cooperatives:
        before = cooperative.entry.contact
        known = readable_contact(sealer, before.sealed if before else None)
        contact = seal_changed(sealer, before, replace(known, **corrections))
        await _settle(session, cooperative, contact)
        changed.append((cooperative.id, "contact corrected"))
    email = corrections.get("email")
    for account in accounts if email else ():
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


async def release_contact(session: AsyncSession, caller: Principal, cooperative_id: UUID) -> None:
    """Let register files set the contact of a cooperative again, for it is somebody else now.

    Operators only. Nothing happens if the contact is not settled.
    """
    caller.require(Role.OPERATOR)
    table = tables.cooperative
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
