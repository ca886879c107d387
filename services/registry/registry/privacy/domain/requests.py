"""What a person may ask for: to know what is held on them, to have it corrected or erased.

An operator proposes a request, looks at the records that it would concern, and confirms it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from shared.business_days import business_day
from shared.contracts.persons import CooperativeOfPerson, PersonRequested
from shared.contracts.registry import PersonAccessRequested, PersonErasureRequested, PersonRectified
from shared.errors import MOST_NAMED, Conflict, Invalid, NotFound, Problem
from shared.lifecycle import refuse_unless_allowed, refuse_unless_expected
from shared.sentences import Sentence

from .found_records import FoundRecords

PROPOSAL_LIFE: Final = timedelta(hours=24)
"""How long a proposal waits for its confirmation: what it lists gets old, and it names a person."""
CLEAR_DAYS: Final = 10
"""Law 09-08 gives ten clear days: neither the day of the request nor the last one counts."""


class NoSuchRequest(NotFound):
    """There is no person's request with this id."""


class NoReport(NotFound):
    """There is no report: only access has one, once all have answered, until it expires."""


class ProposalExpired(Conflict):
    """The proposal has expired: what it lists may not be true any more. Propose it again."""


class FoundOtherRecords(Conflict):
    """The register changed since this was proposed, and now other records would be concerned: drop
    the proposal, propose it again, and look at the new list."""


class Undecided(Invalid):
    """Somebody else may share these records: include or leave each of them, by its id."""


class NothingToCorrect(Invalid):
    """A rectification gives the right values, and nothing else does."""


class RequestKind(StrEnum):
    """The rights of a person that a request may be about."""

    ACCESS = "access"
    RECTIFICATION = "rectification"
    ERASURE = "erasure"


class RequestState(StrEnum):
    """Proposed, without effect; opened by a confirmation; answered by some services; completed by
    the last of them. A proposal that nobody confirms is dropped, or expires.
    """

    PROPOSED = "proposed"
    OPENED = "opened"
    ANSWERED = "answered"
    COMPLETED = "completed"
    DROPPED = "dropped"
    EXPIRED = "expired"


MOVES: dict[RequestState, set[RequestState]] = {
    RequestState.PROPOSED: {RequestState.OPENED, RequestState.DROPPED, RequestState.EXPIRED},
    RequestState.OPENED: {RequestState.ANSWERED, RequestState.COMPLETED},
    RequestState.ANSWERED: {RequestState.ANSWERED, RequestState.COMPLETED},
    RequestState.COMPLETED: set(),
    RequestState.DROPPED: set(),
    RequestState.EXPIRED: set(),
}
ENDED: Final = frozenset(state for state, targets in MOVES.items() if not targets)
"""States in which nobody waits for anything."""


class Ground(StrEnum):
    """Who asks. A choice and a file number say why; free text would name the person."""

    PERSON = "person"
    REPRESENTATIVE = "representative"
    AUTHORITY = "authority"


EVENTS: Final[Mapping[RequestKind, type[PersonRequested]]] = {
    RequestKind.ACCESS: PersonAccessRequested,
    RequestKind.RECTIFICATION: PersonRectified,
    RequestKind.ERASURE: PersonErasureRequested,
}


@dataclass(eq=False, kw_only=True)
class PersonRequest:
    """A request by ids and times. Whom it names and what is right rests sealed in `proposal_sealed`
    until it is confirmed; nothing of the person is left then.

    `version` grows with every move. `waiting_for` names the services that have not answered,
    `due_on` is the last day that the law allows, counted from the proposal.
    """

    id: UUID
    kind: RequestKind
    state: RequestState = RequestState.PROPOSED
    version: int = 1
    ground: Ground
    reference: str
    records: FoundRecords
    proposal_sealed: str | None
    proposed_by: UUID
    proposed_at: datetime
    due_on: date
    opened_by: UUID | None = None
    opened_at: datetime | None = None
    completed_at: datetime | None = None
    cooperative_ids: list[UUID] = field(default_factory=list)
    account_ids: list[UUID] = field(default_factory=list)
    waiting_for: list[str] = field(default_factory=list)

    @classmethod
    def propose(
        cls,
        kind: RequestKind,
        *,
        id: UUID,
        ground: Ground,
        reference: str,
        records: FoundRecords,
        sealed: str,
        by: UUID,
        at: datetime,
    ) -> PersonRequest:
        """A request that lists what it would concern, and has no effect yet."""
        return cls(
            id=id,
            kind=kind,
            ground=ground,
            reference=reference,
            records=records,
            proposal_sealed=sealed,
            proposed_by=by,
            proposed_at=at,
            due_on=due_on(at),
        )

    @property
    def expires_at(self) -> datetime:
        """Until when the proposal may be confirmed."""
        return self.proposed_at + PROPOSAL_LIFE

    def expect(self, version: int | None) -> None:
        """Raise ChangedMeanwhile if a step was decided on another version; None is no condition."""
        refuse_unless_expected("request", self.version, version)

    def choose(
        self, *, include: Collection[UUID], leave: Collection[UUID], at: datetime
    ) -> set[UUID]:
        """The ids of the records that a confirmation at this moment concerns.

        Raises IllegalMove or ProposalExpired, and Undecided unless every shared record is either
        included or left, and no other id is given.
        """
        refuse_unless_allowed(MOVES, "request", self.state, RequestState.OPENED)
        if at >= self.expires_at:
            raise ProposalExpired
        self._refuse_undecided(set(include), set(leave))
        return self.records.ids - set(leave)

    def _refuse_undecided(self, include: set[UUID], leave: set[UUID]) -> None:
        undecided = sorted(self.records.shared_ids - include - leave)
        problems = [
            Problem("include", Sentence("{record} is shared: include it or leave it", record=each))
            for each in undecided
        ]
        problems += [
            Problem("leave", Sentence("{record} is included too", record=each))
            for each in sorted(include & leave)
        ]
        for name, given in (("include", include), ("leave", leave)):
            strange = sorted(given - self.records.ids)
            problems += [
                Problem(name, Sentence("{record} is none of the records found", record=each))
                for each in strange
            ]
        if problems:
            raise Undecided.many(problems[:MOST_NAMED])

    def confirm(
        self,
        *,
        by: UUID,
        at: datetime,
        cooperatives: Mapping[UUID, int],
        accounts: Iterable[UUID],
        services: Iterable[str],
    ) -> PersonRequested:
        """Open the request for these records; its event. `cooperatives` maps ids to versions.

        It waits for every service, also those that hold nothing, for only they know that.
        """
        self._move_to(RequestState.OPENED)
        self.opened_by, self.opened_at = by, at
        self.proposal_sealed = None
        self.cooperative_ids, self.account_ids = sorted(cooperatives), sorted(accounts)
        self.waiting_for = sorted(services)
        return EVENTS[self.kind](
            request_id=self.id,
            occurred_at=at,
            cooperatives=tuple(
                CooperativeOfPerson(cooperative_id=each, version=version)
                for each, version in sorted(cooperatives.items())
            ),
            account_ids=tuple(self.account_ids),
        )

    def drop(self) -> None:
        """Take the proposal back; nothing of the person is left in it."""
        self._move_to(RequestState.DROPPED)
        self.proposal_sealed = None

    def expire(self) -> None:
        """End a proposal that was not confirmed, or whose records changed; it keeps ids alone."""
        self._move_to(RequestState.EXPIRED)
        self.proposal_sealed = None

    def waits_for(self, service: str) -> bool:
        """Whether this service has still to answer."""
        return service in self.waiting_for

    def record_response(self, service: str, *, at: datetime) -> None:
        """Note that a service answered; the last answer completes the request.

        An answer that is not waited for changes nothing.
        """
        if not self.waits_for(service):
            return
        self.waiting_for = [each for each in self.waiting_for if each != service]
        self._move_to(RequestState.ANSWERED if self.waiting_for else RequestState.COMPLETED)
        if not self.waiting_for:
            self.completed_at = at

    def _move_to(self, target: RequestState) -> None:
        refuse_unless_allowed(MOVES, "request", self.state, target)
        self.state = target
        self.version += 1


def due_on(asked_at: datetime) -> date:
    """The tenth clear day after the one on which it was asked for."""
    return business_day(asked_at) + timedelta(days=CLEAR_DAYS)
