"""What a service stores sealed: the columns that it declares, and the kernel's logs."""

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
    """This service stores nothing sealed."""


@dataclass(frozen=True)
class SealedColumns:
    """The sealed columns of a service, declared as `sealed` in its spec.

    `afterwards` runs after a rotation and removes rows whose marks were made with older keys and
    can't be made anew. `new_signing_key` makes a key that signs tokens, and returns its id.
    """

    columns: tuple[SealedColumn, ...]
    afterwards: Callable[[AsyncSession], Awaitable[None]] | None = None
    new_signing_key: Callable[[AsyncSession, Sealer], Awaitable[str]] | None = None

    @property
    def stores(self) -> tuple[Store, ...]:
        """The columns of the service and the bodies of the kernel's logs."""
        return (*self.columns, *LOGS)
