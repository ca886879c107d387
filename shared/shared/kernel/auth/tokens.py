"""Verifies tokens and makes of them the principal that calls. The registry issues them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final, Protocol
from uuid import UUID

import httpx
import structlog
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from shared.errors import Away, Forbidden, Unauthenticated
from shared.sentences import Sentence

ALGORITHM = "Ed25519"
"""The only accepted signature algorithm (RFC 9864); a token that names another is refused."""

LONGEST_TOKEN_SECONDS: Final = 3600
"""The longest that a token may be valid, whatever is set, in seconds."""
MAX_TOKEN_LIFETIME: Final = timedelta(seconds=LONGEST_TOKEN_SECONDS + 60)
"""After this no token is valid any more: the longest life, and a minute for clocks that differ."""

log = structlog.get_logger()


class Role(StrEnum):
    """What a person or a program may be on this platform."""

    OPERATOR = "operator"
    DELEGATE = "delegate"
    PARTNER = "partner"
    COOPERATIVE = "cooperative"
    HOLDER = "holder"
    JUROR = "juror"
    REVIEWER = "reviewer"


class InvalidToken(Unauthenticated):
    """The token is not valid here: get a new one from POST /token of the registry."""


class ExpiredToken(Unauthenticated):
    """The token has expired: get a new one from POST /token of the registry."""


class KeysAway(Away):
    """The issuer's keys can't be read just now, so no token can be checked: try again."""


class MissingRole(Forbidden):
    """This needs a role that the token does not carry."""


class OutsideDelegation(Forbidden):
    """A delegate acts only within the provinces of the delegation."""


class Principal(BaseModel):
    """Who is calling, as the verified token says. `partner` is the slug of an institution.

    `on_behalf_of` is the cooperative that an operator or a delegate acts for just now;
    `issued_at` and `expires_at` are the beginning and the end of the token.
    """

    model_config = ConfigDict(frozen=True)

    subject: UUID
    roles: frozenset[Role] = frozenset()
    provinces: frozenset[str] = frozenset()
    partner: str | None = None
    cooperatives: frozenset[UUID] = frozenset()
    on_behalf_of: UUID | None = None
    issued_at: AwareDatetime | None = None
    expires_at: AwareDatetime | None = None

    @property
    def identities(self) -> frozenset[UUID]:
        """The account, the cooperatives that are its own, and the one it acts for just now."""
        acted_for = {self.on_behalf_of} if self.on_behalf_of else set()
        return self.cooperatives | {self.subject} | acted_for

    def has(self, *roles: Role) -> bool:
        """Whether the caller has any of these roles."""
        return bool(self.roles & set(roles))

    def require(self, *roles: Role) -> None:
        """Raise `MissingRole` unless the caller has one of these roles."""
        if not self.has(*roles):
            wanted = " or ".join(sorted(roles))
            raise MissingRole(
                Sentence(
                    "this needs the role {wanted}; your token does not carry it", wanted=wanted
                )
            )

    def require_province(self, province: str | None) -> None:
        """Raise `OutsideDelegation` unless the province is one of the caller's.

        Operators act anywhere; where the province is unknown (None), nobody else may act.
        """
        if Role.OPERATOR not in self.roles and province not in self.provinces:
            raise OutsideDelegation(
                Sentence(
                    "province {province} is not in your delegation ({provinces})",
                    province=province,
                    provinces=", ".join(sorted(self.provinces)) or Sentence("no provinces"),
                )
            )

    def acting_for(self, cooperative: UUID, province: str | None) -> Principal:
        """The caller on behalf of this cooperative, so that the audit names the cooperative.

        The cooperative itself acts on nobody's behalf; operators act for any cooperative, delegates
        for those of their provinces. Anyone else is refused with `Forbidden`.
        """
        if cooperative in self.cooperatives:
            return self
        self.require(Role.OPERATOR, Role.DELEGATE)
        self.require_province(province)
        return self.model_copy(update={"on_behalf_of": cooperative})


class Keys(Protocol):
    """Where the issuer's public keys come from."""

    async def current(self, *, unknown_kid: bool = False) -> KeySet:
        """The keys; read anew, if the source allows, where a token names an unknown key.

        Raises `KeysAway` where there are none.
        """
        ...


class FetchedKeys:
    """The issuer's published keys: cached, and fetched again when a token names an unknown key.

    Keys are fetched again after `fresh_seconds`, and at most once per `least_seconds`, whatever
    tokens name. A failed fetch keeps the known keys. While one task waits for a slow issuer, the
    others go on with the known keys.
    """

    def __init__(self, url: str, *, fresh_seconds: float = 300, least_seconds: float = 5) -> None:
        self._url = url
        self._fresh = fresh_seconds
        self._least = least_seconds
        self._keys: KeySet | None = None
        self._fetched = float("-inf")
        self._tried = float("-inf")
        self._lock = asyncio.Lock()

    async def current(self, *, unknown_kid: bool = False) -> KeySet:
        """The keys, fetched where they are due; raises `KeysAway` while there are none."""
        if self._keys is not None and self._lock.locked() and not unknown_kid:
            return self._keys
        async with self._lock:
            now = time.monotonic()
            is_due = unknown_kid or self._keys is None or now - self._fetched > self._fresh
            if is_due and now - self._tried > self._least:
                await self._fetch()
            if self._keys is None:
                raise KeysAway
            return self._keys

    async def _fetch(self) -> None:
        try:
            async with httpx.AsyncClient(timeout=3) as client:
                self._keys = await self._read(client)
            self._fetched = time.monotonic()
        except (httpx.HTTPError, ValueError, TypeError, KeyError, JoseError) as error:
            log.warning("issuer keys unreadable", url=self._url, error=type(error).__name__)
        finally:
            self._tried = time.monotonic()

    async def _read(self, client: httpx.AsyncClient) -> KeySet:
        response = await client.get(self._url)
        response.raise_for_status()
        return KeySet.import_key_set(response.json())


class LoadedKeys:
    """Keys that the process can load itself: the registry's own, or a test's."""

    def __init__(self, load: Callable[[], Awaitable[KeySet]]) -> None:
        self._load = load

    async def current(self, *, unknown_kid: bool = False) -> KeySet:
        """The keys, loaded anew each time."""
        return await self._load()


def required_claims(issuer: str, audience: str) -> jwt.JWTClaimsRegistry:
    """The claims that every token must have, of our own or another issuer; leeway: 5 seconds."""
    return jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": audience},
        exp={"essential": True},
        sub={"essential": True},
        leeway=5,
    )


class Verifier:
    """Turns a bearer token of one issuer for one audience into a principal, or refuses it."""

    def __init__(self, keys: Keys, *, issuer: str, audience: str) -> None:
        self._keys = keys
        self._claims = required_claims(issuer, audience)

    async def verify(self, token: str) -> Principal:
        """The caller that a valid token names.

        Raises `InvalidToken`, `ExpiredToken`, or `KeysAway` while the issuer's keys can't be read.
        """
        if len(token) > 8192:
            raise InvalidToken
        claims = await self._decode(token)
        try:
            self._claims.validate(claims)
            return _principal(claims)
        except (JoseError, ValidationError) as error:
            if type(error).__name__ == "ExpiredTokenError":
                raise ExpiredToken from None
            raise InvalidToken from None

    async def _decode(self, token: str) -> dict[str, object]:
        for unknown_kid in (False, True):
            keys = await self._keys.current(unknown_kid=unknown_kid)
            try:
                return jwt.decode(token, keys, algorithms=[ALGORITHM]).claims
            except (JoseError, ValueError, TypeError, KeyError) as error:
                if type(error).__name__ not in {"InvalidKeyIdError", "MissingKeyError"}:
                    raise InvalidToken from None
        raise InvalidToken


ROLES_OF_CLAIM: Final[dict[str, tuple[Role, ...]]] = {
    "provinces": (Role.DELEGATE,),
    "partner": (Role.PARTNER,),
    "cooperatives": (Role.COOPERATIVE,),
    "on_behalf_of": (Role.OPERATOR, Role.DELEGATE),
}
"""The roles that give a claim its effect: without one of them the claim is ignored, so provinces
make nobody a delegate."""


def _principal(claims: dict[str, object]) -> Principal:
    claimed: dict[str, Any] = {
        "subject": claims["sub"],
        "roles": claims.get("roles") or (),
        "provinces": claims.get("provinces") or (),
        "partner": claims.get("partner"),
        "cooperatives": claims.get("cooperatives") or (),
        "on_behalf_of": claims.get("on_behalf_of"),
        "issued_at": claims.get("iat"),
        "expires_at": claims["exp"],
    }
    caller = Principal.model_validate(claimed)
    ignored = [name for name, roles in ROLES_OF_CLAIM.items() if not caller.has(*roles)]
    fields = Principal.model_fields
    return caller.model_copy(update={name: fields[name].default for name in ignored})
