"""What funders and the clock can make happen to a call, and who may."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.base import new_id, now
from shared.contracts.deadline import Deadline
from shared.contracts.funding import CallCancelled, CallClosed, CallOpened
from shared.errors import Invalid
from shared.kernel.auth.tokens import Principal, Role
from shared.kernel.data import audit
from shared.kernel.messaging import outbox
from shared.kernel.messaging.replay.sources import Named, Page, Snapshot, page_of
from shared.sentences import Sentence

from . import queries
from .domain.call import Call, NotYourInstitution, State
from .domain.terms import CallTerms
from .models import calls

MAX_CLOSED_AT_ONCE = 100
"""How many calls one transaction closes at most, so that it stays short."""
CALLS_PER_PAGE = 100
"""How many calls a page of a snapshot has at most."""


class FunderFixed(Invalid):
    """A call stays with the institution that it was drafted for: draft another one."""


async def draft_call(
    session: AsyncSession,
    caller: Principal,
    terms: CallTerms,
    deadline: Deadline | None,
    *,
    funder_slug: str | None = None,
) -> Call:
    """Prepare a call: operators, and partners for their own institution."""
    caller.require(Role.OPERATOR, Role.PARTNER)
    slug = funder_slug or (None if caller.has(Role.OPERATOR) else caller.partner)
    _require_own(caller, slug)
    call = Call(
        id=new_id(),
        funder_slug=slug,
        created_by=caller.subject,
        created_at=now(),
        terms=terms,
    )
    call.set_deadline(deadline, at=call.created_at)
    session.add(call)
    _record(session, caller, call, "call drafted")
    return call


async def change_call(
    session: AsyncSession,
    caller: Principal,
    call_id: UUID,
    terms: CallTerms,
    deadline: Deadline | None,
    *,
    funder_slug: str | None = None,
    expected: int | None = None,
) -> Call:
    """Rewrite a draft, or update the terms of an open call: its funder or an operator.

    Raises FunderFixed if another institution is named, and what `Call.revise` and `Call.amend` do.
    """
    call = await _find_own(session, caller, call_id, expected)
    if funder_slug not in {None, call.funder_slug}:
        raise FunderFixed(field="funder_slug")
    before = _values_for_audit(call)
    if call.state is State.DRAFT:
        call.revise(terms, deadline, at=now())
        _record(session, caller, call, "call revised", before)
    elif event := call.amend(terms, deadline, at=now()):
        outbox.add(session, event)
        _record(session, caller, call, "call updated", before)
    return call


async def delete_call(
    session: AsyncSession, caller: Principal, call_id: UUID, *, expected: int | None = None
) -> None:
    """Delete a draft for good: its funder or an operator."""
    call = await _find_own(session, caller, call_id, expected)
    call.require_deletable()
    await session.delete(call)
    audit.record(
        session,
        caller,
        action="call deleted",
        subject_id=call.id,
        before=_values_for_audit(call),
    )


async def open_call(
    session: AsyncSession,
    caller: Principal,
    call_id: UUID,
    *,
    confirmed_audience: int | None = None,
    partners_at_once: bool = False,
    expected: int | None = None,
) -> Call:
    """Take applications from now on: the funder or an operator, before the deadline.

    Where many more match than the `confirmed_audience`, nobody is alerted before a person looks,
    and partners wait as well unless they are to have it at once.
    """
    call = await _find_own(session, caller, call_id, expected)
    before = _values_for_audit(call)
    event = call.open(
        at=now(), confirmed_audience=confirmed_audience, partners_at_once=partners_at_once
    )
    outbox.add(session, event)
    _record(session, caller, call, "call opened", before)
    return call


async def extend_call(
    session: AsyncSession,
    caller: Principal,
    call_id: UUID,
    deadline: Deadline,
    *,
    reason: str,
    expected: int | None = None,
) -> Call:
    """Move the deadline of an open call to a later moment: the funder or an operator."""
    call = await _find_own(session, caller, call_id, expected)
    before = _values_for_audit(call)
    outbox.add(session, call.extend(deadline, reason=reason, at=now()))
    _record(session, caller, call, "call deadline extended", before)
    return call


async def close_call(
    session: AsyncSession, caller: Principal, call_id: UUID, *, expected: int | None = None
) -> Call:
    """Take no more applications: the funder or an operator."""
    call = await _find_own(session, caller, call_id, expected)
    before = _values_for_audit(call)
    outbox.add(session, call.close(at=now()))
    _record(session, caller, call, "call closed", before)
    return call


async def cancel_call(
    session: AsyncSession,
    caller: Principal,
    call_id: UUID,
    *,
    reason: str,
    expected: int | None = None,
) -> Call:
    """Void a call, open or not: the funder or an operator."""
    call = await _find_own(session, caller, call_id, expected)
    before = _values_for_audit(call)
    event = call.cancel(reason=reason, at=now())
    if event is not None:
        outbox.add(session, event)
    _record(session, caller, call, "call cancelled", before)
    return call


async def close_expired_calls(session: AsyncSession, *, at: datetime) -> int:
    """Close calls whose deadline has passed, and publish that; returns how many there were.

    Nothing depends on this being punctual: the domain refuses late steps by the deadline itself.
    Several processes may run it at once, for each skips the calls that another has locked.
    """
    due = (
        select(Call)
        .filter_by(state=State.OPEN)
        .where(queries.is_due(at))
        .limit(MAX_CLOSED_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    expired = (await session.scalars(due)).all()
    for call in expired:
        before = _values_for_audit(call)
        outbox.add(session, call.close(at=at))
        _record(session, None, call, "call closed by the clock", before)
    return len(expired)


async def calls_after(session: AsyncSession, after: UUID | None) -> Page:
    """The next calls that ever opened, as the newest event of each."""
    query = select(calls.c.id).where(calls.c.opened_at.is_not(None))
    if after is not None:
        query = query.where(calls.c.id > after)
    ids = (await session.scalars(query.order_by(calls.c.id).limit(CALLS_PER_PAGE))).all()
    return await page_of(session, "call", ids, _newest_events)


async def _newest_events(session: AsyncSession, ids: Sequence[UUID]) -> Named:
    found = await session.scalars(select(Call).where(calls.c.id.in_(ids)).order_by(calls.c.id))
    return [(f"{call.id} {call.version}", call.newest_event(at=now())) for call in found]


async def _count_opened(session: AsyncSession) -> int:
    query = select(func.count()).select_from(calls).where(calls.c.opened_at.is_not(None))
    return int(await session.scalar(query) or 0)


SNAPSHOTS = (
    Snapshot(
        "calls",
        (CallOpened.topic, CallClosed.topic, CallCancelled.topic),
        calls_after,
        _count_opened,
    ),
)
"""What other services may ask to be sent again: every call that ever opened."""


async def _find_own(
    session: AsyncSession, caller: Principal, call_id: UUID, expected: int | None
) -> Call:
    caller.require(Role.OPERATOR, Role.PARTNER)
    call = await queries.find_call(session, caller, call_id)
    _require_own(caller, call.funder_slug)
    call.expect(expected)
    return call


def _require_own(caller: Principal, funder_slug: str | None) -> None:
    if caller.has(Role.OPERATOR):
        return
    if caller.partner is None or funder_slug != caller.partner:
        raise NotYourInstitution(
            Sentence(
                "you act for {own}, and this call is of {other}: ask an operator",
                own=caller.partner or Sentence("no institution"),
                other=funder_slug or Sentence("none"),
            ),
            field="funder_slug",
        )


def _values_for_audit(call: Call) -> dict[str, object]:
    deadline = call.deadline
    return {
        "state": call.state.value,
        "version": call.version,
        "terms": call.terms.model_dump(mode="json"),
        "deadline": deadline.model_dump(mode="json") if deadline else None,
        "cancelled_because": call.cancelled_because,
        "confirmed_audience": call.confirmed_audience,
        "partners_at_once": call.partners_at_once,
    }


def _record(
    session: AsyncSession,
    caller: Principal | None,
    call: Call,
    action: str,
    before: dict[str, object] | None = None,
) -> None:
    """Add an audit row of the values that differ; without a caller, the clock did it."""
    after = _values_for_audit(call)
    differing = {key for key in after if before is None or before[key] != after[key]}
    audit.record(
        session,
        caller,
        action=action,
        subject_id=call.id,
        before=None if before is None else {key: before[key] for key in sorted(differing)},
        after={key: after[key] for key in sorted(differing)},
    )
