"""What the routes of the registry share."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from shared.sealed import Sealer
from shared.web import Process


def sealer(process: Process) -> Sealer:
    """The key of personal fields, which this service must have."""
    assert process.sealer is not None
    return process.sealer


Seal = Annotated[Sealer, Depends(sealer)]
