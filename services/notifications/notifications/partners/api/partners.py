"""Subscriptions and doors of partner institutions."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from shared import reference
from shared.errors import Invalid, Problem
from shared.kernel.web.requests import Caller, Session

from ..domain.partner_queue import PartnerQueueState
from ..domain.subscriptions import SubscriptionFilter
from ..queries import partner_ledger, partners
from ..usecases import gaps as usecases_gaps
from ..usecases import partner_queue
from ..usecases import partners as usecases_partners
from ..usecases.partners import partner_of
from .partner_ledger import GapOut

router = APIRouter(tags=["partners"])

_TOPIC = re.compile(r"^[a-z_]+(\.[a-z_]+)*(\.v[0-9]+)?(\.?\*)?$|^\*$")


class SubscriptionOut(BaseModel):
    subscription_id: UUID
    filter: SubscriptionFilter
    is_active: bool
    created_at: datetime


class PartnerQueueOut(BaseModel):
    """Where to read: `state` must be `ready` before the credentials work."""

    state: PartnerQueueState
    vhost: str
    queue: str
    username: str
    password: str | None = Field(default=None, description="Shown once, when it is made.")
    delivered_position: int = 0
    dropped: int = Field(default=0, description="Events that it let go, not sent again yet.")
    gaps: list[GapOut] = Field(default=[], description="The first hundred runs of them.")


class ReplayIn(BaseModel):
    """Which positions of your feed; without `last` all up to the newest that was sent."""

    model_config = ConfigDict(extra="forbid")

    first: int = Field(ge=1, lt=2**63)
    last: int | None = Field(default=None, ge=1, lt=2**63)


class ReplayOut(BaseModel):
    """These positions go to your queue again, under the same event ids.

    The header `cloudEvents_replay` of such a copy is `replay_id`.
    """

    replay_id: int
    first: int
    last: int


@router.post("/subscriptions", status_code=201)
async def subscribe(
    session: Session, caller: Caller, wanted: SubscriptionFilter
) -> dict[str, UUID]:
    """Subscribe your institution: accepted events are numbered into your feed from now on."""
    _check_codes(wanted)
    return {"subscription_id": await usecases_partners.subscribe(session, caller, wanted)}


@router.get("/subscriptions")
async def list_subscriptions(session: Session, caller: Caller) -> list[SubscriptionOut]:
    """The subscriptions of your institution."""
    rows = await partners.list_subscriptions(session, partner_of(caller))
    return [SubscriptionOut.model_validate(row._mapping) for row in rows]


@router.delete("/subscriptions/{subscription_id}", status_code=204)
async def end_subscription(session: Session, caller: Caller, subscription_id: UUID) -> None:
    """End a subscription of your institution; the feed keeps what it holds."""
    await usecases_partners.end_subscription(session, caller, subscription_id)


@router.post("/partner-queue", status_code=201)
async def request_partner_queue(session: Session, caller: Caller) -> PartnerQueueOut:
    """Ask for your own queue, or for a new password of it. The password is shown once."""
    made = await partner_queue.request_partner_queue(session, caller)
    return PartnerQueueOut(
        state=made.state,
        vhost=partner_queue.PARTNER_VHOST,
        queue=made.queue,
        username=made.username,
        password=made.password,
    )


@router.get("/partner-queue")
async def get_partner_queue(session: Session, caller: Caller) -> PartnerQueueOut | None:
    """The state of your queue; null before you asked for one."""
    own = await partners.get_partner_queue(session, partner_of(caller))
    if own is None:
        return None
    return PartnerQueueOut(
        vhost=partner_queue.PARTNER_VHOST,
        dropped=await partner_ledger.count_open_gaps(session, own.slug),
        gaps=[
            GapOut.model_validate(gap) for gap in await partner_ledger.gaps_of(session, own.slug)
        ],
        **_without_secret(own),
    )


@router.post("/partner-queue/replay", status_code=202)
async def replay_feed(session: Session, caller: Caller, wanted: ReplayIn) -> ReplayOut:
    """Send positions of your feed to your queue again: from one on, or a gap from end to end."""
    made = await usecases_gaps.request_replay(session, caller, first=wanted.first, last=wanted.last)
    return ReplayOut(replay_id=made.replay_id, first=made.first, last=made.last)


def _without_secret(partner_queue: Any) -> dict[str, Any]:
    return {
        "state": partner_queue.state,
        "queue": partner_queue.queue,
        "username": partner_queue.username,
        "delivered_position": partner_queue.delivered_position,
    }


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
        if not _TOPIC.fullmatch(topic)
    ]
    if problems:
        raise Invalid.many(problems)
