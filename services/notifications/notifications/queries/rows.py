"""What all reads share: a row, and the names of the facts."""

from __future__ import annotations

from typing import Any, TypeAlias

from sqlalchemy import Row

from ..models import FACT_COLUMNS

AnyRow: TypeAlias = Row[*tuple[Any, ...]]
FACT_NAMES = [name for name, _ in FACT_COLUMNS]
