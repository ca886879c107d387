"""What routes of the registry get from the application."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from shared.kernel.auth.oidc import ForeignIssuer
from shared.kernel.encryption.sealer import Sealer
from shared.kernel.web.requests import Process


def sealer(process: Process) -> Sealer:
    """The sealer of personal fields; this service does not start without its keys."""
    assert process.sealer is not None
    return process.sealer


Seal = Annotated[Sealer, Depends(sealer)]


def foreign_issuer(request: Request) -> ForeignIssuer | None:
    """The other OpenID Connect issuer, if one is configured."""
    found: ForeignIssuer | None = request.app.state.foreign_issuer
    return found


Foreign = Annotated[ForeignIssuer | None, Depends(foreign_issuer)]
