"""The HTTP API of funding."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import AfterValidator, Field, NaiveDatetime, PlainValidator, model_validator

from shared.contracts.base import Audience, Id, Text, now
from shared.contracts.criteria import CriteriaIn
from shared.contracts.deadline import Deadline
from shared.contracts.funding import TrackTerms
from shared.contracts.request_body import Day, LocalizedIn, LocalizedLongIn, RequestBody
from shared.kernel.web.create_requests import Once
from shared.kernel.web.parameters import PLAIN_DIGITS, Moment
from shared.kernel.web.requests import Caller, Expected, Page, Session
from shared.sentences import Sentence

from . import queries, usecases
from .domain.call import Call, State
from .domain.deadlines import CASABLANCA, check_deadline, deadline_at_wall_clock
from .domain.terms import CallTerms

router = APIRouter(tags=["calls"])

WALL_CLOCK = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?", re.ASCII)
Slug = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)]


def _date_and_time(value: object) -> datetime:
    # A date alone would be read as midnight, a day earlier than its author meant.
    if not (isinstance(value, str) and WALL_CLOCK.fullmatch(value)):
        raise ValueError(
            Sentence("give date and time as the clock shows them, such as 2026-09-01T16:00")
        )
    return datetime.fromisoformat(value)


WallClock = Annotated[
    datetime, PlainValidator(_date_and_time, json_schema_input_type=NaiveDatetime)
]
"""A moment as the clocks of its place show it, without its zone."""


class DeadlineIn(RequestBody):
    """A deadline in one of two forms: `local` and `zone`, from which the instant is computed once,
    or `at`, `zone` and `shown`, which are taken as they are.
    """

    local: WallClock | None = None
    at: Moment | None = None
    zone: Annotated[str, Field(max_length=64)] = CASABLANCA
    shown: Text | None = None
    shown_ar: Text | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        explicit = self.at is not None and self.shown is not None and self.local is None
        computed = self.local is not None and self.at is None and self.shown is None
        if not (explicit or computed):
            raise ValueError(
                Sentence("give either `local` (with `zone`), or `at` and `shown` (with `zone`)")
            )
        return self

    def deadline(self) -> Deadline:
        """The deadline as the domain takes it. Raises Invalid for a time that no clock shows."""
        if self.local is not None:
            return deadline_at_wall_clock(self.local, self.zone)
        return check_deadline(Deadline.model_validate(self.model_dump(exclude={"local"})))


class TrackIn(TrackTerms, RequestBody):
    """One way to apply, with criteria of its own."""

    name: LocalizedIn
    criteria: CriteriaIn


def _at_least_one(tracks: tuple[TrackIn, ...]) -> tuple[TrackIn, ...]:
    # Not as min_length: then a track that is wrong would be reported as missing too.
    if not tracks:
        raise ValueError(Sentence("give at least one track: it says who may apply"))
    return tracks


Tracks = Annotated[tuple[TrackIn, ...], Field(max_length=16), AfterValidator(_at_least_one)]


class CallIn(CallTerms, RequestBody):
    """A call as its funder writes it. Without a deadline it stays open until it is closed."""

    funder_slug: Slug | None = None
    title: LocalizedIn
    summary: LocalizedLongIn
    reference_on: Day | None = None
    tracks: Tracks
    deadline_in: DeadlineIn | None = Field(default=None, alias="deadline")

    def terms(self) -> CallTerms:
        """The terms alone, as the domain takes them."""
        return CallTerms.model_validate(self.model_dump(include=set(CallTerms.model_fields)))

    def deadline(self) -> Deadline | None:
        """The deadline as the domain takes it; None for a standing call."""
        return self.deadline_in.deadline() if self.deadline_in else None


class OpenIn(RequestBody):
    """How many recipients a preview matched before opening, eligible and unknown ones."""

    confirmed_audience: Audience | None = None
    partners_at_once: bool = Field(
        default=False,
        description="Partners get its events at once. Else they get them with the alerts, should"
        " those be held back.",
    )


class ExtendIn(RequestBody):
    """The later deadline, and the reason that applicants will read."""

    deadline: DeadlineIn
    reason: Text


class CancelIn(RequestBody):
    """Why the call is void; whoever was alerted of it will read this."""

    reason: Text


class CallOut(CallTerms):
    """A call. `state` is `closed` from the deadline on."""

    call_id: UUID
    version: int
    state: State
    funder_slug: str | None
    deadline: Deadline | None
    created_at: datetime
    opened_at: datetime | None
    cancelled_because: str | None

    @classmethod
    def of(cls, call: Call) -> Self:
        """The call as readers see it now."""
        return cls(
            **dict(call.terms),
            call_id=call.id,
            version=call.version,
            state=call.state_at(now()),
            funder_slug=call.funder_slug,
            deadline=call.deadline,
            created_at=call.created_at,
            opened_at=call.opened_at,
            cancelled_because=call.cancelled_because,
        )


class OpenedOut(CallOut):
    """The call, and what is to become of its alerts, which this service does not know."""

    confirmed_audience: int | None = Field(description="As it was sent: it is not checked here.")
    partners_at_once: bool
    alerting: str = Field(
        description="The path at notifications that tells its funder and operators whether people"
        " are alerted by now, or what holds the alerts back."
    )

    @classmethod
    def of(cls, call: Call) -> Self:
        """The call that was opened."""
        return cls(
            **CallOut.of(call).model_dump(),
            confirmed_audience=call.confirmed_audience,
            partners_at_once=call.partners_at_once,
            alerting=f"/subjects/{call.id}/totals",
        )


@router.post("/calls", status_code=201)
async def draft_call(
    body: CallIn, session: Session, caller: Caller, response: Response, once: Once
) -> CallOut:
    """Prepare a draft."""
    call = await usecases.draft_call(
        session, caller, body.terms(), body.deadline(), funder_slug=body.funder_slug
    )
    return once.answer(_with_etag(call, response), response, location=f"/calls/{call.id}")


@router.put("/calls/{call_id}")
async def change_call(
    call_id: Id,
    body: CallIn,
    session: Session,
    caller: Caller,
    response: Response,
    expected: Expected,
) -> CallOut:
    """Rewrite a draft, or update the terms of an open call; `extend` alone moves its deadline."""
    call = await usecases.change_call(
        session,
        caller,
        call_id,
        body.terms(),
        body.deadline(),
        funder_slug=body.funder_slug,
        expected=expected,
    )
    return _with_etag(call, response)


@router.delete("/calls/{call_id}", status_code=204)
async def delete_call(call_id: Id, session: Session, caller: Caller, expected: Expected) -> None:
    """Delete a draft for good; what has opened is cancelled instead."""
    await usecases.delete_call(session, caller, call_id, expected=expected)


@router.post("/calls/{call_id}/open")
async def open_call(
    call_id: Id,
    session: Session,
    caller: Caller,
    response: Response,
    expected: Expected,
    body: OpenIn | None = None,
) -> OpenedOut:
    """Take applications from now on; every matching cooperative and partner is alerted of it.

    That happens at notifications, after this answer: where many more match than
    `confirmed_audience`, or an operator holds it, nobody is alerted before a person looks again,
    and partners wait as well unless `partners_at_once`. `alerting` is where to read it.
    """
    decided = body or OpenIn.model_validate({})
    call = await usecases.open_call(
        session,
        caller,
        call_id,
        confirmed_audience=decided.confirmed_audience,
        partners_at_once=decided.partners_at_once,
        expected=expected,
    )
    response.headers["ETag"] = f'"{call.version}"'
    return OpenedOut.of(call)


@router.post("/calls/{call_id}/extend")
async def extend_call(
    call_id: Id,
    body: ExtendIn,
    session: Session,
    caller: Caller,
    response: Response,
    expected: Expected,
) -> CallOut:
    """Move the deadline to a later moment, with a reason."""
    deadline = body.deadline.deadline()
    call = await usecases.extend_call(
        session, caller, call_id, deadline, reason=body.reason, expected=expected
    )
    return _with_etag(call, response)


@router.post("/calls/{call_id}/close")
async def close_call(
    call_id: Id, session: Session, caller: Caller, response: Response, expected: Expected
) -> CallOut:
    """Take no more applications."""
    return _with_etag(
        await usecases.close_call(session, caller, call_id, expected=expected), response
    )


@router.post("/calls/{call_id}/cancel")
async def cancel_call(
    call_id: Id,
    body: CancelIn,
    session: Session,
    caller: Caller,
    response: Response,
    expected: Expected,
) -> CallOut:
    """Void the call; whoever was alerted of it gets a correction with the reason."""
    call = await usecases.cancel_call(
        session, caller, call_id, reason=body.reason, expected=expected
    )
    return _with_etag(call, response)


@router.get("/calls")
async def list_calls(
    session: Session,
    caller: Caller,
    state: State | None = None,
    funder: Annotated[Slug | None, Query(description="Slug of the institution.")] = None,
    region: Annotated[str | None, Query(max_length=40)] = None,
    sector: Annotated[str | None, Query(max_length=40)] = None,
    after: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=200), PLAIN_DIGITS] = 50,
) -> Page[CallOut]:
    """List the calls that you may see, newest first."""
    search = queries.Search(state=state, funder=funder, region=region, sector=sector)
    page = await queries.list_calls(session, caller, search, at=now(), after=after, limit=limit)
    return Page(items=[CallOut.of(call) for call in page.items], next=page.next)


@router.get("/calls/{call_id}")
async def read_call(call_id: Id, session: Session, caller: Caller, response: Response) -> CallOut:
    """Read a call that you may see; the ETag is its version."""
    return _with_etag(await queries.find_call(session, caller, call_id), response)


def _with_etag(call: Call, response: Response) -> CallOut:
    response.headers["ETag"] = f'"{call.version}"'
    return CallOut.of(call)
