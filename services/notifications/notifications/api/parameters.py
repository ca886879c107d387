"""What several routes ask for in the same way."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query

Limit = Annotated[int, Query(ge=1, le=200)]
After = Annotated[str | None, Query(max_length=200, description="`next` of the page before.")]
Number = Annotated[int, Path(ge=0, lt=2**63)]
