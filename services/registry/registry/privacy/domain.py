"""What a person may ask for: to know what is held on them, to have it corrected or erased."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from shared.business_days import business_day
from shared.contracts.persons import CooperativeOfPerson, PersonRequested
from shared.contracts.registry import PersonAccessRequested, PersonErasureRequested, PersonRectified
from shared.errors import Invalid, NotFound
from shared.lifecycle import refuse_unless_allowed

CLEAR_DAYS: Final = 10
"""Law 09-08 gives ten clear days: neither the day of the request nor the last one counts."""


class NoSuchRequest(NotFound):
    """No person's request with this id was opened."""


class NoReport(NotFound):
    """There is no report: only access has one, once all have answered, until it expires."""


class NobodyNamed(Invalid):
    """Say who it is: an e-mail, a phone, ids of accounts or ids of cooperatives."""


class NothingToCorrect(Invalid):
    """A rectification gives the right values, and nothing else does."""


class RequestKind(StrEnum):
    """The rights of a person that a request may be about."""

    ACCESS = "access"
    RECTIFICATION = "rectification"
    ERASURE = "erasure"


class RequestState(StrEnum):
    """Opened; answered by some services; completed by the last of them."""

    OPENED = "opened"
    ANSWERED = "answered"
    COMPLETED = "completed"


MOVES: dict[RequestState, set[RequestState]] = {
    RequestState.OPENED: {RequestState.ANSWERED, RequestState.COMPLETED},
    RequestState.ANSWERED: {RequestState.ANSWERED, RequestState.COMPLETED},
    RequestState.COMPLETED: set(),
}


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
    """A request by ids and times, with nothing of the person.

    `waiting_for` names the services that have not answered, `due_on` is the last day that the law
    allows.
    """

    id: UUID
    kind: RequestKind
    state: RequestState = RequestState.OPENED
    ground: Ground
    reference: str
    opened_by: UUID
    opened_at: datetime
    due_on: date
    completed_at: datetime | None = None
    cooperative_ids: list[UUID] = field(default_factory=list)
    account_ids: list[UUID] = field(default_factory=list)
    waiting_for: list[str] = field(default_factory=list)

    @classmethod
    def open(
        cls,
        kind: RequestKind,
        *,
        id: UUID,
        ground: Ground,
        reference: str,
        by: UUID,
        at: datetime,
        cooperatives: Mapping[UUID, int],
        accounts: Iterable[UUID],
        services: Iterable[str],
    ) -> tuple[PersonRequest, PersonRequested]:
        """A request and its event. `cooperatives` maps ids to versions.

        It waits for every service, also those that hold nothing, for only they know that.
        """
        request = cls(
            id=id,
            kind=kind,
            ground=ground,
            reference=reference,
            opened_by=by,
            opened_at=at,
            due_on=due_on(at),
            cooperative_ids=sorted(cooperatives),
            account_ids=sorted(accounts),
            waiting_for=sorted(services),
        )
        event = EVENTS[kind](
            request_id=id,
            occurred_at=at,
            cooperatives=tuple(
                CooperativeOfPerson(cooperative_id=each, version=version)
                for each, version in sorted(cooperatives.items())
            ),
            account_ids=tuple(request.account_ids),
        )
        return request, event

    def record_response(self, service: str, *, at: datetime) -> None:
        """Note that a service answered; the last answer completes the request.

        An answer that is not waited for changes nothing.
        """
        if service not in self.waiting_for:
            return
        self.waiting_for = [each for each in self.waiting_for if each != service]
        self._move_to(RequestState.ANSWERED if self.waiting_for else RequestState.COMPLETED)
        if not self.waiting_for:
            self.completed_at = at

    def _move_to(self, target: RequestState) -> None:
        refuse_unless_allowed(MOVES, "request", self.state, target)
        self.state = target


def due_on(opened_at: datetime) -> date:
    """The tenth clear day after the one on which it was opened."""
    return business_day(opened_at) + timedelta(days=CLEAR_DAYS)
