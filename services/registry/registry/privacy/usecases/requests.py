"""Requests of persons: once one is confirmed, the registry does its part and asks the others."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from registry.register.models import tables
from registry.register.usecases.imports import block_imports
from shared.contracts.base import now
from shared.contracts.catalogue import ANSWERS
from shared.kernel.auth.tokens import Principal, Role
from shared.kernel.data import audit
from shared.kernel.encryption.sealer import Sealer
from shared.kernel.messaging import outbox

from .. import queries
from ..domain.requests import FoundOtherRecords, PersonRequest, RequestKind
from . import own_records
from .person_lookup import FoundPerson, find_person, locked_accounts, locked_cooperatives
from .proposals import Proposal, audit_move, expire_proposals_about, locked_request


async def confirm_request(
    session: AsyncSession,
    sealer: Sealer,
    caller: Principal,
    request_id: UUID,
    *,
    include: Collection[UUID] = (),
    leave: Collection[UUID] = (),
    expected_version: int | None,
) -> PersonRequest:
    """Open a proposed request: do the registry's part, and publish it, in one transaction.

    Operators only. Concerns the records that the proposal lists, without those to `leave`; each
    shared one has to be included or left. Raises NoSuchRequest, ChangedMeanwhile, IllegalMove,
    ProposalExpired, Undecided, FoundOtherRecords, LastOperator, AccountExists if a corrected e-mail
    is another account's, and RegisterInMotion while an import runs: it would write back the person
    from rows that it has read already.
    """
    caller.require(Role.OPERATOR)
    request = await locked_request(session, request_id)
    request.expect(expected_version)
    chosen = request.choose(include=include, leave=leave, at=now())
    assert request.proposal_sealed is not None
    proposal = Proposal.opened(sealer, request.proposal_sealed)
    if request.kind is not RequestKind.ACCESS:
        await block_imports(session)
    person = await _lock(session, sealer, request, proposal, chosen)
    changed = await own_records.fulfil(
        session, sealer, request.kind, person, proposal.corrections or {}
    )
    if request.kind is not RequestKind.ACCESS:
        await expire_proposals_about(session, sealer, request.id, proposal.named, chosen)
    event = request.confirm(
        by=caller.subject,
        at=now(),
        cooperatives={each.id: each.version for each in person.cooperatives},
        accounts=[account.id for account in person.accounts],
        services=[answer.service() for answer in ANSWERS],
    )
    outbox.add(session, event)
    _audit(session, caller, request, changed)
    return request


async def _lock(
    session: AsyncSession,
    sealer: Sealer,
    request: PersonRequest,
    proposal: Proposal,
    chosen: set[UUID],
) -> own_records.ChosenRecords:
    """The chosen records, locked; they are what the proposal showed, or FoundOtherRecords."""
    cooperatives = await locked_cooperatives(session, chosen)
    accounts = await locked_accounts(session, chosen)
    found: FoundPerson = await find_person(session, sealer, proposal.named)
    if found.records != request.records:
        raise FoundOtherRecords
    return own_records.ChosenRecords(found=found, cooperatives=cooperatives, accounts=accounts)


def _audit(
    session: AsyncSession,
    caller: Principal,
    request: PersonRequest,
    changed: list[own_records.Changed],
) -> None:
    """The request by ids, and on each record that something of a person changed."""
    cooperatives, accounts = request.cooperative_ids, request.account_ids
    left = request.records.ids - {*cooperatives, *accounts}
    audit_move(
        session,
        caller,
        request,
        "requested",
        cooperatives=cooperatives,
        accounts=accounts,
        left=left,
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
