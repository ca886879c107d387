"""What a caller may do now: a token says what was true when it was issued, minutes ago.

What a process knows of revoked tokens is seconds old; here nothing is cached.
"""

from __future__ import annotations

from typing import TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from registry.partners.domain import Partner
from shared.errors import Forbidden
from shared.kernel.auth.local_operator import LOCAL_OPERATOR
from shared.kernel.auth.tokens import Principal, Role
from shared.kernel.data.revocations import refuse_revoked

from .. import models
from ..domain.accounts import Account
from ..domain.api_clients import ApiClient

Locked = TypeVar("Locked", Account, ApiClient)


class RightsEnded(Forbidden):
    """Your rights ended after your token was issued: sign in again, or ask an operator."""


async def require_current_rights(
    session: AsyncSession, caller: Principal, *roles: Role, changing: UUID | None = None
) -> Principal:
    """The caller with the rights on record now. Raises RightsEnded if disabled, revoked or
    without these roles, TokenRevoked if the token is from before they changed.

    Whatever changes accounts or credentials calls this first. It locks the rows of the caller and
    of `changing`, in the order of their ids: of two who disable each other, one finds its rights
    ended. The local operator has no row and is returned as given.
    """
    if roles:
        caller.require(*roles)
    if caller is LOCAL_OPERATOR:
        return caller
    current = await _on_record(session, caller, {caller.subject, changing or caller.subject})
    if current is None or (roles and not current.has(*roles)):
        raise RightsEnded
    await refuse_revoked(session, caller)
    return current


async def _on_record(session: AsyncSession, caller: Principal, ids: set[UUID]) -> Principal | None:
    account = (await _locked(session, Account, models.account.c.id, ids)).get(caller.subject)
    if account is not None:
        return principal_of(account) if account.disabled_at is None else None
    client = (await _locked(session, ApiClient, models.api_client.c.id, ids)).get(caller.subject)
    if client is None or client.revoked_at is not None:
        return None
    partner = await session.get_one(Partner, client.partner_id)
    return Principal(subject=client.id, roles=frozenset({Role.PARTNER}), partner=partner.slug)


async def _locked(
    session: AsyncSession, kind: type[Locked], key: ColumnElement[UUID], ids: set[UUID]
) -> dict[UUID, Locked]:
    query = select(kind).where(key.in_(ids)).order_by(key).with_for_update()
    found = await session.scalars(query.execution_options(populate_existing=True))
    return {each.id: each for each in found}


def principal_of(account: Account) -> Principal:
    """The account as a caller, with the rights on record; whether it is disabled does not count."""
    return Principal(
        subject=account.id,
        roles=frozenset(map(Role, account.roles)),
        provinces=frozenset(account.provinces),
        cooperatives=frozenset(account.cooperatives),
        partner=account.partner,
    )
