"""Every change leaves a row: who, when, what, before and after."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shared import context

from .auth import Principal
from .messaging.tables import AuditRow


def record(
    session: AsyncSession,
    caller: Principal | None,
    *,
    action: str,
    subject_id: UUID | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    on_behalf_of: UUID | None = None,
) -> None:
    """Add the audit row of a change. Values are JSON data and never a person's name or contact.

    No caller means that the clock did it.
    """
    session.add(
        AuditRow(
            actor_id=caller.subject if caller else None,
            actor_roles=sorted(caller.roles) if caller else [],
            on_behalf_of=on_behalf_of,
            action=action,
            subject_id=subject_id,
            before=before,
            after=after,
            correlation_id=context.current().correlation_id,
        )
    )
