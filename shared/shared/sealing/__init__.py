"""Where sealed values rest, counted by key and brought under the newest one."""

from .holdings import Holdings, holdings_of
from .places import Census, Log, Place, SealedColumn
from .rotation import Step, census, rotate

__all__ = [
    "Census",
    "Holdings",
    "Log",
    "Place",
    "SealedColumn",
    "Step",
    "census",
    "holdings_of",
    "rotate",
]
