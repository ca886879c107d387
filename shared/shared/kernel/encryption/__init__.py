"""Sealed values: where a service stores them, counted by key, and resealed with the newest key."""

from .rotation import Step, census, rotate
from .sealed_columns import NothingSealed, SealedColumns
from .stores import Census, Log, SealedColumn, Store

__all__ = [
    "Census",
    "Log",
    "NothingSealed",
    "SealedColumn",
    "SealedColumns",
    "Step",
    "Store",
    "census",
    "rotate",
]
