"""Where sealed values rest, counted by key and brought under the newest one."""

from .holdings import Holdings, NothingSealed
from .places import Census, Log, Place, SealedColumn
from .rotation import Step, census, rotate

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
