"""The metadata that all tables of notifications are in."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import (
    Column,
    DateTime,
    Enum,
    MetaData,
    func,
)
from sqlalchemy.orm import registry

from shared.kernel.data.tables import NAMING

metadata = MetaData(naming_convention=NAMING)


mapper = registry(metadata=metadata)


def choice(kind: type[StrEnum]) -> Enum:
    """A text column that holds the values of an enumeration."""
    return Enum(
        kind, native_enum=False, length=12, values_callable=lambda e: [item.value for item in e]
    )


def moment(name: str, *, nullable: bool = False, default: bool = False) -> Column[object]:
    return Column(
        name,
        DateTime(timezone=True),
        nullable=nullable,
        server_default=func.now() if default else None,
    )
