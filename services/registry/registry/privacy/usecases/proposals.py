"""Requests that are proposed: they list what they would concern, and change nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.base import new_id, now
from shared.kernel.auth.tokens import Principal, Role
from shared.kernel.data import audit
from shared.kernel.encryption.sealer import Sealer, Unreadable
from shared.sentences import Sentence

from .. import models
from ..domain.found_records import PersonIdentifiers
from ..domain.requests import (
    PROPOSAL_LIFE,
    Ground,
    NoSuchRequest,
    NothingToCorrect,
    PersonRequest,
    RequestKind,
    RequestState,
)
from .person_lookup import find_person

Corrections = dict[str, str | None]


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """Whom a request names, and what is right; it rests sealed until the request is confirmed."""

    named: PersonIdentifiers
    corrections: Corrections | None = None

    def sealed(self, sealer: Sealer) -> str:
        """The proposal as ciphertext."""
        return sealer.seal(
            {
                "emails": sorted(self.named.emails),
                "phone": self.named.phone,
                "account_ids": [str(each) for each in self.named.account_ids],
                "cooperative_ids": [str(each) for each in self.named.cooperative_ids],
                "corrections": self.corrections,
            }
        )

    @classmethod
    def opened(cls, sealer: Sealer, sealed: str) -> Proposal:
        """The proposal in clear. Raises Unreadable if no key opens it."""
        values = sealer.open(sealed)
        named = PersonIdentifiers(
            emails=frozenset(values["emails"]),
            phone=values["phone"],
            account_ids=frozenset(map(UUID, values["account_ids"])),
            cooperative_ids=frozenset(map(UUID, values["cooperative_ids"])),
        )
        return cls(named=named, corrections=values["corrections"])


async def propose_request(
    session: AsyncSession,
    sealer: Sealer,
    caller: Principal,
    kind: RequestKind,
    proposal: Proposal,
    *,
    ground: Ground,
    reference: str,
) -> PersonRequest:
    """Find what a request would concern, and store it without effect. Operators only.

    Raises NobodyNamed and NothingToCorrect.
    """
    caller.require(Role.OPERATOR)
    proposal.named.require_any()
    if (kind is RequestKind.RECTIFICATION) != bool(proposal.corrections):
        raise NothingToCorrect
    found = await find_person(session, sealer, proposal.named)
    request = PersonRequest.propose(
        kind,
        id=new_id(),
        ground=ground,
        reference=reference,
        records=found.records,
        sealed=proposal.sealed(sealer),
        by=caller.subject,
        at=now(),
    )
    session.add(request)
    audit_move(session, caller, request, "proposed", records=request.records.ids)
    return request


async def drop_proposal(
    session: AsyncSession, caller: Principal, request_id: UUID, *, expected_version: int | None
) -> None:
    """Take a proposal back before it has any effect. Operators only.

    Raises NoSuchRequest, ChangedMeanwhile and IllegalMove.
    """
    caller.require(Role.OPERATOR)
    request = await locked_request(session, request_id)
    request.expect(expected_version)
    request.drop()
    audit_move(session, caller, request, "dropped")


async def locked_request(session: AsyncSession, request_id: UUID) -> PersonRequest:
    """A request, locked. Raises NoSuchRequest."""
    request = await session.get(PersonRequest, request_id, with_for_update=True)
    if request is None:
        raise NoSuchRequest(
            Sentence("there is no person's request {request_id}", request_id=request_id)
        )
    return request


async def expire_old_proposals(session: AsyncSession) -> None:
    """End the proposals that nobody confirmed in time."""
    old = models.person_request.c.proposed_at <= now() - PROPOSAL_LIFE
    for each in await _proposals(session, old):
        _expire(session, each)


async def expire_proposals_about(
    session: AsyncSession,
    sealer: Sealer,
    request_id: UUID,
    named: PersonIdentifiers,
    records: set[UUID],
) -> None:
    """End proposals but this about a person who was erased or corrected: they name the person.

    One that is being confirmed at this moment is left to its confirmation.
    """
    for each in await _proposals(session, models.person_request.c.id != request_id):
        if not records.isdisjoint(each.records.ids) or _names(sealer, each, named):
            _expire(session, each)


def _names(sealer: Sealer, request: PersonRequest, named: PersonIdentifiers) -> bool:
    assert request.proposal_sealed is not None
    try:
        return Proposal.opened(sealer, request.proposal_sealed).named.meets(named)
    except Unreadable:
        return False


async def _proposals(session: AsyncSession, *which: Any) -> Sequence[PersonRequest]:
    proposed = models.person_request.c.state == RequestState.PROPOSED
    query = select(PersonRequest).where(proposed, *which).with_for_update(skip_locked=True)
    return (await session.scalars(query)).all()


def _expire(session: AsyncSession, request: PersonRequest) -> None:
    request.expire()
    audit_move(session, None, request, "expired")


def audit_move(
    session: AsyncSession,
    caller: Principal | None,
    request: PersonRequest,
    move: str,
    **ids: Iterable[UUID],
) -> None:
    """Record a move of a request, with ids alone: `move` says it in a word."""
    named = {name: sorted(map(str, each)) for name, each in ids.items()}
    after = {"ground": request.ground, "reference": request.reference, **named}
    action = f"{request.kind} of a person {move}"
    audit.record(session, caller, action=action, subject_id=request.id, after=after)
