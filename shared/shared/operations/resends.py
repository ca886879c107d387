"""`/resends`: have facts sent to one queue again, see how far that is, stop it. Operators only."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from shared.contracts.catalogue import EVENTS
from shared.messaging import resends
from shared.messaging.resends import Kind, Listeners, State, Wish
from shared.messaging.tables import ResendRow
from shared.parameters import Moment
from shared.web import Caller, Process, Session

router = APIRouter(tags=["operations"], prefix="/resends")

Reason = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00]*$")]


class ResendIn(BaseModel):
    """What to send. The filters are for the log: `since` is part of the range, `until` is not."""

    kind: Kind
    queue: str = Field(pattern=r"^[a-z][a-z0-9_.-]{0,200}$")
    reason: Reason = Field(description="Why; kept with the run.")
    since: Moment | None = None
    until: Moment | None = None
    topics: tuple[str, ...] = Field(default=(), max_length=50)
    event_id: UUID | None = None


class ResendOut(BaseModel):
    """A run. `done` and `total` count rows of a snapshot or facts of the log, `sent` messages."""

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
    incomplete: str | None = Field(description="What of the range can't be sent any more.")
    error: str | None
    asked_by: str
    reason: str
    asked_at: datetime
    ended_by: str | None
    ended_because: str | None
    ended_at: datetime | None


class ResendsOut(BaseModel):
    """The newest runs first."""

    items: list[ResendOut]


@router.post("", status_code=201)
async def begin(body: ResendIn, session: Session, process: Process, caller: Caller) -> ResendOut:
    """Begin to send facts to a rebuildable queue again.

    Refused where the queue does not exist, is not rebuildable, or takes none of these facts. Live
    facts go on meanwhile, and a newer one wins.
    """
    service = process.settings.service
    run = await resends.ask(
        session,
        caller,
        Wish(**body.model_dump()),
        service=service,
        log_topics=[topic for topic in EVENTS if topic.startswith(f"{service}.")],
        snapshots=process.snapshots,
        listeners=Listeners(process.publisher),
    )
    return _out(run)


@router.get("")
async def list_runs(
    session: Session, caller: Caller, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> ResendsOut:
    """The runs of this service, the newest first."""
    found = await resends.list_runs(session, caller, limit=limit)
    return ResendsOut(items=[_out(run) for run in found])


@router.get("/{run}")
async def read(run: UUID, session: Session, caller: Caller) -> ResendOut:
    """How far a run is, and how it ended."""
    return _out(await resends.get(session, caller, run))


@router.delete("/{run}")
async def stop(
    run: UUID,
    session: Session,
    caller: Caller,
    reason: Annotated[str, Query(min_length=1, max_length=500, pattern=r"^[^\x00]*$")],
) -> ResendOut:
    """Send nothing more of a run; what was sent stays sent."""
    return _out(await resends.stop(session, caller, run, reason=reason))


def _out(run: ResendRow) -> ResendOut:
    return ResendOut.model_validate(run)
