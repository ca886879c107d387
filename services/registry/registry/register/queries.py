"""Reads of the register, as rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from registry.tables import Row
from shared.sentences import Sentence

from .domain.cooperative import NotInTheRegister
from .domain.imports import NoSuchImport, RegisterImport
from .models import rows as cooperative_rows
from .models import tables

Grouping = Literal["region", "province", "sector", "legal_status", "activity_status"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Filters:
    """Codes that a list is narrowed to, and words of names; None narrows nothing."""

    region: str | None = None
    province: str | None = None
    sector: str | None = None
    legal_status: str | None = None
    activity_status: str | None = None
    search: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """The filters as conditions on the table of cooperatives, all of which must hold."""
        columns = tables.cooperative.c
        exact = ("region", "province", "sector", "legal_status", "activity_status")
        equal = [
            columns[name] == value for name in exact if (value := getattr(self, name)) is not None
        ]
        # One condition per word, so that the words of a name are found in any order.
        words = cooperative_rows.search_key(self.search).split()
        return equal + [columns.search_key.contains(word, autoescape=True) for word in words]


async def list_cooperatives(
    session: AsyncSession, filters: Filters, *, after: UUID | None, limit: int
) -> Sequence[Row]:
    """The `limit` cooperatives after `after` in the order of ids, and one more if there is one."""
    table = tables.cooperative
    query = select(table).where(*filters.conditions()).order_by(table.c.id).limit(limit + 1)
    if after is not None:
        query = query.where(table.c.id > after)
    return [dict(row) for row in (await session.execute(query)).mappings()]


async def find_cooperative(session: AsyncSession, cooperative_id: UUID) -> Row:
    """One cooperative. Raises NotInTheRegister."""
    table = tables.cooperative
    query = select(table).where(table.c.id == cooperative_id)
    row = (await session.execute(query)).mappings().one_or_none()
    if row is None:
        raise NotInTheRegister(
            Sentence(
                "no cooperative {cooperative_id} is in the register", cooperative_id=cooperative_id
            )
        )
    return dict(row)


async def total(session: AsyncSession, filters: Filters, *, by: Grouping | None) -> Sequence[Row]:
    """Counts of cooperatives and members: one row, or one per group with the largest first.

    Unknown counts of members add nothing; a group of unknown values has the code null.
    """
    columns = tables.cooperative.c
    counts = (
        func.count().label("cooperatives"),
        func.coalesce(func.sum(columns.members_total), 0).label("members"),
        func.coalesce(func.sum(columns.members_women), 0).label("women"),
        func.coalesce(func.sum(columns.members_youth), 0).label("youth"),
        func.count().filter(columns.members_women == columns.members_total).label("women_only"),
    )
    query: Select[Any] = select(*counts).where(*filters.conditions())
    if by is not None:
        query = query.add_columns(columns[by].label("code")).group_by(columns[by])
        query = query.order_by(func.count().desc(), columns[by])
    return [dict(row) for row in (await session.execute(query)).mappings()]


async def find_import(session: AsyncSession, import_id: UUID) -> RegisterImport:
    """One import with its report. Raises NoSuchImport."""
    found = await session.get(RegisterImport, import_id)
    if found is None:
        raise NoSuchImport(Sentence("no import {import_id} has been started", import_id=import_id))
    return found
