"""A foreign OpenID Connect issuer: its tokens prove who somebody is, and nothing else.

What that person may do here comes from the registry's own record alone, so roles and scopes in a
foreign token are never read.
"""

from __future__ import annotations

import warnings
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import structlog
from joserfc import jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import KeySet

from shared import json_text
from shared.errors import Away, DomainError
from shared.sentences import Sentence

from .tokens import FetchedKeys, Keys, KeysAway, required_claims

ALGORITHMS: Final = ("RS256", "ES256", "Ed25519", "EdDSA")
"""Asymmetric signatures only. With `none` or a shared secret a token would prove nothing."""
TYPES: Final = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})
"""Accepted values of a token's `typ`: an ID token or an access token, never a logout token."""
MOST_TOKEN: Final = 8192
MOST_DOCUMENT: Final = 256 * 1024
MOST_KEYS: Final = 100
LEAST_RSA_BITS: Final = 2048
DISCOVERY: Final = "/.well-known/openid-configuration"

log = structlog.get_logger()


class ForeignTokenRefused(DomainError):
    """The token is not a valid one of the configured issuer for this audience."""


class IssuerAway(Away):
    """The issuer's discovery document or keys can't be read just now: try again in a moment."""


class DiscoveredKeys(FetchedKeys):
    """The keys that the issuer's discovery document points at, cached as `FetchedKeys` does."""

    def __init__(
        self, issuer: str, *, fresh_seconds: float = 300, least_seconds: float = 5
    ) -> None:
        super().__init__(
            issuer.rstrip("/") + DISCOVERY, fresh_seconds=fresh_seconds, least_seconds=least_seconds
        )
        self._issuer = issuer

    async def _read(self, client: httpx.AsyncClient) -> KeySet:
        document = await _document(client, self._url)
        if document.get("issuer") != self._issuer:
            raise ValueError("the discovery document is of another issuer")
        jwks_url = document["jwks_uri"]
        if not isinstance(jwks_url, str) or not is_safe_url(jwks_url):
            raise ValueError("jwks_uri must be HTTPS")
        found = (await _document(client, jwks_url))["keys"]
        return KeySet.import_key_set({"keys": [key for key in found[:MOST_KEYS] if _signs(key)]})


class ForeignIssuer:
    """Verifies tokens of one issuer for one audience, and returns the subject that they name.

    With a `client_id`, tokens that the issuer made for another of its clients are refused.
    """

    def __init__(
        self, issuer: str, audience: str, *, client_id: str | None = None, keys: Keys | None = None
    ) -> None:
        self.issuer = issuer
        self._client_id = client_id
        self._keys = keys or DiscoveredKeys(issuer)
        self._claims = required_claims(issuer, audience)

    async def verify(self, token: str) -> str:
        """The `sub` of a valid token, at most 255 characters.

        Raises `ForeignTokenRefused`, or `IssuerAway` while the issuer's keys can't be read.
        """
        if len(token) > MOST_TOKEN:
            raise ForeignTokenRefused(Sentence("the subject_token is too long"))
        try:
            claims = await self._decode(token)
            self._claims.validate(claims)
        except KeysAway:
            raise IssuerAway from None
        except (JoseError, ValueError, TypeError, KeyError, OverflowError) as error:
            log.info("foreign token refused", reason=type(error).__name__)
            raise ForeignTokenRefused(_reason(error)) from None
        self._require_own_client(claims)
        subject = claims["sub"]
        if not isinstance(subject, str) or not 0 < len(subject) <= 255 or "\0" in subject:
            raise ForeignTokenRefused(Sentence("its sub is no text of 1 to 255 characters"))
        return subject

    async def _decode(self, token: str) -> dict[str, Any]:
        for unknown_kid in (False, True):
            keys = await self._keys.current(unknown_kid=unknown_kid)
            try:
                return _decoded(token, keys)
            except JoseError as error:
                is_new_key = type(error).__name__ in {"InvalidKeyIdError", "MissingKeyError"}
                if unknown_kid or not is_new_key:
                    raise
        raise AssertionError("unreachable")

    def _require_own_client(self, claims: dict[str, Any]) -> None:
        """Refuse a token that the issuer made for another of its clients."""
        if self._client_id is None:
            return
        audiences = claims["aud"]
        shared = isinstance(audiences, list) and len(audiences) > 1
        if claims.get("azp", None if shared else self._client_id) != self._client_id:
            raise ForeignTokenRefused(
                Sentence("it was made for another client of the issuer (azp)")
            )


def _decoded(token: str, keys: KeySet) -> dict[str, Any]:
    with warnings.catch_warnings():
        # `EdDSA` is an old name and no weakness: many issuers know no other for Ed25519.
        warnings.simplefilter("ignore", SecurityWarning)
        found = jwt.decode(token, keys, algorithms=list(ALGORITHMS))
    # A security event token (RFC 8417), such as a logout, does not prove who is calling.
    if str(found.header.get("typ", "jwt")).lower() not in TYPES or "events" in found.claims:
        raise ForeignTokenRefused(
            Sentence("it is of another kind: send an id token or an access token")
        )
    return found.claims


def _reason(error: Exception) -> Sentence:
    """What is wrong, without repeating any content of the token."""
    claim = getattr(error, "claim", None)
    reasons = {
        "ExpiredTokenError": Sentence("it has expired"),
        "InvalidClaimError": Sentence("its {claim} is not what it has to be", claim=claim),
        "MissingClaimError": Sentence("it has no {claim}", claim=claim),
        "InvalidKeyIdError": Sentence("the issuer publishes no such key"),
        "BadSignatureError": Sentence("its signature is wrong"),
        "UnsupportedAlgorithmError": Sentence(
            "it must be signed with one of {algorithms}", algorithms=", ".join(ALGORITHMS)
        ),
    }
    return Sentence(
        "the subject_token is refused: {reason}",
        reason=reasons.get(type(error).__name__, Sentence("it is malformed")),
    )


def is_safe_url(url: str) -> bool:
    """Whether it is HTTPS, or plain HTTP to this machine, as in development and tests."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return bool(parts.hostname)
    return parts.scheme == "http" and _is_loopback(parts.hostname or "")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _signs(key: Any) -> bool:
    """Whether a published key is asymmetric, meant for signatures, and strong enough."""
    if not isinstance(key, dict) or key.get("use", "sig") != "sig":
        return False
    if key.get("kty") == "RSA":
        return len(str(key.get("n", ""))) * 6 >= LEAST_RSA_BITS
    return key.get("kty") in {"EC", "OKP"}


async def _document(client: httpx.AsyncClient, url: str) -> dict[str, Any]:
    """The JSON object at a URL, at most `MOST_DOCUMENT` bytes; redirects are not followed."""
    body = b""
    async with client.stream("GET", url) as response:
        response.raise_for_status()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > MOST_DOCUMENT:
                raise ValueError("the document is too large")
    found = json_text.loads(body)
    if not isinstance(found, dict):
        raise ValueError("the document is no object")
    return found
