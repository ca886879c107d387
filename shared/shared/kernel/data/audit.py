"""Every change leaves a row: who, when, what, before and after, and whom it was done for."""

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
"""Fields of people that no audit row may hold, however deep."""


class Nobody(Enum):
    """The type of `NOBODY`."""

    NOBODY = "nobody"


NOBODY: Final = Nobody.NOBODY
"""Done for nobody else, whomever the caller acts for just now."""


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

    No caller means that the clock did it. Whom it was done for is what the caller acts for
    (`Principal.acting_for`), unless the record itself says it: somebody else, or `NOBODY`.
    """
    done_for = on_behalf_of or (caller.on_behalf_of if caller else None)
    for picture in (before, after):
        _refuse_personal(picture)
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
    """A mistake of ours, not of the caller: the change fails before it can be written."""
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
    """Whose a record is, and so who may read its audit beside the operators.

    `identities` are accounts and cooperatives, `partner` is a slug. A delegate must hold every one
    of `provinces`; none means that it lies in nobody's delegation.
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
"""How a service answers whose a record is; None where it knows no such record."""
