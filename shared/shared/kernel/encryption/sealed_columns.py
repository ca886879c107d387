"""What a service holds sealed: its own columns, as it says itself, and the kernel's logs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from shared.errors import NotFound
from shared.kernel.data.tables import DeadLetterRow, OutboxRow

from .sealer import Sealer
from .stores import Log, SealedColumn, Store

LOGS: tuple[Store, ...] = (
    Log(table=OutboxRow.__table__, key="seq"),  # type: ignore[arg-type]  # a Table
    Log(table=DeadLetterRow.__table__, key="id"),  # type: ignore[arg-type]  # a Table
)


class NothingSealed(NotFound):
    """This service holds nothing sealed."""


@dataclass(frozen=True)
class SealedColumns:
    """What a service declares as `sealed` in its spec.

    `afterwards` removes what was marked with older keys and can't be marked anew.
    """

    columns: tuple[SealedColumn, ...]
    afterwards: Callable[[AsyncSession], Awaitable[None]] | None = None
    new_signing_key: Callable[[AsyncSession, Sealer], Awaitable[str]] | None = None

    @property
    def stores(self) -> tuple[Store, ...]:
        return (*self.columns, *LOGS)
