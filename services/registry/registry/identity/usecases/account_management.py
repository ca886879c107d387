"""What becomes of an account after it was made: other rights, another password, disabled."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from registry.settings import RegistrySettings
from shared.contracts.base import now
from shared.errors import Forbidden
from shared.kernel.auth.tokens import Principal, Role
from shared.kernel.data import audit
from shared.kernel.data.database import Sessions
from shared.kernel.encryption.sealer import Sealer

from ..domain.accounts import Account, check_claims
from .accounts import (
    claims_picture,
    email_marks,
    find_locked,
    refuse_last_operators,
    refuse_unknown,
)
from .authorization import require_standing
from .login_throttling import Attempt, delete_failures, note_failure, refuse_guessing, wait_for_turn
from .passwords import check_password, hash_password, is_password


class NotYourAccount(Forbidden):
    """An account is the operators' business and its owner's."""


class WrongPassword(Forbidden):
    """The current password is wrong."""


def require_account(caller: Principal, account_id: UUID) -> None:
    """Operators may look at any account, everybody at their own."""
    if not caller.has(Role.OPERATOR) and caller.subject != account_id:
        raise NotYourAccount


async def change_account(
    session: AsyncSession,
    caller: Principal,
    account_id: UUID,
    *,
    roles: Iterable[Role] | None = None,
    provinces: Iterable[str] | None = None,
    cooperatives: Iterable[UUID] | None = None,
    partner: str | None = None,
) -> Account:
    """Operators give an account other rights; what is left out stays. Tokens follow in minutes.

    Rights without their role are dropped: the partner of someone who is no partner any more.
    """
    account = await _locked(session, caller, account_id)
    before = claims_picture(account)
    wanted = frozenset(roles if roles is not None else map(Role, account.roles))
    given = {
        "provinces": frozenset(account.provinces if provinces is None else provinces),
        "cooperatives": frozenset(account.cooperatives if cooperatives is None else cooperatives),
        "partner": account.partner if partner is None else partner,
    }
    kept = _with_their_role(wanted, given)
    check_claims(wanted, **kept)
    await refuse_unknown(session, kept["partner"], kept["cooperatives"])
    if Role.OPERATOR not in wanted:
        await refuse_last_operators(session, [account])
    account.roles = sorted(role.value for role in wanted)
    account.provinces = sorted(kept["provinces"])
    account.cooperatives = sorted(kept["cooperatives"])
    account.partner = kept["partner"]
    after = claims_picture(account)
    if before != after:
        audit.record(
            session,
            caller,
            action="account changed",
            subject_id=account_id,
            before=before,
            after=after,
        )
    return account


async def disable_account(session: AsyncSession, caller: Principal, account_id: UUID) -> Account:
    """No more tokens for it. Operators only, and never the last of them."""
    account = await _locked(session, caller, account_id)
    await refuse_last_operators(session, [account])
    account.disable(at=now())
    _record_state(session, caller, account)
    return account


async def enable_account(session: AsyncSession, caller: Principal, account_id: UUID) -> Account:
    """It may sign in again. Operators only."""
    account = await _locked(session, caller, account_id)
    account.enable()
    _record_state(session, caller, account)
    return account


async def reset_password(
    session: AsyncSession, sealer: Sealer, caller: Principal, account_id: UUID, *, password: str
) -> None:
    """A new password for somebody who lost theirs; a lock-out ends. Operators only."""
    account = await _locked(session, caller, account_id)
    await _set_password(session, sealer, caller, account, password, action="password reset")


async def change_password(
    sessions: Sessions,
    sealer: Sealer,
    settings: RegistrySettings,
    caller: Principal,
    *,
    current: str,
    password: str,
) -> None:
    """One's own password, by whoever knows the present one; guessing it here ends this way alone.

    What strangers guess at sign-in keeps nobody from it who is signed in.
    """
    async with sessions.begin() as session:
        await require_standing(session, caller)
        account = await find_locked(session, caller.subject)
        marks = _marks(sealer, account)
        attempt = Attempt(marks=marks, most_here=settings.sign_in_failures)
        await refuse_guessing(session, attempt)
    fits = await is_password(current, account.password_hash)
    async with sessions.begin() as session:
        await require_standing(session, caller)
        account = await find_locked(session, caller.subject)
        await wait_for_turn(session, marks)
        await refuse_guessing(session, attempt)
        if fits:
            return await _set_password(
                session, sealer, caller, account, password, action="password changed"
            )
        await note_failure(session, attempt)
    raise WrongPassword(field="current_password")


async def _set_password(
    session: AsyncSession,
    sealer: Sealer,
    caller: Principal,
    account: Account,
    password: str,
    *,
    action: str,
) -> None:
    check_password(password)
    account.password_hash = await hash_password(password)
    await delete_failures(session, _marks(sealer, account))
    audit.record(session, caller, action=action, subject_id=account.id)


def _marks(sealer: Sealer, account: Account) -> list[str]:
    """What failed sign-ins of the account may be counted by, whichever key made the mark."""
    return email_marks(sealer, sealer.open(account.email_sealed)["email"])


def _with_their_role(roles: frozenset[Role], given: dict[str, Any]) -> dict[str, Any]:
    return {
        "provinces": given["provinces"] if Role.DELEGATE in roles else frozenset(),
        "cooperatives": given["cooperatives"] if Role.COOPERATIVE in roles else frozenset(),
        "partner": given["partner"] if Role.PARTNER in roles else None,
    }


async def _locked(session: AsyncSession, caller: Principal, account_id: UUID) -> Account:
    """The account, for an operator who still is one."""
    await require_standing(session, caller, Role.OPERATOR, changing=account_id)
    return await find_locked(session, account_id)


def _record_state(session: AsyncSession, caller: Principal, account: Account) -> None:
    audit.record(
        session,
        caller,
        action=f"account {account.state}",
        subject_id=account.id,
        after={"state": account.state.value},
    )
