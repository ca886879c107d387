"""Which cooperatives a reader may see the rows of: those in the provinces of a delegation."""

from __future__ import annotations

from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, exists, true

from .models import audience

Within: TypeAlias = frozenset[str] | None
"""Provinces whose cooperatives a reader sees; None: the whole country."""

_home = audience.alias("home")


def lies_within(within: Within, cooperative_id: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether the cooperative is in one of these provinces today; its inbox has the same rule."""
    if within is None:
        return true()
    return exists().where(_home.c.cooperative_id == cooperative_id, _home.c.province.in_(within))
