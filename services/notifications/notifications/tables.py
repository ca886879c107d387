"""The metadata that all tables of notifications are in."""

from __future__ import annotations

from sqlalchemy import Column, DateTime, MetaData, func
from sqlalchemy.orm import registry

from shared.kernel.data.tables import NAMING

metadata = MetaData(naming_convention=NAMING)
mapper = registry(metadata=metadata)


def moment(name: str, *, nullable: bool = False, default: bool = False) -> Column[object]:
    """A column of aware moments; `default`: the start of the transaction that inserts the row."""
    return Column(
        name,
        DateTime(timezone=True),
        nullable=nullable,
        server_default=func.now() if default else None,
    )
