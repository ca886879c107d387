"""Where sealed values rest, counted by key and brought under the newest one."""

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
