"""Commands of the registry: `taawon register …`, `taawon accounts …` and `taawon person …`."""

from .accounts import app as accounts
from .persons import app as person
from .register import app as register

__all__ = ["accounts", "person", "register"]
