"""The inbox of a cooperative over HTTP."""

from __future__ import annotations

from fastapi import APIRouter

from notifications.labels import language_for
from notifications.parameters import After, Limit, Number
from shared.contracts.base import Id
from shared.contracts.request_body import RequestBody
from shared.i18n.languages import ReaderLanguage
from shared.kernel.web.requests import (
    Caller,
    Page,
    ReadSession,
    Session,
    decode_cursor,
    encode_cursor,
)

from . import queries, usecases
from .alert_text import AlertOut, render
from .usecases import ReadState

router = APIRouter(tags=["inbox"])


class MarkIn(RequestBody):
    """What your account did with an alert."""

    state: ReadState


@router.get("/cooperatives/{cooperative_id}/alerts")
async def list_alerts(
    session: ReadSession,
    caller: Caller,
    cooperative_id: Id,
    state: ReadState | None = None,
    language: ReaderLanguage | None = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[AlertOut]:
    """The inbox of a cooperative, newest first, in its own language unless you ask otherwise.

    A page of unread alerts may hold fewer than `limit`: go on until `next` is null.
    """
    own = await queries.open_inbox(session, caller, cooperative_id)
    before = decode_cursor(after, int)[0] if after else None
    page = await queries.read_inbox(
        session,
        cooperative_id=cooperative_id,
        account_id=caller.subject,
        state=state,
        before=before,
        limit=limit,
    )
    chosen = language_for(own, language)
    return Page(
        items=[render(alert, chosen) for alert in page.alerts],
        next=encode_cursor(page.next_before) if page.next_before is not None else None,
    )


@router.put("/cooperatives/{cooperative_id}/alerts/{number}/state", status_code=204)
async def mark_alert(
    session: Session, caller: Caller, cooperative_id: Id, number: Number, mark: MarkIn
) -> None:
    """Mark an alert as unread, read or archived, for your account alone."""
    await usecases.mark_alert(
        session, caller, cooperative_id=cooperative_id, number=number, state=mark.state
    )
