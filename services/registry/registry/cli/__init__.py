"""Commands of the registry: `taawon register …` and `taawon accounts …`."""

from .accounts import app as accounts
from .register import app as register

__all__ = ["accounts", "register"]
