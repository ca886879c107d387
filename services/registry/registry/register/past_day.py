"""A day with the bounds that register files have."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import AfterValidator

from shared.contracts.base import now

from .register_file import cells
from .register_file.findings import WrongCell


def _past_day(value: date) -> date:
    try:
        return cells.past_day(value, now().date())
    except WrongCell as error:
        raise ValueError(f"{error.reason}: {error.suggestion}") from None


PastDay = Annotated[date, AfterValidator(_past_day)]
"""A day with the bounds that register files have, so that API and import accept the same."""
