"""Changes of an account: its rights, its password, disabling and enabling it."""

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
from shared.lifecycle import refuse_unless_expected

from ..domain.accounts import Account, check_claims
from .accounts import (
    email_marks,
    find_locked,
    refuse_last_operators,
    refuse_unknown,
    rights_for_audit,
)
from .authorization import require_current_rights
from .known_devices import delete_devices
from .login_throttling import Attempt, delete_failures, note_failure, refuse_guessing, wait_for_turn
from .passwords import check_password, hash_password, is_password
from .revocation import revoke_tokens


class NotYourAccount(Forbidden):
    """An account is read and changed by operators and by its owner only."""


class WrongPassword(Forbidden):
    """The current password is wrong."""


def require_account(caller: Principal, account_id: UUID) -> None:
    """Operators may look at any account, everybody at their own; raises NotYourAccount."""
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
    expected: int | None = None,
) -> Account:
    """Give an account other rights; what is left out stays. Operators only.

    What belongs to a role that the account no longer has is dropped: without the role partner, its
    partner. Where it may do less than before, tokens that were issued before are refused. Raises
    ClaimsDoNotFit, NoSuchPartner, NotInTheRegister or LastOperator.
    """
    account = await _locked(session, caller, account_id, expected)
    before, rights = rights_for_audit(account), account.rights
    wanted = frozenset(map(Role, account.roles) if roles is None else roles)
    given = {
        "provinces": frozenset(account.provinces if provinces is None else provinces),
        "cooperatives": frozenset(account.cooperatives if cooperatives is None else cooperatives),
        "partner": account.partner if partner is None else partner,
    }
    claims = _of_roles(wanted, given)
    check_claims(wanted, **claims)
    await refuse_unknown(session, claims["partner"], claims["cooperatives"])
    if Role.OPERATOR not in wanted:
        await refuse_last_operators(session, [account])
    account.roles = sorted(role.value for role in wanted)
    account.provinces = sorted(claims["provinces"])
    account.cooperatives = sorted(claims["cooperatives"])
    account.partner = claims["partner"]
    if rights.exceed(account.rights):
        lost = rights.partner if rights.partner != account.partner else None
        await revoke_tokens(session, account_id, partner=lost)
    after = rights_for_audit(account)
    if before != after:
        audit.record(
            session,
            caller,
            action="account changed",
            subject_id=account_id,
            before=before,
            after=after,
        )
    await session.flush()  # the mapper counts versions
    return account


async def disable_account(
    session: AsyncSession, caller: Principal, account_id: UUID, *, expected: int | None = None
) -> Account:
    """End an account: no new token, and those it has are refused.

    Operators only; the last one can't be disabled.
    """
    account = await _locked(session, caller, account_id, expected)
    await refuse_last_operators(session, [account])
    account.disable(at=now())
    await revoke_tokens(session, account_id, partner=account.partner)
    _record_state(session, caller, account)
    await session.flush()
    return account


async def enable_account(
    session: AsyncSession, caller: Principal, account_id: UUID, *, expected: int | None = None
) -> Account:
    """Let an account sign in again. Operators only."""
    account = await _locked(session, caller, account_id, expected)
    account.enable()
    _record_state(session, caller, account)
    await session.flush()
    return account


async def reset_password(
    session: AsyncSession, sealer: Sealer, caller: Principal, account_id: UUID, *, password: str
) -> None:
    """Set a new password for somebody who lost theirs; nobody has to wait then. Operators only.

    Tokens that the old password gave are refused, and its devices are known no more. Raises
    WeakPassword if it is too short, too long or one of those that are guessed first.
    """
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
    """Change one's own password, knowing the present one.

    Tokens that the old one gave are refused, the caller's own too: sign in again. Raises
    WrongPassword, and TooManyFailures while the next attempt has to wait. What strangers guess at
    sign-in does not count here, and wrong passwords here do not count at sign-in. No transaction is
    open while the present password is checked.
    """
    async with sessions.begin() as session:
        account = await _locked_own(session, caller)
        marks = _marks(sealer, account)
        attempt = Attempt(marks=marks)
        await refuse_guessing(session, settings, attempt)
    fits = await is_password(current, account.password_hash)
    async with sessions.begin() as session:
        account = await _locked_own(session, caller)
        await wait_for_turn(session, marks)
        await refuse_guessing(session, settings, attempt)
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
    await delete_devices(session, [account.id])
    await revoke_tokens(session, account.id)
    audit.record(session, caller, action=action, subject_id=account.id)


def _marks(sealer: Sealer, account: Account) -> list[str]:
    """What failed sign-ins of the account may be counted by, whichever key made the mark."""
    return email_marks(sealer, sealer.open(account.email_sealed)["email"])


def _of_roles(roles: frozenset[Role], given: dict[str, Any]) -> dict[str, Any]:
    """Of what an account acts for, that which one of its roles acts for."""
    return {
        "provinces": given["provinces"] if Role.DELEGATE in roles else frozenset(),
        "cooperatives": given["cooperatives"] if Role.COOPERATIVE in roles else frozenset(),
        "partner": given["partner"] if Role.PARTNER in roles else None,
    }


async def _locked(
    session: AsyncSession, caller: Principal, account_id: UUID, expected: int | None = None
) -> Account:
    """The account, for an operator who still is one and has read it at the `expected` version."""
    await require_current_rights(session, caller, Role.OPERATOR, changing=account_id)
    account = await find_locked(session, account_id)
    refuse_unless_expected("account", account.version, expected)
    return account


async def _locked_own(session: AsyncSession, caller: Principal) -> Account:
    """The caller's own account, if it may still act."""
    await require_current_rights(session, caller)
    return await find_locked(session, caller.subject)


def _record_state(session: AsyncSession, caller: Principal, account: Account) -> None:
    audit.record(
        session,
        caller,
        action=f"account {account.state}",
        subject_id=account.id,
        after={"state": account.state.value},
    )
