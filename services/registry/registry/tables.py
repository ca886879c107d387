"""The metadata that all tables of the registry are in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import MetaData
from sqlalchemy.orm import registry

from shared.kernel.data.tables import NAMING

metadata = MetaData(naming_convention=NAMING)
mapper = registry(metadata=metadata)

Row = Mapping[str, Any]
"""A row of any of them, by the names of its columns."""
