"""Reads: who may see which calls, and lists of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from shared import reference
from shared.kernel.auth.tokens import Principal, Role
from shared.kernel.data.audit import Owner
from shared.kernel.web.requests import Page, decode_cursor, encode_cursor

from .domain.call import Call, State, UnknownCall
from .models import calls


@dataclass(frozen=True, kw_only=True)
class Search:
    """What a list is narrowed to; None narrows nothing."""

    state: State | None = None
    funder: str | None = None
    region: str | None = None
    sector: str | None = None


def visible_to(caller: Principal) -> ColumnElement[bool]:
    """Whether the caller may see a call: any that has opened, else its funder and operators."""
    if caller.has(Role.OPERATOR):
        return true()
    has_opened = calls.c.opened_at.is_not(None)
    if caller.has(Role.PARTNER) and caller.partner is not None:
        return or_(has_opened, calls.c.funder_slug == caller.partner)
    return has_opened


async def find_call(session: AsyncSession, caller: Principal, call_id: UUID) -> Call:
    """One call. Raises UnknownCall, also if the caller may not see it."""
    found = await session.scalar(select(Call).where(calls.c.id == call_id, visible_to(caller)))
    if found is None:
        raise UnknownCall
    return found


async def owner_of(session: AsyncSession, call_id: UUID) -> Owner | None:
    """Who may read the audit of a call beside operators: its funder."""
    found = await session.get(Call, call_id)
    return Owner(partner=found.funder_slug) if found else None


async def list_calls(
    session: AsyncSession,
    caller: Principal,
    search: Search,
    *,
    at: datetime,
    after: str | None = None,
    limit: int = 50,
) -> Page[Call]:
    """A page of at most `limit` calls, the newest first; one past its deadline counts as closed.

    Raises Invalid for unknown codes.
    """
    query = select(Call, calls.c.number).where(visible_to(caller), *_conditions(search, at))
    if after is not None:
        query = query.where(calls.c.number < decode_cursor(after, int)[0])
    rows = (await session.execute(query.order_by(calls.c.number.desc()).limit(limit + 1))).all()
    following = encode_cursor(rows[limit - 1].number) if len(rows) > limit else None
    return Page[Call].model_construct(items=[row.Call for row in rows[:limit]], next=following)


def _conditions(search: Search, at: datetime) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if search.state is not None:
        conditions.append(_is_in_state(search.state, at))
    if search.funder is not None:
        conditions.append(calls.c.funder_slug == search.funder)
    if search.region is not None:
        conditions.append(calls.c.regions.contains([reference.region(search.region).code]))
    if search.sector is not None:
        named = calls.c.sectors.contains([reference.sector(search.sector).code])
        conditions.append(or_(func.cardinality(calls.c.sectors) == 0, named))
    return conditions


def is_due(at: datetime) -> ColumnElement[bool]:
    """Whether the deadline has passed; a standing call has none and is never due."""
    return and_(calls.c.closes_at.is_not(None), calls.c.closes_at <= at)


def _is_in_state(state: State, at: datetime) -> ColumnElement[bool]:
    is_over = is_due(at)
    if state is State.OPEN:
        return and_(calls.c.state == State.OPEN, ~is_over)
    if state is State.CLOSED:
        return or_(calls.c.state == State.CLOSED, and_(calls.c.state == State.OPEN, is_over))
    return calls.c.state == state
