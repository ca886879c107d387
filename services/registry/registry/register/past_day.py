"""A day that has come, with the bounds that register files have."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import AfterValidator

from shared.business_days import today
from shared.contracts.request_body import Day

from .register_file import cells


def past_day(value: date) -> date:
    """The same day, if it has come and cooperatives existed then; raises WrongCell."""
    return cells.past_day(value, today())


PastDay = Annotated[Day, AfterValidator(past_day)]
"""A day with the bounds that register files have, so that API and import accept the same."""
