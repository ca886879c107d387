"""Programs that act for a partner institution."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from shared.errors import Conflict, NotFound


class NoSuchClient(NotFound):
    """This partner has no API client with this id."""


class ClientRevoked(Conflict):
    """This API client is revoked already: make another one."""


@dataclass(eq=False, kw_only=True)
class ApiClient:
    """A program of a partner. Only a digest of its secret is kept."""

    id: UUID
    partner_id: UUID
    label: str
    secret_digest: str = field(repr=False)
    created_at: datetime
    revoked_at: datetime | None = None

    def revoke(self, *, at: datetime) -> None:
        """Issue it no more tokens, for good. Raises ClientRevoked the second time."""
        if self.revoked_at is not None:
            raise ClientRevoked
        self.revoked_at = at
