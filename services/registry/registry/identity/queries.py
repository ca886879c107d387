"""Reads of accounts, API clients, linked identities and published keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from registry.partners.queries import find_partner
from shared.kernel.auth.tokens import MAX_TOKEN_LIFETIME, Role
from shared.kernel.encryption.sealer import Sealer
from shared.sentences import Sentence
from shared.spelling import email_key

from . import models
from .domain.accounts import Account, LinkedIdentity, NoSuchAccount
from .domain.api_clients import ApiClient
from .domain.sign_in_failures import SHOWN_FOR, FailedSignIns
from .domain.signing_keys import SigningKey


async def list_clients(session: AsyncSession, slug: str) -> Sequence[ApiClient]:
    """The API clients of a partner, revoked ones included, oldest first. Raises NoSuchPartner."""
    partner = await find_partner(session, slug)
    columns = models.api_client.c
    query = select(ApiClient).where(columns.partner_id == partner.id)
    return (await session.scalars(query.order_by(columns.created_at, columns.id))).all()


async def find_account(session: AsyncSession, account_id: UUID) -> Account:
    """An account, erased ones included. Raises NoSuchAccount."""
    found = await session.get(Account, account_id)
    if found is None:
        raise NoSuchAccount(Sentence("there is no account {account_id}", account_id=account_id))
    return found


async def list_accounts(
    session: AsyncSession, *, role: Role | None, after: UUID | None, limit: int
) -> Sequence[Account]:
    """The `limit` accounts after `after` in the order of ids, and one more if there is one."""
    columns = models.account.c
    query = select(Account).order_by(columns.id).limit(limit + 1)
    if role is not None:
        query = query.where(columns.roles.contains([role.value]))
    if after is not None:
        query = query.where(columns.id > after)
    return (await session.scalars(query)).all()


@dataclass(frozen=True, kw_only=True, slots=True)
class IdentityInClear:
    """A linked identity with its subject in clear."""

    id: UUID
    issuer: str
    subject: str
    linked_at: datetime


async def list_identities(
    session: AsyncSession, sealer: Sealer, account_id: UUID
) -> Sequence[IdentityInClear]:
    """What an account is linked to, oldest first."""
    columns = models.linked_identity.c
    query = select(LinkedIdentity).where(columns.account_id == account_id)
    found = await session.scalars(query.order_by(columns.linked_at, columns.id))
    return [
        IdentityInClear(
            id=each.id,
            issuer=each.issuer,
            subject=sealer.open(each.subject_sealed)["subject"],
            linked_at=each.linked_at,
        )
        for each in found
    ]


async def failed_sign_ins(
    session: AsyncSession, sealer: Sealer, account: Account
) -> FailedSignIns | None:
    """What unknown devices failed at in the last 30 days; None if nothing.

    A network that failed under two keys counts as two.
    """
    email = sealer.open(account.email_sealed).get("email")
    failures = models.sign_in_failure.c
    query = select(
        func.count(), func.count(failures.place.distinct()), func.min(failures.at)
    ).where(
        failures.email_mark.in_(sealer.marks(email_key(email)) if email else []),
        failures.by_stranger,
        failures.at > func.clock_timestamp() - SHOWN_FOR,
    )
    count, networks, since = (await session.execute(query)).one()
    return FailedSignIns(failures=count, networks=networks, since=since) if count else None


async def published_keys(session: AsyncSession) -> list[dict[str, str]]:
    """The public part of every key that a valid token may be signed with, newest first."""
    key = models.signing_key.c
    may_verify = or_(key.retired_at.is_(None), key.retired_at > func.now() - MAX_TOKEN_LIFETIME)
    query = select(SigningKey).where(may_verify).order_by(key.created_at.desc())
    return [each.public_jwk for each in (await session.execute(query)).scalars()]
