"""Count an audience before anything is published, by the conditions that a fan-out would use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from pydantic import BaseModel, Field
from sqlalchemy import Subquery, and_, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from notifications.audience.models import audience
from notifications.labels import name_of_value
from shared.contracts.criteria import Criteria
from shared.eligibility.codes import criteria_problems
from shared.eligibility.single_conditions import conditions_of, only, without
from shared.eligibility.sql import compile_track
from shared.eligibility.verdict import Rule
from shared.eligibility.wording import TITLES
from shared.errors import refuse_problems
from shared.i18n.catalogues import translate


class GroupCount(BaseModel):
    """How many of a region or a sector would be alerted, by verdict."""

    code: str | None = Field(description="Code of the region or sector; null where unknown.")
    label: str | None
    eligible: int
    unknown: int


class ExcludingCondition(BaseModel):
    """A condition because of which a track reaches nobody."""

    track: int = Field(description="Its place among the tracks, from 0 on.")
    rule: Rule
    alone: int = Field(
        description="How many cooperatives of the legal statuses asked for meet it, or may."
    )
    without: int = Field(description="How many would be alerted by the track without it.")
    says: str


@dataclass(frozen=True)
class Preview:
    """How many cooperatives would be alerted, by verdict, region and sector.

    `excluding` is empty unless nobody would be.
    """

    eligible: int
    unknown: int
    by_region: list[GroupCount]
    by_sector: list[GroupCount]
    excluding: list[ExcludingCondition]


async def preview_audience(
    session: AsyncSession,
    tracks: Sequence[Criteria],
    reference_on: date,
    language: str = "fr",
) -> Preview:
    """Count whom the tracks match now, and write nothing.

    Ages count on `reference_on`. Unknown codes of criteria are refused (`Invalid`), all at once.
    """
    refuse_problems(
        problem
        for number, criteria in enumerate(tracks)
        for problem in criteria_problems(f"tracks.{number}.criteria", criteria)
    )
    matching = _matching(tracks, reference_on)
    by_region = await _counts(session, matching, "region", language)
    excluding = [] if by_region else await _excluding(session, tracks, reference_on, language)
    return Preview(
        eligible=sum(group.eligible for group in by_region),
        unknown=sum(group.unknown for group in by_region),
        by_region=by_region,
        by_sector=await _counts(session, matching, "sector", language),
        excluding=excluding,
    )


def _matching(tracks: Sequence[Criteria], reference_on: date) -> Subquery:
    compiled = [compile_track(c, audience, reference_on) for c in tracks]
    sure = or_(*(and_(track.possible, track.unknown == 0) for track in compiled))
    return (
        select(
            audience.c.region, audience.c.sector, case((sure, True), else_=False).label("is_sure")
        )
        .where(or_(*(track.possible for track in compiled)))
        .subquery()
    )


async def _counts(
    session: AsyncSession,
    matching: Subquery,
    column: Literal["region", "sector"],
    language: str,
) -> list[GroupCount]:
    code = matching.c[column]
    rows = await session.execute(
        select(
            code,
            func.count().filter(matching.c.is_sure),
            func.count().filter(~matching.c.is_sure),
        )
        .group_by(code)
        .order_by(func.count().desc(), code)
    )
    return [
        GroupCount(
            code=value,
            label=name_of_value(column, value, language) if value else None,
            eligible=eligible,
            unknown=unknown,
        )
        for value, eligible, unknown in rows
    ]


@dataclass(frozen=True)
class _Counted:
    rule: Rule
    alone: int
    without: int


async def _excluding(
    session: AsyncSession, tracks: Sequence[Criteria], reference_on: date, language: str
) -> list[ExcludingCondition]:
    """For each track the conditions that nobody meets; else those without which somebody would be
    alerted; else all of them, which nobody meets together."""
    found = []
    for number, criteria in enumerate(tracks):
        counted = await _conditions(session, criteria, reference_on)
        impossible = [each for each in counted if each.alone == 0]
        lifted = [each for each in counted if each.without > 0]
        found += [
            _excluding_condition(number, each, language) for each in impossible or lifted or counted
        ]
    return found


async def _conditions(
    session: AsyncSession, criteria: Criteria, reference_on: date
) -> list[_Counted]:
    """How many meet each condition, and how many would match without it, in one statement."""
    rules = conditions_of(criteria)
    columns = [
        func.count().filter(compile_track(wanted, audience, reference_on).possible)
        for rule in rules
        for wanted in (_alone(criteria, rule), without(criteria, rule))
    ]
    if not columns:
        return []
    row = (await session.execute(select(*columns).select_from(audience))).one()
    counts = zip(rules, row[::2], row[1::2], strict=True)
    return [_Counted(rule, alone, without) for rule, alone, without in counts]


def _alone(criteria: Criteria, rule: Rule) -> Criteria:
    """The condition beside the legal statuses: those who are gone would only swell its number."""
    return only(criteria, rule).model_copy(update={"legal_statuses": criteria.legal_statuses})


def _excluding_condition(track: int, counted: _Counted, language: str) -> ExcludingCondition:
    return ExcludingCondition(
        track=track,
        rule=counted.rule,
        alone=counted.alone,
        without=counted.without,
        says=_says(track + 1, counted, language),
    )


def _says(track: int, counted: _Counted, language: str) -> str:
    title = TITLES.text(language, counted.rule)
    if counted.alone == 0:
        return translate(language, "preview.alone", track=track, condition=title)
    if counted.without:
        return translate(
            language, "preview.without", track=track, condition=title, number=counted.without
        )
    return translate(
        language, "preview.together", track=track, condition=title, number=counted.alone
    )
