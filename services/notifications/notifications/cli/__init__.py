"""Commands of notifications: `taawon partner …`."""

from .partner import partner

__all__ = ["partner"]
