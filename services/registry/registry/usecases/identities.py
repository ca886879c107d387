"""Which subject of another issuer is which account here."""

from __future__ import annotations

import hashlib
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from registry import models
from registry.domain import (
    Account,
    IdentityTaken,
    LinkedIdentity,
    NoSuchAccount,
    NoSuchIdentity,
)
from shared import audit
from shared.auth import Principal, Role
from shared.contracts.base import new_id, now
from shared.errors import Invalid

from .failures import forget_failures


class NoIssuer(Invalid):
    """No issuer is configured here (TAAWON_OIDC_ISSUER): name one."""


async def link_identity(
    session: AsyncSession,
    caller: Principal,
    account_id: UUID,
    *,
    issuer: str | None,
    subject: str,
) -> LinkedIdentity:
    """Whoever signs in there as this subject is this account here. Operators only."""
    caller.require(Role.OPERATOR)
    if not issuer:
        raise NoIssuer(field="issuer")
    if await session.get(Account, account_id, with_for_update=True) is None:
        raise NoSuchAccount(f"there is no account {account_id}")
    identity = LinkedIdentity(
        id=new_id(), account_id=account_id, issuer=issuer, subject=subject, linked_at=now()
    )
    table = models.linked_identity
    written = await session.scalar(
        insert(table)
        .values(
            {
                name: getattr(identity, name)
                for name in ("id", "account_id", "issuer", "subject", "linked_at")
            }
        )
        .on_conflict_do_nothing(index_elements=[table.c.issuer, table.c.subject])
        .returning(table.c.id)
    )
    # The unique index decides, also when two operators link it at the same time.
    if written is None:
        raise IdentityTaken
    await forget_failures(session, [identity_mark(issuer, subject)])
    _record(session, caller, identity, "identity linked")
    return identity


async def unlink_identity(
    session: AsyncSession, caller: Principal, account_id: UUID, identity_id: UUID
) -> None:
    """That subject gets no more tokens here. Operators only."""
    caller.require(Role.OPERATOR)
    identity = await session.get(LinkedIdentity, identity_id, with_for_update=True)
    if identity is None or identity.account_id != account_id:
        raise NoSuchIdentity
    await session.delete(identity)
    _record(session, caller, identity, "identity unlinked")


async def find_linked(session: AsyncSession, issuer: str, subject: str) -> Account | None:
    """The account of a subject, disabled or not."""
    columns = models.linked_identity.c
    query = (
        select(Account)
        .join(models.linked_identity, columns.account_id == models.account.c.id)
        .where(columns.issuer == issuer, columns.subject == subject)
    )
    return (await session.execute(query)).scalar_one_or_none()


def identity_mark(issuer: str, subject: str) -> str:
    """What failures of an identity are counted by."""
    return hashlib.sha256(f"identity\0{issuer}\0{subject}".encode()).hexdigest()


def _record(
    session: AsyncSession, caller: Principal, identity: LinkedIdentity, action: str
) -> None:
    """The subject is left out: some issuers use an e-mail for it."""
    audit.record(
        session,
        caller,
        action=action,
        subject_id=identity.account_id,
        after={"identity_id": str(identity.id), "issuer": identity.issuer},
    )
