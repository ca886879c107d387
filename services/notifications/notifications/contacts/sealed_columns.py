"""The columns of notifications that hold sealed values."""

from __future__ import annotations

from typing import Final

from notifications.audience.models import audience
from shared.kernel.encryption.sealed_columns import SealedColumns
from shared.kernel.encryption.stores import SealedColumn

SEALED_COLUMNS: Final = SealedColumns(
    columns=(SealedColumn(table=audience, key="cooperative_id", column="contact_sealed"),)
)
