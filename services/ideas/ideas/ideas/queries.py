"""Reads: who may see which ideas, and lists of them."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, and_, false, or_, select, type_coerce
from sqlalchemy.dialects.postgresql import JSONB, array
from sqlalchemy.ext.asyncio import AsyncSession

from shared import reference
from shared.kernel.auth.tokens import Principal, Role
from shared.kernel.data.audit import Owner
from shared.kernel.web.requests import Page, decode_cursor, encode_cursor

from .domain import Idea, State, UnknownIdea
from .models import ideas

_content = type_coerce(ideas.c.content, JSONB)
_is_national = and_(_content["regions"] == [], _content["provinces"] == [])


@dataclass(frozen=True, kw_only=True)
class Search:
    """What a list is narrowed to; None narrows nothing. Nationwide ideas match any place."""

    region: str | None = None
    province: str | None = None
    sector: str | None = None
    state: State | None = None
    text: str | None = None


def visible_to(caller: Principal) -> ColumnElement[bool]:
    """Whether the caller may see an idea: published ones, own ones, and those to moderate."""
    mine = caller.identities
    return or_(
        ideas.c.state == State.PUBLISHED,
        ideas.c.author_id.in_(mine),
        ideas.c.on_behalf_of.in_(mine),
        _to_moderate(caller),
    )


async def find_idea(session: AsyncSession, caller: Principal, idea_id: UUID) -> Idea:
    """One idea. Raises UnknownIdea, also if the caller may not see it."""
    found = await session.scalar(select(Idea).where(ideas.c.id == idea_id, visible_to(caller)))
    if found is None:
        raise UnknownIdea
    return found


async def owner_of(session: AsyncSession, idea_id: UUID) -> Owner | None:
    """Who may read the audit of an idea: its author, its owner, and delegates of its provinces.

    Delegates only once it was submitted.
    """
    found = await session.get(Idea, idea_id)
    if found is None:
        return None
    owners = (found.author_id, found.on_behalf_of)
    return Owner(
        identities=frozenset(each for each in owners if each is not None),
        provinces=found.content.all_provinces() if found.is_known_to_moderators else frozenset(),
    )


async def list_ideas(
    session: AsyncSession,
    caller: Principal,
    search: Search,
    *,
    after: str | None = None,
    limit: int = 50,
) -> Page[Idea]:
    """A page of at most `limit` ideas, the newest first. Raises Invalid for unknown codes."""
    query = select(Idea, ideas.c.number).where(visible_to(caller), *_conditions(search))
    if after is not None:
        query = query.where(ideas.c.number < decode_cursor(after, int)[0])
    rows = (await session.execute(query.order_by(ideas.c.number.desc()).limit(limit + 1))).all()
    following = encode_cursor(rows[limit - 1].number) if len(rows) > limit else None
    return Page[Idea].model_construct(items=[row.Idea for row in rows[:limit]], next=following)


def _to_moderate(caller: Principal) -> ColumnElement[bool]:
    if caller.has(Role.OPERATOR):
        never_submitted = and_(ideas.c.state == State.WITHDRAWN, ~ideas.c.was_submitted)
        return and_(ideas.c.state != State.DRAFT, ~never_submitted)
    if not caller.has(Role.DELEGATE):
        return false()
    held = caller.provinces
    whole_regions = [
        region.code
        for region in reference.regions()
        if {p.code for p in reference.provinces_of(region.code)} <= held
    ]
    return and_(
        ideas.c.state == State.SUBMITTED,
        ~_is_national,
        _content["provinces"].contained_by(sorted(held)),
        _content["regions"].contained_by(whole_regions),
    )


def _conditions(search: Search) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if search.region is not None:
        within = [p.code for p in reference.provinces_of(reference.region(search.region).code)]
        conditions.append(_reaches([search.region], within))
    if search.province is not None:
        province = reference.province(search.province)
        conditions.append(_reaches([province.region], [province.code]))
    if search.sector is not None:
        named = _content["sectors"].contains([reference.sector(search.sector).code])
        conditions.append(or_(_content["sectors"] == [], named))
    if search.state is not None:
        conditions.append(ideas.c.state == search.state)
    for word in reference.fold(search.text or "").split():
        conditions.append(ideas.c.words.contains(word, autoescape=True))
    return conditions


def _reaches(regions: list[str], provinces: list[str]) -> ColumnElement[bool]:
    return or_(
        _is_national,
        _content["regions"].has_any(array(regions)),
        _content["provinces"].has_any(array(provinces)),
    )
