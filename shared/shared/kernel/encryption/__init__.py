"""Where sealed values rest, counted by key and brought under the newest one."""

from .rotation import Step, census, rotate
from .sealed_columns import NothingSealed, SealedColumns
from .stores import Census, Log, Place, SealedColumn

__all__ = [
    "Census",
    "Log",
    "NothingSealed",
    "Place",
    "SealedColumn",
    "SealedColumns",
    "Step",
    "census",
    "rotate",
]
