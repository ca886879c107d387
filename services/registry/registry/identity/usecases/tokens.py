"""Issuing short-lived signed tokens to people and programs, and the keys that sign them."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import structlog
from joserfc import jwt
from joserfc.jwk import OKPKey
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from registry.partners.domain import Partner
from registry.settings import RegistrySettings
from shared.contracts.base import new_id, now
from shared.errors import DomainError
from shared.kernel.auth.tokens import ALGORITHM, Principal, Role
from shared.kernel.data import audit
from shared.kernel.data.advisory_locks import wait_for_lock
from shared.kernel.data.database import Sessions, moment
from shared.kernel.encryption.sealer import Sealer
from shared.sentences import Sentence

from .. import models
from ..domain.accounts import Account
from ..domain.api_clients import ApiClient
from ..domain.signing_keys import KeyState, SigningKey
from .accounts import email_marks
from .api_clients import digest_secret
from .authorization import principal_of
from .known_devices import find_device, remember_device
from .login_throttling import (
    Attempt,
    forgive_failures_here,
    note_failure,
    refuse_guessing,
    wait_for_turn,
)
from .passwords import is_password

log = structlog.get_logger()

KEYS_LOCK = 7_463
OAuthError = Literal[
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "invalid_target",
    "temporarily_unavailable",
    "unsupported_grant_type",
]


class TokenRefused(DomainError):
    """No token is issued. `error` is the error code of OAuth (RFC 6749, 5.2; RFC 8693, 2.2.2)."""

    def __init__(self, error: OAuthError, detail: Sentence) -> None:
        self.error = error
        super().__init__(detail)


@dataclass(frozen=True, kw_only=True, slots=True)
class IssuedToken:
    """A signed token, how many seconds it lives, and the token that the device is known by."""

    token: str
    seconds: int
    device: str | None = None


async def issue_to_account(
    sessions: Sessions,
    sealer: Sealer,
    settings: RegistrySettings,
    *,
    email: str,
    password: str,
    network: str,
    device: str = "",
) -> IssuedToken:
    """A token for whoever knows an e-mail and its password, and what the device is known by.

    Raises TokenRefused, alike and after the same time for an unknown e-mail, a disabled account and
    a wrong password; TooManyFailures while the device, or an unknown device of its network, has to
    wait. No transaction is open while the password is hashed. The failures and the account are read
    again afterwards, in turn: guesses that come at once get no more answers than one by one, and
    what ended meanwhile gets no token.
    """
    marks = email_marks(sealer, email)
    columns = models.account.c
    wanted = columns.email_mark.in_(marks) & columns.disabled_at.is_(None)
    async with sessions() as session:
        known = await find_device(session, marks, device)
        attempt = Attempt.of_password(sealer, marks, network=network, device=known)
        await refuse_guessing(session, settings, attempt)
        checked = await session.scalar(select(columns.password_hash).where(wanted))
    fits = await is_password(password, checked)
    async with sessions.begin() as session:
        # Locked before the turn is waited for, in the order of whoever changes a password.
        locked = select(Account).where(wanted).with_for_update(read=True)
        account = (await session.execute(locked)).scalar_one_or_none()
        await wait_for_turn(session, marks)
        by_strangers = await refuse_guessing(session, settings, attempt)
        if account is not None and account.password_hash == checked and fits:
            await forgive_failures_here(session, attempt)
            kept = await remember_device(
                session, account.id, known, device, days=settings.known_device_days
            )
            claims = claims_of(principal_of(account))
            issued = await issue(session, sealer, settings, subject=account.id, claims=claims)
            return replace(issued, device=kept)
        await note_failure(session, attempt)
    if account is not None and attempt.by_stranger:
        _report_attack(settings, account.id, by_strangers + 1)
    raise TokenRefused("invalid_grant", Sentence("the e-mail or the password is wrong"))


def _report_attack(settings: RegistrySettings, account_id: UUID, by_strangers: int) -> None:
    """Log it once, when unknown devices begin to be slowed down; the owner reads it of the account.

    A message to the owner is to be sent from here, once a channel sends any.
    """
    if by_strangers == settings.sign_in_failures_everywhere:
        log.warning("password guessed", account_id=str(account_id), failures=by_strangers)


def claims_of(caller: Principal) -> dict[str, Any]:
    """The claims of a token about this caller."""
    return {
        "roles": sorted(caller.roles),
        "provinces": sorted(caller.provinces),
        "cooperatives": sorted(map(str, caller.cooperatives)),
        "partner": caller.partner,
    }


async def issue_to_client(
    sessions: Sessions, sealer: Sealer, settings: RegistrySettings, *, client_id: str, secret: str
) -> IssuedToken:
    """A token for an API client: it acts as its partner and as nothing else.

    Raises TokenRefused, alike for an unknown client, a wrong secret and a revoked client.
    """
    async with sessions.begin() as session:
        client, partner = await _find_client(session, client_id)
        digest = client.secret_digest if client else "0" * 64
        fits = hmac.compare_digest(digest, digest_secret(secret))
        if client is None or partner is None or not fits or client.revoked_at is not None:
            raise TokenRefused("invalid_client", Sentence("the client id or the secret is wrong"))
        return await issue(
            session,
            sealer,
            settings,
            subject=client.id,
            claims={"roles": [Role.PARTNER.value], "partner": partner.slug},
        )


async def rotate_signing_key(
    session: AsyncSession, sealer: Sealer, caller: Principal
) -> SigningKey:
    """Sign with a new key from now on; the old one stays published. Operators only."""
    caller.require(Role.OPERATOR)
    await _wait_for_turn(session)
    old = await _active(session)
    if old is not None:
        old.retire(at=now())
        await session.flush()
    key = _new_key(session, sealer)
    audit.record(
        session,
        caller,
        action="signing key rotated",
        subject_id=UUID(key.kid),
        before={"kid": old.kid} if old else None,
        after={"kid": key.kid},
    )
    return key


async def issue(
    session: AsyncSession,
    sealer: Sealer,
    settings: RegistrySettings,
    *,
    subject: UUID,
    claims: dict[str, Any],
    until: datetime | None = None,
) -> IssuedToken:
    """A token signed with the active key, for `settings.token_seconds` or at most `until`.

    The row of the subject must be locked, at least shared (`revoke_tokens`). `iat` has fractions of
    a second, so that a token from after a revocation differs from one of the same second before it.
    """
    issued_at = (await moment(session)).timestamp()
    begins = int(issued_at)
    expires = begins + settings.token_seconds
    if until is not None:
        expires = min(expires, int(until.timestamp()))
    body = {
        "iss": settings.issuer,
        "aud": settings.audience,
        "sub": str(subject),
        "iat": issued_at,
        "nbf": begins,
        "exp": expires,
        "jti": str(new_id()),
        **claims,
    }
    key = await _signing_key(session, sealer)
    return IssuedToken(token=_signed(sealer, key, body), seconds=expires - begins)


def _signed(sealer: Sealer, key: SigningKey, claims: dict[str, Any]) -> str:
    private = OKPKey.import_key(sealer.open(key.private_sealed))
    header = {"alg": ALGORITHM, "kid": key.kid, "typ": "JWT"}
    return jwt.encode(header, claims, private, [ALGORITHM])


async def _find_client(
    session: AsyncSession, client_id: str
) -> tuple[ApiClient | None, Partner | None]:
    try:
        wanted = UUID(client_id)
    except ValueError:
        return None, None
    client = await session.get(ApiClient, wanted, with_for_update={"read": True})
    partner = await session.get(Partner, client.partner_id) if client else None
    return client, partner


async def _signing_key(session: AsyncSession, sealer: Sealer) -> SigningKey:
    """The active key; the very first request makes it, and others wait for that one."""
    if key := await _active(session):
        return key
    await _wait_for_turn(session)
    return await _active(session) or _new_key(session, sealer)


def _new_key(session: AsyncSession, sealer: Sealer) -> SigningKey:
    kid = str(new_id())
    private = OKPKey.generate_key("Ed25519", {"kid": kid, "use": "sig", "alg": ALGORITHM})
    key = SigningKey(
        kid=kid,
        public_jwk={name: str(value) for name, value in private.as_dict(private=False).items()},
        private_sealed=sealer.seal(dict(private.as_dict(private=True))),
        created_at=now(),
    )
    session.add(key)
    return key


async def _active(session: AsyncSession) -> SigningKey | None:
    found = await session.execute(select(SigningKey).filter_by(state=KeyState.ACTIVE))
    return found.scalar_one_or_none()


async def _wait_for_turn(session: AsyncSession) -> None:
    await wait_for_lock(session, KEYS_LOCK)
