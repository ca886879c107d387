"""Commands of notifications: `taawon partner …` and `taawon why`."""

from .partner import partner
from .why import why

__all__ = ["partner", "why"]
