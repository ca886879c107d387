"""What a service holds sealed: its own columns, as it says itself, and the kernel's logs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.metadata import entry_points

from sqlalchemy.ext.asyncio import AsyncSession

from shared.errors import NotFound
from shared.messaging.tables import DeadLetterRow, OutboxRow
from shared.sealed import Sealer

from .places import Log, Place, SealedColumn

LOGS: tuple[Place, ...] = (
    Log(table=OutboxRow.__table__, key="seq"),  # type: ignore[arg-type]  # a Table
    Log(table=DeadLetterRow.__table__, key="id"),  # type: ignore[arg-type]  # a Table
)


class NothingSealed(NotFound):
    """This service holds nothing sealed."""


@dataclass(frozen=True)
class Holdings:
    """Offered by a service under the entry point `taawon.sealed`.

    `afterwards` forgets what was marked with older keys and can't be marked anew.
    """

    columns: tuple[SealedColumn, ...]
    afterwards: Callable[[AsyncSession], Awaitable[None]] | None = None
    new_signing_key: Callable[[AsyncSession, Sealer], Awaitable[str]] | None = None

    @property
    def places(self) -> tuple[Place, ...]:
        return (*self.columns, *LOGS)


def holdings_of(service: str) -> Holdings:
    """What the installed service of that name holds."""
    for entry in entry_points(group="taawon.sealed", name=service):
        found = entry.load()
        assert isinstance(found, Holdings)
        return found
    raise NothingSealed(f"{service} is not installed here, or holds nothing sealed")
