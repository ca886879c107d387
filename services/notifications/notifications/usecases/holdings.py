"""Where notifications holds sealed values."""

from __future__ import annotations

from typing import Final

from shared.sealing import Holdings, SealedColumn

from ..models import audience

HOLDINGS: Final = Holdings(
    columns=(SealedColumn(table=audience, key="cooperative_id", column="contact_sealed"),)
)
