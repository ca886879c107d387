"""Where sealed values rest, counted by key and brought under the newest one."""

from .rotation import Step, census, rotate
from .sealed_columns import Holdings, NothingSealed
from .stores import Census, Log, Place, SealedColumn

__all__ = [
    "Census",
    "Holdings",
    "Log",
    "NothingSealed",
    "Place",
    "SealedColumn",
    "Step",
    "census",
    "rotate",
]
