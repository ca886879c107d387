"""What the routes of the registry share."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from shared.kernel.auth.oidc import ForeignIssuer
from shared.kernel.encryption.sealer import Sealer
from shared.kernel.web.requests import Process


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
