"""What all reads share: a row, the names of the fields, and whose rows a reader sees."""

from __future__ import annotations

from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Row, exists, true

from .models import PROFILE_COLUMNS, audience

AnyRow: TypeAlias = Row[*tuple[Any, ...]]
PROFILE_FIELDS = [name for name, _ in PROFILE_COLUMNS]

Within: TypeAlias = frozenset[str] | None
"""Provinces whose cooperatives a reader sees; None: those of the whole country."""

_home = audience.alias("home")


def lies_within(within: Within, cooperative_id: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether the cooperative is in one of these provinces today, as for its inbox."""
    if within is None:
        return true()
    return exists().where(_home.c.cooperative_id == cooperative_id, _home.c.province.in_(within))
