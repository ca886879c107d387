"""A funding call and the only ways it may change."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from shared.business_days import business_day
from shared.contracts.deadline import Deadline
from shared.contracts.funding import (
    CallCancelled,
    CallClosed,
    CallDeadlineExtended,
    CallOpened,
    CallSnapshot,
    CallUpdated,
)
from shared.errors import Conflict, Forbidden, Invalid, NotFound
from shared.lifecycle import refuse_unless_allowed, refuse_unless_expected
from shared.sentences import Sentence

from .deadlines import CASABLANCA, check_deadline
from .terms import (
    CallTerms,
    check_terms,
    published_tracks,
    regions_reached,
    sectors_reached,
)


class State(StrEnum):
    """A draft is its funder's alone; an open call takes applications; the other two are over."""

    DRAFT = "draft"
    OPEN = "open"
    CLOSED = "closed"
    CANCELLED = "cancelled"


MOVES: dict[State, frozenset[State]] = {
    State.DRAFT: frozenset({State.OPEN, State.CANCELLED}),
    State.OPEN: frozenset({State.CLOSED, State.CANCELLED}),
    State.CLOSED: frozenset({State.CANCELLED}),
    State.CANCELLED: frozenset(),
}


class UnknownCall(NotFound):
    """There is no such call, or it is not open to you yet: check the id, or sign in as funder."""


class NotYourInstitution(Forbidden):
    """A partner prepares and runs the calls of its own institution only."""


class NotADraft(Conflict):
    """Only a draft may be rewritten freely."""


class NotOpen(Conflict):
    """Only an open call may be updated or extended."""


class DeadlinePassed(Conflict):
    """The deadline has passed: nothing about the call may change but its cancellation."""


class PastDeadline(Invalid):
    """This deadline has passed: give a later one, or leave it out for a call without any."""


class DeadlineFixed(Invalid):
    """An update leaves the deadline as it is: move it forward with POST /calls/{id}/extend."""


class DeadlineOnlyForward(Invalid):
    """A deadline moves forward, never back: give a later one."""


class StandingCall(Conflict):
    """The call stands without a deadline: there is nothing to extend."""


@dataclass(eq=False, kw_only=True)
class Call:
    """A call of one institution. `version` grows by one with every change, published or not.

    The deadline is an instant, the zone that it was set in and the words that readers saw; the
    instant is never computed again. Searches look into `regions` and `sectors`, which are derived.
    """

    id: UUID
    funder_slug: str | None
    created_by: UUID
    created_at: datetime
    terms: CallTerms
    zone: str = CASABLANCA
    closes_at: datetime | None = None
    closes_shown: str | None = None
    closes_shown_ar: str | None = None
    state: State = State.DRAFT
    version: int = 1
    opened_at: datetime | None = None
    cancelled_because: str | None = None
    confirmed_audience: int | None = None
    partners_at_once: bool = False
    regions: tuple[str, ...] = field(init=False, default=())
    sectors: tuple[str, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        self._set_terms(self.terms)

    @property
    def deadline(self) -> Deadline | None:
        """The deadline; None for a standing call."""
        if self.closes_at is None or self.closes_shown is None:
            return None
        return Deadline(
            at=self.closes_at,
            zone=self.zone,
            shown=self.closes_shown,
            shown_ar=self.closes_shown_ar,
        )

    def state_at(self, now: datetime) -> State:
        """The state that readers see: an open call counts as closed from its deadline on.

        The stored state follows when `close_expired_calls` runs.
        """
        return (
            State.CLOSED if self.state is State.OPEN and self._is_past_deadline(now) else self.state
        )

    def expect(self, version: int | None) -> None:
        """Raise ChangedMeanwhile if a step was decided on another version; None is no condition."""
        refuse_unless_expected("call", self.version, version)

    def set_deadline(self, deadline: Deadline | None, *, at: datetime) -> None:
        """Set the deadline of a draft; None makes it a standing call.

        Raises NotADraft, or PastDeadline for one that is not later than `at`.
        """
        if self.state is not State.DRAFT:
            raise NotADraft
        if deadline is not None and deadline.at <= at:
            raise PastDeadline(
                Sentence(
                    "the deadline, {shown}, has passed: give a later one, or leave it out for a"
                    " call that stays open until it is closed",
                    shown=deadline.shown,
                ),
                field="deadline",
            )
        self._store_deadline(deadline)

    def revise(self, terms: CallTerms, deadline: Deadline | None, *, at: datetime) -> None:
        """Replace the terms and the deadline of a draft. Raises NotADraft or Invalid."""
        self.set_deadline(deadline, at=at)
        self._set_terms(terms)
        self.version += 1

    def require_deletable(self) -> None:
        """Raise NotADraft for what is more than a draft: applicants know it.

        Nobody was alerted of a draft, so its end is no event.
        """
        if self.state is not State.DRAFT:
            raise NotADraft(
                Sentence(
                    "the call is {state}: only a draft may be deleted; cancel it instead",
                    state=Sentence(self.state),
                )
            )

    def open(
        self,
        *,
        at: datetime,
        confirmed_audience: int | None = None,
        partners_at_once: bool = False,
    ) -> CallOpened:
        """Take applications from now on. Raises DeadlinePassed or IllegalMove.

        Ages are measured as of today, unless the terms name another day.
        `confirmed_audience` is how many recipients the funder saw in a preview, `partners_at_once`
        whether partners get its events although its alerts are held back; every event of the call
        carries both.
        """
        if self._is_past_deadline(at):
            raise DeadlinePassed(
                Sentence(
                    "the deadline, {closes_shown}, has passed: give the draft a later one",
                    closes_shown=self.closes_shown,
                ),
                field="deadline",
            )
        self._move_to(State.OPEN)
        self.opened_at = at
        self.confirmed_audience = confirmed_audience
        self.partners_at_once = partners_at_once
        if self.terms.reference_on is None:
            self._measure_ages_on_opening_day(at)
        return CallOpened(**self._event(at))

    def amend(
        self, terms: CallTerms, deadline: Deadline | None, *, at: datetime
    ) -> CallUpdated | None:
        """Change the terms of an open call. None, and no new version, if nothing differs.

        The deadline may only be the present one or left out. Raises NotOpen, DeadlinePassed,
        DeadlineFixed or Invalid.
        """
        self._require_running(at)
        if deadline is not None and deadline.at != self.closes_at:
            raise DeadlineFixed(field="deadline")
        if terms.reference_on is None:
            terms = terms.model_copy(update={"reference_on": self.terms.reference_on})
        changed = _differences(self.terms, terms)
        if not changed:
            return None
        self._set_terms(terms)
        self.version += 1
        return CallUpdated(**self._event(at), changed=changed)

    def extend(self, deadline: Deadline, *, reason: str, at: datetime) -> CallDeadlineExtended:
        """Move the deadline to a later moment, with a reason that applicants will read.

        Raises NotOpen, DeadlinePassed, StandingCall or DeadlineOnlyForward.
        """
        self._require_running(at)
        previous = self.deadline
        if previous is None:
            raise StandingCall
        if deadline.at <= previous.at:
            raise DeadlineOnlyForward(
                Sentence("the deadline is {shown}: give a later one", shown=previous.shown),
                field="deadline",
            )
        self._store_deadline(deadline)
        self.version += 1
        return CallDeadlineExtended(**self._event(at), previous_deadline=previous, reason=reason)

    def close(self, *, at: datetime) -> CallClosed:
        """Take no more applications, since the deadline has passed or the funder wants it.

        Raises IllegalMove.
        """
        self._move_to(State.CLOSED)
        return CallClosed(**self._event(at))

    def cancel(self, *, reason: str, at: datetime) -> CallCancelled | None:
        """Void the call, open or not. None if it never opened: then nobody has been alerted of it.

        Raises IllegalMove if it is cancelled already.
        """
        self._move_to(State.CANCELLED)
        self.cancelled_because = reason
        if self.opened_at is None:
            return None
        return CallCancelled(**self._event(at), reason=reason)

    def snapshot(self) -> CallSnapshot:
        """The whole call as every event carries it; a draft is in no event."""
        return CallSnapshot.model_validate(
            {
                "call_id": self.id,
                "version": self.version,
                "state": self.state.value,
                "deadline": self.deadline,
                "opened_at": self.opened_at,
                "confirmed_audience": self.confirmed_audience,
                "funder_slug": self.funder_slug,
                "partners_at_once": self.partners_at_once,
                **dict(self.terms),
                "tracks": published_tracks(self.terms),
            }
        )

    def newest_event(self, *, at: datetime) -> CallOpened | CallClosed | CallCancelled:
        """The event of the present state, for consumers that rebuild their copy of an opened call.

        A call that was extended or updated since it opened comes as a whole `CallOpened`.
        """
        if self.state is State.CANCELLED:
            assert self.cancelled_because is not None
            return CallCancelled(**self._event(at), reason=self.cancelled_because)
        return (CallOpened if self.state is State.OPEN else CallClosed)(**self._event(at))

    def _event(self, at: datetime) -> dict[str, object]:
        return {
            "call_id": self.id,
            "call": self.snapshot(),
            "occurred_at": at,
            "aggregate_version": self.version,
        }

    def _is_past_deadline(self, now: datetime) -> bool:
        return self.closes_at is not None and self.closes_at <= now

    def _require_running(self, at: datetime) -> None:
        if self.state is not State.OPEN:
            raise NotOpen(
                Sentence(
                    "the call is {state}: only an open call may be updated or extended",
                    state=Sentence(self.state),
                )
            )
        if self._is_past_deadline(at):
            raise DeadlinePassed(
                Sentence("the deadline, {closes_shown}, has passed", closes_shown=self.closes_shown)
            )

    def _measure_ages_on_opening_day(self, at: datetime) -> None:
        self.terms = self.terms.model_copy(update={"reference_on": business_day(at)})

    def _store_deadline(self, deadline: Deadline | None) -> None:
        checked = check_deadline(deadline) if deadline else None
        self.zone = checked.zone if checked else CASABLANCA
        self.closes_at = checked.at if checked else None
        self.closes_shown = checked.shown if checked else None
        self.closes_shown_ar = checked.shown_ar if checked else None

    def _set_terms(self, terms: CallTerms) -> None:
        check_terms(terms)
        self.terms = terms
        self.regions = regions_reached(terms)
        self.sectors = sectors_reached(terms)

    def _move_to(self, target: State) -> None:
        refuse_unless_allowed(MOVES, "call", self.state, target)
        self.state = target
        self.version += 1


def _differences(old: CallTerms, new: CallTerms) -> tuple[str, ...]:
    names = CallTerms.model_fields
    return tuple(name for name in names if getattr(old, name) != getattr(new, name))
