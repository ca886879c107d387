"""Parameters that several routes take, and whose rows a caller may read."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query

from shared.kernel.auth.tokens import Principal, Role
from shared.kernel.web.parameters import PLAIN_DIGITS

Limit = Annotated[int, Query(ge=1, le=200), PLAIN_DIGITS]
After = Annotated[str | None, Query(max_length=200, description="`next` of the page before.")]
Number = Annotated[int, Path(ge=0, lt=2**63), PLAIN_DIGITS]


def provinces_read_by(caller: Principal) -> frozenset[str] | None:
    """The provinces whose alerts the caller may read together; None: those of the whole country.

    Operators read all, delegates those of the cooperatives that are in their provinces today, as
    for an inbox; anybody else is refused (`Forbidden`).
    """
    caller.require(Role.OPERATOR, Role.DELEGATE)
    return None if caller.has(Role.OPERATOR) else caller.provinces
