"""What the routes of the registry share."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import Depends, Request
from pydantic import AfterValidator

from registry.register_file import WrongCell, cells
from shared.contracts.base import now
from shared.oidc import ForeignIssuer
from shared.sealed import Sealer
from shared.web import Process


def sealer(process: Process) -> Sealer:
    """The key of personal fields, which this service must have."""
    assert process.sealer is not None
    return process.sealer


Seal = Annotated[Sealer, Depends(sealer)]


def foreign_issuer(request: Request) -> ForeignIssuer | None:
    """The other issuer, where one is configured."""
    found: ForeignIssuer | None = request.app.state.foreign_issuer
    return found


Foreign = Annotated[ForeignIssuer | None, Depends(foreign_issuer)]


def _past_day(value: date) -> date:
    try:
        return cells.past_day(value, now().date())
    except WrongCell as error:
        raise ValueError(f"{error.reason}: {error.suggestion}") from None


PastDay = Annotated[date, AfterValidator(_past_day)]
"""A day with the bounds that register files have, so that both doors take and refuse the same."""
