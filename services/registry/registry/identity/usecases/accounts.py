"""Accounts of people, and the first operator, whom nobody can create but the local operator."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from registry.partners import models as partner_models
from registry.partners.domain import NoSuchPartner
from registry.register.domain.cooperative import Contact, NotInTheRegister
from registry.register.models import tables
from registry.register.usecases.erased_contacts import admit_contact, audit_return
from shared.contracts.base import new_id, now
from shared.kernel.auth.tokens import Principal, Role
from shared.kernel.data import audit
from shared.kernel.data.advisory_locks import wait_for_lock
from shared.kernel.encryption.sealer import Sealer
from shared.sentences import Sentence
from shared.spelling import email_key, plain

from .. import models
from ..domain.accounts import (
    Account,
    AccountExists,
    LastOperator,
    NoSuchAccount,
    OperatorExists,
    check_claims,
)
from .authorization import require_current_rights
from .login_throttling import wait_for_turn
from .passwords import check_password, hash_password

OPERATORS_LOCK = 7_462


async def create_account(
    session: AsyncSession,
    sealer: Sealer,
    caller: Principal,
    *,
    email: str,
    password: str,
    roles: Iterable[Role],
    provinces: Iterable[str] = (),
    cooperatives: Iterable[UUID] = (),
    partner: str | None = None,
    confirm_erased: bool = False,
) -> Account:
    """Create an account. Operators only.

    Raises WeakPassword, AccountExists, ClaimsDoNotFit, NoSuchPartner and NotInTheRegister for what
    a role is to act for and does not exist, or ErasedContact for an e-mail that its person had
    erased, unless it is confirmed that they want it back.
    """
    await require_current_rights(session, caller, Role.OPERATOR)
    wanted = frozenset(roles)
    check_claims(
        wanted,
        provinces=frozenset(provinces),
        cooperatives=frozenset(cooperatives),
        partner=partner,
    )
    await refuse_unknown(session, partner, frozenset(cooperatives))
    is_back = await admit_contact(session, sealer, Contact(email=email), confirmed=confirm_erased)
    account = await _new_account(session, sealer, email=email, password=password, roles=wanted)
    account.provinces = sorted(provinces)
    account.cooperatives = sorted(cooperatives)
    account.partner = partner
    _audit(session, caller, account)
    if is_back:
        audit_return(session, caller, account.id)
    return account


async def bootstrap_operator(
    session: AsyncSession, sealer: Sealer, *, email: str, password: str
) -> Account:
    """Create the first operator. Raises OperatorExists once there is one, in any state.

    Two consoles that try at once take turns.
    """
    await lock_operators(session)
    operators = select(func.count()).where(models.account.c.roles.contains([Role.OPERATOR.value]))
    if await session.scalar(operators):
        raise OperatorExists
    account = await _new_account(
        session, sealer, email=email, password=password, roles=frozenset({Role.OPERATOR})
    )
    _audit(session, Principal(subject=account.id, roles=frozenset({Role.OPERATOR})), account)
    return account


async def refuse_last_operators(session: AsyncSession, accounts: Sequence[Account]) -> None:
    """Raise LastOperator if no enabled operator is left without these accounts.

    Call it before the accounts are disabled, erased or lose the role. Two operators who do so to
    each other take turns.
    """
    if not any(Role.OPERATOR.value in account.roles for account in accounts):
        return
    await lock_operators(session)
    columns = models.account.c
    others = select(func.count()).where(
        columns.roles.contains([Role.OPERATOR.value]),
        columns.disabled_at.is_(None),
        columns.id.not_in([account.id for account in accounts]),
    )
    if not await session.scalar(others):
        raise LastOperator


async def lock_operators(session: AsyncSession) -> None:
    """Wait until no other transaction counts the operators or changes their number."""
    await wait_for_lock(session, OPERATORS_LOCK)


def email_mark(sealer: Sealer, email: str) -> str:
    """The keyed digest that an account is found by, made with the newest key."""
    return sealer.mark(normalized(email))


def email_marks(sealer: Sealer, email: str) -> list[str]:
    """The digests that an account may be found by: one per key, that of the newest first."""
    return sealer.marks(normalized(email))


def normalized(email: str) -> str:
    """An e-mail as it is marked and compared, whatever its spelling."""
    return email_key(email)


async def account_of_email(session: AsyncSession, sealer: Sealer, email: str) -> Account:
    """The account that signs in with this e-mail. Raises NoSuchAccount."""
    wanted = models.account.c.email_mark.in_(email_marks(sealer, email))
    found = (await session.execute(select(Account).where(wanted))).scalar_one_or_none()
    if found is None:
        raise NoSuchAccount(Sentence("no account has this e-mail"))
    return found


async def find_locked(session: AsyncSession, account_id: UUID) -> Account:
    """An account with its row locked. Raises NoSuchAccount, also if its person was erased."""
    account = await session.get(Account, account_id, with_for_update=True)
    if account is None or account.is_erased:
        raise NoSuchAccount(Sentence("there is no account {account_id}", account_id=account_id))
    return account


async def refuse_unknown(
    session: AsyncSession, partner: str | None, cooperatives: frozenset[UUID]
) -> None:
    """Raise NoSuchPartner or NotInTheRegister for what an account is to act for and isn't there."""
    known = select(partner_models.partner.c.id).where(partner_models.partner.c.slug == partner)
    if partner is not None and await session.scalar(known) is None:
        raise NoSuchPartner(
            Sentence("no partner {partner} is registered: register it first", partner=partner)
        )
    found = await session.scalars(
        select(tables.cooperative.c.id).where(tables.cooperative.c.id.in_(cooperatives))
    )
    if missing := cooperatives - set(found):
        raise NotInTheRegister(
            Sentence(
                "no cooperative {cooperative_id} is in the register", cooperative_id=min(missing)
            )
        )


async def _new_account(
    session: AsyncSession, sealer: Sealer, *, email: str, password: str, roles: frozenset[Role]
) -> Account:
    check_password(password)
    await _refuse_taken(session, email_marks(sealer, email))
    account = Account(
        id=new_id(),
        email_sealed=sealer.seal({"email": plain(email).strip()}),
        email_mark=email_mark(sealer, email),
        password_hash=await hash_password(password),
        roles=sorted(role.value for role in roles),
        created_at=now(),
    )
    session.add(account)
    return account


async def _refuse_taken(session: AsyncSession, marks: list[str]) -> None:
    """One account per e-mail, also between processes whose newest keys differ."""
    await wait_for_turn(session, marks)
    taken = select(models.account.c.id).where(models.account.c.email_mark.in_(marks))
    if await session.scalar(taken):
        raise AccountExists


def _audit(session: AsyncSession, caller: Principal, account: Account) -> None:
    audit.record(
        session,
        caller,
        action="account created",
        subject_id=account.id,
        after=rights_for_audit(account),
    )


def rights_for_audit(account: Account) -> dict[str, Any]:
    """What an account may do, as an audit row shows it."""
    return {
        "roles": account.roles,
        "provinces": account.provinces,
        "cooperatives": [str(each) for each in account.cooperatives],
        "partner": account.partner,
    }
