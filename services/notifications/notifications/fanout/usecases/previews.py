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
from shared.eligibility.sql import compile_track
from shared.errors import refuse_problems

from ..domain.subjects import registered_only


class GroupCount(BaseModel):
    """How many of a region or a sector would be alerted, by verdict."""

    code: str | None = Field(description="Code of the region or sector; null where unknown.")
    label: str | None
    eligible: int
    unknown: int


@dataclass(frozen=True)
class Preview:
    """How many cooperatives would be alerted, by verdict, region and sector."""

    eligible: int
    unknown: int
    by_region: list[GroupCount]
    by_sector: list[GroupCount]


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
        for problem in criteria_problems(f"tracks.{number}", criteria)
    )
    matching = _matching(tracks, reference_on)
    by_region = await _counts(session, matching, "region", language)
    return Preview(
        eligible=sum(group.eligible for group in by_region),
        unknown=sum(group.unknown for group in by_region),
        by_region=by_region,
        by_sector=await _counts(session, matching, "sector", language),
    )


def _matching(tracks: Sequence[Criteria], reference_on: date) -> Subquery:
    compiled = [compile_track(registered_only(c), audience, reference_on) for c in tracks]
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
