"""Inboxes, totals and partner feeds over HTTP."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from shared import reference
from shared.auth import Role
from shared.contracts.base import Language
from shared.errors import Invalid, Problem
from shared.messaging import wire
from shared.web import Caller, Page, Session, decode_cursor, encode_cursor

from . import queries, usecases
from .domain import DoorState, SubjectKind, SubjectState, SubscriptionFilter
from .rendering import AlertOut, render
from .usecases.inbox import ReadState, require_inbox
from .usecases.partners import partner_of

router = APIRouter()

Limit = Annotated[int, Query(ge=1, le=200)]
After = Annotated[str | None, Query(max_length=200, description="`next` of the page before.")]
Number = Annotated[int, Path(ge=0, lt=2**63)]


class MarkIn(BaseModel):
    state: ReadState


class TotalOut(BaseModel):
    code: str | None = Field(description="Code of the region or sector; null where unknown.")
    label: str | None
    eligible: int
    unknown: int


class SubjectOut(BaseModel):
    """A subject and its counts: matched = eligible + unknown."""

    subject_id: UUID
    kind: SubjectKind
    state: SubjectState
    version: int
    told_version: int | None
    title: str
    matched: int
    alerted: int
    eligible: int
    unknown: int
    fanned_out_at: datetime | None


class TotalsOut(SubjectOut):
    repeated: int = Field(description="Recipients with more than one first alert: always 0.")
    by_region: list[TotalOut]
    by_sector: list[TotalOut]


class RecipientOut(BaseModel):
    cooperative_id: UUID
    verdict: Literal["eligible", "unknown"]
    alert_number: int


class AudienceOut(BaseModel):
    cooperatives: int
    members: int
    updated_at: datetime | None


class SubscriptionOut(BaseModel):
    subscription_id: UUID
    filter: SubscriptionFilter
    is_active: bool
    created_at: datetime


class DoorOut(BaseModel):
    """Where to read: `state` must be `ready` before the credentials work."""

    state: DoorState
    vhost: str
    queue: str
    username: str
    password: str | None = Field(default=None, description="Shown once, when it is made.")
    delivered_position: int = 0


class FeedItem(BaseModel):
    """A CloudEvent with its number in your feed."""

    specversion: Literal["1.0"] = "1.0"
    id: UUID
    source: str
    type: str
    time: datetime
    sequence: str
    data: dict[str, Any]


class FeedOut(BaseModel):
    items: list[FeedItem]
    next: str = Field(description="Pass it as `after` next time, also when items is empty.")


@router.get("/cooperatives/{cooperative_id}/alerts", tags=["inbox"])
async def list_alerts(
    session: Session,
    caller: Caller,
    cooperative_id: UUID,
    state: ReadState | None = None,
    language: Language | None = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[AlertOut]:
    """The inbox of a cooperative, newest first, in its own language unless you ask otherwise."""
    await require_inbox(session, caller, cooperative_id)
    own = await queries.language_of(session, cooperative_id)
    before = decode_cursor(after, int)[0] if after else None
    found = await queries.list_alerts(
        session,
        cooperative_id=cooperative_id,
        account_id=caller.subject,
        state=state,
        before=before,
        limit=limit + 1,
    )
    chosen: Language = language or ("fr" if own == "fr" else "ar")
    items = [render(alert, chosen) for alert in found[:limit]]
    return Page(
        items=items,
        next=encode_cursor(items[-1].number) if len(found) > limit else None,
    )


@router.put("/cooperatives/{cooperative_id}/alerts/{number}/state", status_code=204, tags=["inbox"])
async def mark_alert(
    session: Session, caller: Caller, cooperative_id: UUID, number: Number, mark: MarkIn
) -> None:
    """Mark an alert as unread, read or archived, for your account alone."""
    await usecases.mark_alert(
        session, caller, cooperative_id=cooperative_id, number=number, state=mark.state
    )


@router.get("/audience", tags=["totals"])
async def audience(session: Session, caller: Caller) -> AudienceOut:
    """How much of the register has arrived here."""
    caller.require(Role.OPERATOR, Role.DELEGATE)
    totals = await queries.audience_totals(session)
    return AudienceOut.model_validate(totals._mapping)


@router.get("/subjects", tags=["totals"])
async def list_subjects(session: Session, caller: Caller, limit: Limit = 50) -> list[SubjectOut]:
    """Ideas and calls, the latest told first."""
    caller.require(Role.OPERATOR, Role.DELEGATE)
    return [_subject(s) for s in await queries.list_subjects(session, limit=limit)]


@router.get("/subjects/{subject_id}/totals", tags=["totals"])
async def subject_totals(session: Session, caller: Caller, subject_id: UUID) -> TotalsOut:
    """Who was told: counts by verdict, region and sector, as of the moment of each alert."""
    caller.require(Role.OPERATOR, Role.DELEGATE)
    found = await queries.get_subject(session, subject_id)
    return TotalsOut(
        **_subject(found).model_dump(),
        repeated=await queries.repeated_alerts(session, subject_id),
        by_region=await _totals(session, subject_id, "region"),
        by_sector=await _totals(session, subject_id, "sector"),
    )


@router.get("/subjects/{subject_id}/recipients", tags=["totals"])
async def list_recipients(
    session: Session,
    caller: Caller,
    subject_id: UUID,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=5000)] = 200,
) -> Page[RecipientOut]:
    """Every recipient of a subject's first alert, by cooperative id."""
    caller.require(Role.OPERATOR)
    await queries.get_subject(session, subject_id)
    start = decode_cursor(after, UUID)[0] if after else None
    rows = await queries.recipients(session, subject_id, after=start, limit=limit + 1)
    items = [
        RecipientOut(
            cooperative_id=row.cooperative_id,
            verdict="eligible" if row.eligible_tracks else "unknown",
            alert_number=row.seq,
        )
        for row in rows[:limit]
    ]
    more = len(rows) > limit
    return Page(items=items, next=encode_cursor(str(items[-1].cooperative_id)) if more else None)


@router.post("/subscriptions", status_code=201, tags=["partners"])
async def subscribe(
    session: Session, caller: Caller, wanted: SubscriptionFilter
) -> dict[str, UUID]:
    """Subscribe your institution: accepted events are numbered into your feed from now on."""
    _check_codes(wanted)
    return {"subscription_id": await usecases.subscribe(session, caller, wanted)}


@router.get("/subscriptions", tags=["partners"])
async def list_subscriptions(session: Session, caller: Caller) -> list[SubscriptionOut]:
    """The subscriptions of your institution."""
    rows = await queries.list_subscriptions(session, partner_of(caller))
    return [SubscriptionOut.model_validate(row._mapping) for row in rows]


@router.delete("/subscriptions/{subscription_id}", status_code=204, tags=["partners"])
async def end_subscription(session: Session, caller: Caller, subscription_id: UUID) -> None:
    """End a subscription of your institution; the feed keeps what it holds."""
    await usecases.end_subscription(session, caller, subscription_id)


@router.post("/doors/amqp", status_code=201, tags=["partners"])
async def open_amqp_door(session: Session, caller: Caller) -> DoorOut:
    """Ask for your own queue, or for a new password of it. The password is shown once."""
    made = await usecases.open_amqp_door(session, caller)
    return DoorOut(
        state=made.state,
        vhost=usecases.PARTNER_VHOST,
        queue=made.queue,
        username=made.username,
        password=made.password,
    )


@router.get("/doors/amqp", tags=["partners"])
async def get_amqp_door(session: Session, caller: Caller) -> DoorOut | None:
    """The state of your queue; null before you asked for one."""
    door = await queries.get_door(session, partner_of(caller))
    if door is None:
        return None
    return DoorOut(vhost=usecases.PARTNER_VHOST, **_without_secret(door))


@router.get("/feed", tags=["partners"])
async def read_feed(
    session: Session,
    caller: Caller,
    after: Annotated[str, Query(pattern=r"^[0-9]{1,18}$")] = "0",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> FeedOut:
    """Your events after a position, in order. Whoever has seen n has seen all before n."""
    rows = await queries.read_feed(session, partner_of(caller), after=int(after), limit=limit)
    items = [
        FeedItem(
            id=row.event_id,
            source=f"{wire.SOURCE}/notifications",
            type=row.topic,
            time=row.occurred_at,
            sequence=str(row.position),
            data=orjson.loads(row.body),
        )
        for row in rows
    ]
    return FeedOut(items=items, next=items[-1].sequence if items else after)


def _subject(found: Any) -> SubjectOut:
    content = found.snapshot()
    return SubjectOut(
        subject_id=found.subject_id,
        kind=found.kind,
        state=found.state,
        version=found.version,
        told_version=found.told_version,
        title=content.title.fr,
        matched=found.eligible + found.unknown,
        alerted=found.alerted,
        eligible=found.eligible,
        unknown=found.unknown,
        fanned_out_at=found.fanned_out_at,
    )


async def _totals(
    session: Session, subject_id: UUID, column: Literal["region", "sector"]
) -> list[TotalOut]:
    return [
        TotalOut(
            code=code,
            label=reference.label(column, code, "fr") if code else None,
            eligible=eligible,
            unknown=unknown,
        )
        for code, eligible, unknown in await queries.totals_by(session, subject_id, column)
    ]


def _without_secret(door: Any) -> dict[str, Any]:
    return {
        "state": door.state,
        "queue": door.queue,
        "username": door.username,
        "delivered_position": door.delivered_position,
    }


_TOPIC = re.compile(r"^[a-z_]+(\.[a-z_]+)*(\.v[0-9]+)?(\.?\*)?$|^\*$")


def _check_codes(wanted: SubscriptionFilter) -> None:
    """Name every unknown code of a filter, with the nearest valid one."""
    checks = (
        ("regions", wanted.regions, reference.region),
        ("provinces", wanted.provinces, reference.province),
        ("sectors", wanted.sectors, reference.sector),
    )
    problems: list[Problem] = []
    for name, codes, look_up in checks:
        for place, code in enumerate(codes):
            try:
                look_up(code)
            except reference.UnknownCode as error:
                problems.append(Problem(f"{name}.{place}", error.detail))
    problems += [
        Problem(f"topics.{place}", f"{topic!r} is no event type, like funding.call.opened or *")
        for place, topic in enumerate(wanted.topics)
        if not _TOPIC.match(topic)
    ]
    if problems:
        raise Invalid.many(problems)
