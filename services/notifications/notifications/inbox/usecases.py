"""The in-app inbox: the row of an alert is the message; this adds what an account did with it."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from notifications.audience.models import audience
from notifications.fanout.models import alert
from shared.errors import Forbidden, NotFound
from shared.kernel.auth.tokens import Principal
from shared.kernel.data import audit
from shared.sentences import Sentence

from .models import alert_state

ReadState = Literal["unread", "read", "archived"]


class NoSuchAlert(NotFound):
    """This cooperative has no alert of that number."""


class NotYourInbox(Forbidden):
    """Only its cooperative, operators, and delegates of its province may read an inbox."""


async def require_inbox(
    session: AsyncSession, caller: Principal, cooperative_id: UUID
) -> Principal:
    """The caller as one who acts for this cooperative; raises `NotYourInbox` for others."""
    province = await session.scalar(
        select(audience.c.province).where(audience.c.cooperative_id == cooperative_id)
    )
    return act_for(caller, cooperative_id, province)


def act_for(caller: Principal, cooperative_id: UUID, province: str | None) -> Principal:
    """The caller as one who acts for a cooperative in this province; raises `NotYourInbox`."""
    try:
        return caller.acting_for(cooperative_id, province)
    except Forbidden:
        raise NotYourInbox from None


async def mark_alert(
    session: AsyncSession,
    caller: Principal,
    *,
    cooperative_id: UUID,
    number: int,
    state: ReadState,
) -> None:
    """Note what this account did with an alert; each account has marks of its own.

    Raises `NotYourInbox`, and `NoSuchAlert` for a number that this inbox does not have.
    """
    caller = await require_inbox(session, caller, cooperative_id)
    exists = await session.scalar(
        select(alert.c.seq).where(alert.c.cooperative_id == cooperative_id, alert.c.seq == number)
    )
    if exists is None:
        raise NoSuchAlert(
            Sentence(
                "cooperative {cooperative_id} has no alert {number}",
                cooperative_id=cooperative_id,
                number=number,
            )
        )
    await session.execute(
        insert(alert_state)
        .values(cooperative_id=cooperative_id, seq=number, account_id=caller.subject, state=state)
        .on_conflict_do_update(
            index_elements=["cooperative_id", "seq", "account_id"],
            set_={"state": state, "changed_at": func.now()},
        )
    )
    audit.record(
        session,
        caller,
        action="alert marked",
        subject_id=cooperative_id,
        after={"alert": number, "state": state},
    )
