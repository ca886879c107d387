"""`/replays`: replay events to one queue, see the progress of a run, stop it. Operators only."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from shared.contracts.base import Id, WithoutControls
from shared.contracts.catalogue import EVENTS
from shared.contracts.request_body import RequestBody
from shared.kernel.data.tables import ReplayRow
from shared.kernel.messaging import replay
from shared.kernel.messaging.replay.domain import Kind, State
from shared.kernel.messaging.replay.requests import ReplayRequest
from shared.kernel.web.create_requests import Once
from shared.kernel.web.parameters import PLAIN_DIGITS, Moment
from shared.kernel.web.requests import Caller, Process, Session

router = APIRouter(tags=["operations"], prefix="/replays")

Reason = Annotated[str, Field(min_length=1, max_length=500), WithoutControls]


class ReplayIn(RequestBody):
    """What to send to which queue. The filters `since` (inclusive), `until` (exclusive), `topics`
    and `event_id` apply to the log alone.
    """

    kind: Kind
    queue: str = Field(pattern=r"^[a-z][a-z0-9_.-]{0,200}$")
    reason: Reason = Field(description="Why it is requested; kept with the run.")
    since: Moment | None = None
    until: Moment | None = None
    topics: tuple[str, ...] = Field(default=(), max_length=50)
    event_id: Id | None = None


class ReplayOut(BaseModel):
    """A run. `done` and `total` count rows of a snapshot or events of the log; `sent`, messages."""

    model_config = ConfigDict(from_attributes=True)

    run: UUID
    kind: Kind
    queue: str
    topics: list[str]
    since: datetime | None
    until: datetime | None
    event_id: UUID | None
    state: State
    total: int
    done: int
    sent: int
    incomplete: str | None = Field(
        description="Which part of the range is no longer kept, or which rows can't be read."
    )
    error: str | None
    requested_by: str
    reason: str
    requested_at: datetime
    ended_by: str | None
    ended_because: str | None
    ended_at: datetime | None


class ReplaysOut(BaseModel):
    """Runs of replays, the newest first."""

    items: list[ReplayOut]


@router.post("", status_code=201)
async def begin(
    body: ReplayIn,
    session: Session,
    process: Process,
    caller: Caller,
    response: Response,
    once: Once,
) -> ReplayOut:
    """Begin to replay a snapshot, or events of the log, to a rebuildable queue.

    Refused where the queue does not exist, is not rebuildable, or consumes none of these events.
    Live events go on meanwhile, and a newer version wins. Where there is nothing to send, only the
    existence of the queue is checked, and the run ends at once.
    """
    service = process.settings.service
    run = await replay.begin(
        session,
        caller,
        ReplayRequest(**body.model_dump()),
        service=service,
        log_topics=[topic for topic in EVENTS if topic.startswith(f"{service}.")],
        snapshots=process.snapshots,
        publisher=process.publisher,
    )
    return once.answer(_out(run), response, location=f"/replays/{run.run}")


@router.get("")
async def list_runs(
    session: Session, caller: Caller, limit: Annotated[int, Query(ge=1, le=200), PLAIN_DIGITS] = 50
) -> ReplaysOut:
    """The runs of this service, the newest first."""
    found = await replay.list_runs(session, caller, limit=limit)
    return ReplaysOut(items=[_out(run) for run in found])


@router.get("/{run}")
async def read(run: Id, session: Session, caller: Caller) -> ReplayOut:
    """The progress of a run, and how it ended."""
    return _out(await replay.get(session, caller, run))


@router.delete("/{run}")
async def stop(
    run: Id,
    session: Session,
    caller: Caller,
    reason: Annotated[str, Query(min_length=1, max_length=500), WithoutControls],
) -> ReplayOut:
    """Stop a run: nothing more of it is sent. What was sent already stays with the consumer."""
    return _out(await replay.stop(session, caller, run, reason=reason))


def _out(run: ReplayRow) -> ReplayOut:
    return ReplayOut.model_validate(run)
