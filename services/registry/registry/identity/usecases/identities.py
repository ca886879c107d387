"""Which subject of another issuer is which account here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.base import new_id, now
from shared.errors import Invalid
from shared.kernel.auth.tokens import Principal, Role
from shared.kernel.data import audit
from shared.kernel.encryption.sealer import Sealer, Unreadable

from .. import models
from ..domain.accounts import Account, IdentityTaken, LinkedIdentity, NoSuchIdentity
from .accounts import find_locked
from .authorization import require_current_rights
from .login_throttling import delete_failures, wait_for_turn
from .revocation import revoke_tokens


class NoIssuer(Invalid):
    """No issuer is configured here (TAAWON_OIDC_ISSUER): name one."""


async def link_identity(
    session: AsyncSession,
    sealer: Sealer,
    caller: Principal,
    account_id: UUID,
    *,
    issuer: str | None,
    subject: str,
) -> LinkedIdentity:
    """Let a subject of another issuer act as this account. Operators only.

    Failures counted against the subject are deleted. Raises NoIssuer, NoSuchAccount or
    IdentityTaken.
    """
    await require_current_rights(session, caller, Role.OPERATOR, changing=account_id)
    if not issuer:
        raise NoIssuer(field="issuer")
    await find_locked(session, account_id)
    marks = identity_marks(sealer, issuer, subject)
    await _refuse_taken(session, marks)
    identity = LinkedIdentity(
        id=new_id(),
        account_id=account_id,
        issuer=issuer,
        subject_sealed=sealer.seal({"subject": subject}),
        subject_mark=marks[0],
        linked_at=now(),
    )
    session.add(identity)
    await delete_failures(session, marks)
    _record(session, caller, identity, "identity linked")
    return identity


async def _refuse_taken(session: AsyncSession, marks: list[str]) -> None:
    """A subject is linked once, also when two operators link it at the same time."""
    await wait_for_turn(session, marks)
    columns = models.linked_identity.c
    if await session.scalar(select(columns.id).where(columns.subject_mark.in_(marks))):
        raise IdentityTaken


async def unlink_identity(
    session: AsyncSession, caller: Principal, account_id: UUID, identity_id: UUID
) -> None:
    """Issue no more tokens to a linked subject; those of the account are refused, for some may have
    been its. Operators only. Raises NoSuchIdentity."""
    await require_current_rights(session, caller, Role.OPERATOR, changing=account_id)
    identity = await session.get(LinkedIdentity, identity_id, with_for_update=True)
    if identity is None or identity.account_id != account_id:
        raise NoSuchIdentity
    await session.delete(identity)
    await revoke_tokens(session, account_id)
    _record(session, caller, identity, "identity unlinked")


async def delete_identities(
    session: AsyncSession, sealer: Sealer, account_ids: Iterable[UUID]
) -> None:
    """Delete what accounts are linked to, and the failures counted against those subjects."""
    table = models.linked_identity
    gone = delete(table).where(table.c.account_id.in_(account_ids))
    rows = await session.execute(
        gone.returning(table.c.issuer, table.c.subject_sealed, table.c.subject_mark)
    )
    marks = [mark for row in rows for mark in _marks_of(sealer, *row)]
    await delete_failures(session, marks)


def _marks_of(sealer: Sealer, issuer: str, sealed: str, mark: str) -> list[str]:
    try:
        return identity_marks(sealer, issuer, sealer.open(sealed)["subject"])
    except Unreadable:
        return [mark]


async def find_linked(session: AsyncSession, marks: Sequence[str]) -> Account | None:
    """The account that a subject is linked to, disabled or not; None if it is linked to none.

    Account and link are locked against changes until the transaction ends, for a token is issued.
    """
    columns = models.linked_identity.c
    query = (
        select(Account)
        .join(models.linked_identity, columns.account_id == models.account.c.id)
        .where(columns.subject_mark.in_(marks))
        .with_for_update(read=True)
    )
    return (await session.execute(query)).scalar_one_or_none()


def identity_marks(sealer: Sealer, issuer: str, subject: str) -> list[str]:
    """The keyed digests that links are found and failures counted by: one per key, newest first."""
    return sealer.marks(f"identity\0{issuer}\0{subject}")


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
