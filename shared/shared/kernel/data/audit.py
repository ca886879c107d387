"""The audit: each change leaves a row with who, when, what, before, after and on whose behalf."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shared.kernel import context
from shared.kernel.auth.tokens import Principal, Role

from .tables import AuditRow

PERSONAL: Final = frozenset({"email", "phone", "password", "president"})
"""Names of personal fields that no audit row may contain, at any depth."""


class Nobody(Enum):
    """The type of `NOBODY`."""

    NOBODY = "nobody"


NOBODY: Final = Nobody.NOBODY
"""The change was made on nobody's behalf, whomever the caller acts for."""


def record(
    session: AsyncSession,
    caller: Principal | None,
    *,
    action: str,
    subject_id: UUID | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    on_behalf_of: UUID | Nobody | None = None,
) -> None:
    """Add the audit row of a change. Values are JSON data and never a person's name or contact.

    Without a caller the system made the change by itself. It was made on behalf of the cooperative
    that the caller acts for (`Principal.acting_for`), unless `on_behalf_of` names another one or
    `NOBODY`. Raises ValueError for a personal field.
    """
    done_for = on_behalf_of or (caller.on_behalf_of if caller else None)
    for values in (before, after):
        _refuse_personal(values)
    session.add(
        AuditRow(
            actor_id=caller.subject if caller else None,
            actor_roles=sorted(caller.roles) if caller else [],
            on_behalf_of=None if done_for is NOBODY else done_for,
            action=action,
            subject_id=subject_id,
            before=before,
            after=after,
            correlation_id=context.current().correlation_id,
        )
    )


def _refuse_personal(value: object) -> None:
    """This is a defect of the program: the change fails before it can be written."""
    if isinstance(value, dict):
        if held := PERSONAL & value.keys():
            raise ValueError(f"an audit row must not hold {', '.join(sorted(held))}")
        for part in value.values():
            _refuse_personal(part)
    elif isinstance(value, list | tuple):
        for part in value:
            _refuse_personal(part)


@dataclass(frozen=True, kw_only=True)
class Owner:
    """To whom a record belongs, and so who may read its audit beside the operators.

    `identities` are accounts and cooperatives, `partner` is a slug. A delegate must have every one
    of `provinces`; where there are none, no delegate may read it.
    """

    identities: frozenset[UUID] = frozenset()
    provinces: frozenset[str] = frozenset()
    partner: str | None = None

    def admits(self, caller: Principal) -> bool:
        """Whether this caller may know who changed the record."""
        if caller.has(Role.OPERATOR) or self.identities & caller.identities:
            return True
        if self.partner is not None and self.partner == caller.partner:
            return True
        within = bool(self.provinces) and self.provinces <= caller.provinces
        return caller.has(Role.DELEGATE) and within


OwnerOf = Callable[[AsyncSession, UUID], Awaitable[Owner | None]]
"""Finds the owner of a record of a service; None where the service knows no such record."""
