"""Tokens for tokens (RFC 8693): a foreign one for ours, or ours for one that acts for another.

Roles and provinces come from the record of the account alone, read anew each time.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from registry.register.domain.cooperative import NotInTheRegister
from registry.register.models import tables
from registry.settings import RegistrySettings
from shared.errors import DomainError, Forbidden
from shared.kernel.auth.oidc import ForeignIssuer, ForeignTokenRefused, IssuerAway
from shared.kernel.auth.tokens import Principal, Verifier
from shared.kernel.data.database import Sessions
from shared.kernel.data.revocations import TokenRevoked
from shared.kernel.encryption.sealer import Sealer
from shared.sentences import Sentence

from ..domain.accounts import Account
from .authorization import RightsEnded, principal_of, require_current_rights
from .identities import find_linked, identity_marks
from .login_throttling import Attempt, forgive_failures_here, note_failure, refuse_guessing
from .tokens import IssuedToken, TokenRefused, claims_of, issue

TOKEN_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"


async def issue_to_linked(
    sessions: Sessions,
    sealer: Sealer,
    settings: RegistrySettings,
    issuer: ForeignIssuer | None,
    *,
    token: str,
) -> IssuedToken:
    """A token for the account that the subject of a foreign token is linked to.

    Raises TokenRefused if the token is not genuine, its issuer is away, or the account is missing
    or disabled; TooManyFailures while the same subject has to wait after such attempts. The foreign
    token is verified first: nobody but its owner makes the subject wait, and no transaction waits
    for the issuer.
    """
    if issuer is None:
        raise TokenRefused(
            "invalid_request", Sentence("no other issuer is configured here (TAAWON_OIDC_ISSUER)")
        )
    subject = await _verified_subject(issuer, token)
    attempt = Attempt(marks=identity_marks(sealer, issuer.issuer, subject))
    async with sessions.begin() as session:
        await refuse_guessing(session, settings, attempt)
        account = await find_linked(session, attempt.marks)
        if account is not None and account.disabled_at is None:
            await forgive_failures_here(session, attempt)
            claims = claims_of(principal_of(account))
            return await issue(session, sealer, settings, subject=account.id, claims=claims)
        await note_failure(session, attempt)
    raise TokenRefused("invalid_grant", _why_not(account))


async def _verified_subject(issuer: ForeignIssuer, token: str) -> str:
    try:
        return await issuer.verify(token)
    except ForeignTokenRefused as error:
        raise TokenRefused("invalid_request", error.detail) from None
    except IssuerAway as error:
        raise TokenRefused("temporarily_unavailable", error.detail) from None


def _why_not(account: Account | None) -> Sentence:
    """Its owner proved who they are, so the state of the account may be named."""
    if account is None:
        return Sentence("this identity is linked to no account here: ask an operator to link it")
    return Sentence("the account is disabled: ask an operator")


async def issue_to_act_for(
    sessions: Sessions,
    sealer: Sealer,
    settings: RegistrySettings,
    verifier: Verifier,
    *,
    token: str,
    cooperative_id: UUID,
) -> IssuedToken:
    """A token with which an operator or a delegate acts for one cooperative, in every service.

    It expires no later than the token it was made from. Raises TokenRefused if that one is not ours
    or its owner may not act for the cooperative, NotInTheRegister if there is no such cooperative.
    """
    try:
        caller = await verifier.verify(token)
    except DomainError as error:
        raise TokenRefused("invalid_request", error.detail) from None
    async with sessions.begin() as session:
        current = await _on_record(session, caller)
        province = await _province_of(session, cooperative_id)
        _require_intermediary(current, cooperative_id, province)
        claims = claims_of(current) | {"on_behalf_of": str(cooperative_id)}
        return await issue(
            session,
            sealer,
            settings,
            subject=current.subject,
            claims=claims,
            until=caller.expires_at,
        )


async def _province_of(session: AsyncSession, cooperative_id: UUID) -> str:
    columns = tables.cooperative.c
    query = select(columns.province).where(columns.id == cooperative_id)
    province: str | None = await session.scalar(query)
    if province is None:
        raise NotInTheRegister(
            Sentence(
                "no cooperative {cooperative_id} is in the register", cooperative_id=cooperative_id
            )
        )
    return province


async def _on_record(session: AsyncSession, caller: Principal) -> Principal:
    try:
        return await require_current_rights(session, caller)
    except RightsEnded:
        detail = Sentence("only an account that is enabled acts for others")
        raise TokenRefused("invalid_grant", detail) from None
    except TokenRevoked as error:
        raise TokenRefused("invalid_grant", error.detail) from None


def _require_intermediary(current: Principal, cooperative_id: UUID, province: str) -> None:
    try:
        current.acting_for(cooperative_id, province)
    except Forbidden as error:
        raise TokenRefused("invalid_target", error.detail) from None
