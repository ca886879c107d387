"""Subscriptions and partner queues of partner institutions."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from notifications.settings import NotificationsSettings
from shared.contracts.base import Id
from shared.contracts.numbers import Position
from shared.contracts.request_body import RequestBody
from shared.kernel.web.create_requests import Once
from shared.kernel.web.requests import Caller, Process, Session

from ..domain.consumer_program import PartnerAddress, consumer_program
from ..domain.partner_queue import PartnerQueueState
from ..domain.subscriptions import SubscriptionFilter
from ..queries import partner_ledger, partners
from ..usecases import partner_queue
from ..usecases import partners as subscriptions
from ..usecases.gaps import request_replay
from ..usecases.partners import partner_of
from .partner_ledger import GapOut, Slug

router = APIRouter(tags=["partners"])

PASSWORD_SHOWN_ONCE = (
    "The password was shown once, in the first answer, and is not kept. If that never arrived, send"
    " POST /partner-queue with a new Idempotency-Key: you get a new password, and the old one ends."
)


class SubscriptionIn(SubscriptionFilter, RequestBody):
    """Which events your institution is to get, by the conditions of `SubscriptionFilter`."""


class SubscriptionOut(BaseModel):
    """One subscription of your institution, active or ended."""

    subscription_id: UUID
    filter: SubscriptionFilter
    is_active: bool
    created_at: datetime


class PartnerQueueOut(BaseModel):
    """Your queue and its credentials, which work once `state` is `ready`.

    Nobody can read a queue that is `closed`: request it again for a new password.
    """

    state: PartnerQueueState
    host: str | None = Field(description="Null: whoever runs the platform tells you.")
    port: int | None
    tls: bool | None = Field(description="Whether the connection is by TLS (AMQPS).")
    vhost: str
    queue: str
    username: str
    password: str | None = Field(
        default=None, description="Shown once, in the first answer to your request."
    )
    shown_once: str | None = Field(
        default=None, description="Why a repeated request shows no password, and how to get one."
    )
    delivered_position: int = 0
    dropped: int = Field(
        default=0, description="Events that it lacks and that have not gone out since."
    )
    gaps: list[GapOut] = Field(default=[], description="The first hundred runs of such events.")
    consumer: str | None = Field(
        description="A program in Python that reads your queue as it is; null without a host."
    )


class ReplayIn(RequestBody):
    """Which positions of your feed that were sent; without `last`, all up to the newest."""

    first: Position
    last: Position | None = None


class ReplayOut(BaseModel):
    """These positions go to your queue again, under the same event ids.

    The header `cloudEvents_replay` of such a copy is `replay_id`.
    """

    replay_id: int
    first: int
    last: int


@router.post("/subscriptions", status_code=201)
async def subscribe(
    session: Session, caller: Caller, wanted: SubscriptionIn, response: Response, once: Once
) -> dict[str, UUID]:
    """Subscribe your institution: from now on, events that the filter accepts enter your feed."""
    made = {"subscription_id": await subscriptions.subscribe(session, caller, wanted)}
    return once.answer(made, response, location="/subscriptions")


@router.get("/subscriptions")
async def list_subscriptions(session: Session, caller: Caller) -> list[SubscriptionOut]:
    """The subscriptions of your institution."""
    rows = await partners.list_subscriptions(session, partner_of(caller))
    return [SubscriptionOut.model_validate(row._mapping) for row in rows]


@router.delete("/subscriptions/{subscription_id}", status_code=204)
async def end_subscription(session: Session, caller: Caller, subscription_id: Id) -> None:
    """End a subscription of your institution; the feed keeps what it holds."""
    await subscriptions.end_subscription(session, caller, subscription_id)


@router.post("/partner-queue", status_code=201)
async def request_partner_queue(
    session: Session, caller: Caller, process: Process, response: Response, once: Once
) -> PartnerQueueOut:
    """Request your own queue, or a new password for it. The password is shown this once.

    It ends when the API client or the account that requests it is revoked or disabled: the queue is
    closed then, keeps what it holds for up to seven days, and opens with your next request.
    """
    credentials = await partner_queue.request_partner_queue(session, caller)
    made = PartnerQueueOut(
        state=credentials.state,
        vhost=partner_queue.PARTNER_VHOST,
        queue=credentials.queue,
        username=credentials.username,
        password=credentials.password,
        **_where(process, credentials.queue, credentials.username),
    )
    repeat = made.model_copy(update={"password": None, "shown_once": PASSWORD_SHOWN_ONCE})
    return once.answer(made, response, location="/partner-queue", repeat=repeat)


@router.get("/partner-queue")
async def get_partner_queue(
    session: Session, caller: Caller, process: Process
) -> PartnerQueueOut | None:
    """The state of your queue; null until you request one."""
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
        **_where(process, own.queue, own.username),
    )


@router.post("/partner-queue/replay", status_code=202)
async def replay_feed(
    session: Session, caller: Caller, wanted: ReplayIn, response: Response, once: Once
) -> ReplayOut:
    """Send positions of your feed to your queue again."""
    replay = await request_replay(session, caller, first=wanted.first, last=wanted.last)
    made = ReplayOut(replay_id=replay.replay_id, first=replay.first, last=replay.last)
    return once.answer(made, response, location="/partner-queue")


@router.delete("/partner-queues/{slug}", status_code=204)
async def close_partner_queue(session: Session, caller: Caller, slug: Slug) -> None:
    """End the broker user of a partner's queue and its connections. Operators only."""
    await partner_queue.close_partner_queue(session, caller, slug)


def _where(process: Process, queue: str, username: str) -> dict[str, Any]:
    """Where the queue is read, and a program that does; nulls where no address is set."""
    known = NotificationsSettings.of(process.settings).partners_address
    if known is None:
        return dict.fromkeys(("host", "port", "tls", "consumer"))
    address = PartnerAddress.of(str(known))
    program = consumer_program(
        address, vhost=partner_queue.PARTNER_VHOST, queue=queue, username=username
    )
    return {**asdict(address), "consumer": program}


def _without_secret(partner_queue: Any) -> dict[str, Any]:
    return {
        "state": partner_queue.state,
        "queue": partner_queue.queue,
        "username": partner_queue.username,
        "delivered_position": partner_queue.delivered_position,
    }
