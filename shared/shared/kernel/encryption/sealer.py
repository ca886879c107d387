"""Encryption of personal fields: on the broker and in the database they are always sealed."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Any

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy.ext.asyncio import AsyncSession

from shared.errors import Invalid
from shared.kernel.data.database import Sessions
from shared.kernel.settings import Settings


class Unreadable(Invalid):
    """A sealed value can't be opened with the keys in TAAWON_SEAL_KEYS."""


@dataclass(frozen=True)
class SealingKey:
    """A Fernet key, and what is derived from it: the key of the marks, and a fingerprint."""

    fernet: Fernet
    index_key: bytes
    fingerprint: str

    @classmethod
    def of(cls, key: str) -> SealingKey:
        """From 32 bytes in URL-safe base64; raises ValueError for anything else."""
        return cls(
            fernet=Fernet(key),
            index_key=hashlib.sha256(b"taawon blind index\0" + key.encode()).digest(),
            fingerprint=hashlib.sha256(b"taawon fingerprint\0" + key.encode()).hexdigest()[:8],
        )

    def mark(self, value: str) -> str:
        """A keyed digest of the value (HMAC-SHA256), in hexadecimal."""
        return hmac.new(self.index_key, value.encode(), hashlib.sha256).hexdigest()

    def named(self, token: bytes) -> str:
        """A token of this key as it is stored: the fingerprint tells which key opens it."""
        return f"{self.fingerprint}.{token.decode()}"


class Sealer:
    """Seals and opens small JSON objects. The first key seals and makes marks; every key opens.

    A mark is a keyed digest by which a sealed value is found without being opened.
    """

    def __init__(self, keys: list[str]) -> None:
        if not keys:
            raise ValueError("at least one key is needed")
        self._keys = [SealingKey.of(key) for key in keys]
        self._by_fingerprint = {key.fingerprint: key for key in self._keys}

    @classmethod
    def from_settings(cls, settings: Settings) -> Sealer:
        """The sealer of a service; raises SystemExit where TAAWON_SEAL_KEYS is missing or wrong."""
        value = settings.seal_keys.get_secret_value() if settings.seal_keys else ""
        keys = [key.strip() for key in value.split(",") if key.strip()]
        if not keys:
            raise SystemExit(
                f"{settings.service} can't start: TAAWON_SEAL_KEYS is not set."
                " Make one with: python -c"
                " 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
            )
        try:
            return cls(keys)
        except ValueError:
            raise SystemExit(
                f"{settings.service} can't start: TAAWON_SEAL_KEYS holds something that is no"
                " Fernet key (32 bytes in URL-safe base64)."
            ) from None

    def seal(self, value: dict[str, Any]) -> str:
        """The ciphertext of a value, with the fingerprint of its key; it differs each time."""
        newest = self._keys[0]
        return newest.named(newest.fernet.encrypt(orjson.dumps(value)))

    def open(self, sealed: str) -> dict[str, Any]:
        """The value of a ciphertext; raises `Unreadable` where no key opens it."""
        key, token = self._parted(sealed)
        try:
            opened = orjson.loads(key.fernet.decrypt(token))
        except InvalidToken:
            raise Unreadable from None
        assert isinstance(opened, dict)
        return opened

    def reseal(self, sealed: str) -> str:
        """The same value sealed with the newest key; raises `Unreadable` where no key opens it."""
        key, token = self._parted(sealed)
        newest = self._keys[0]
        try:
            return newest.named(MultiFernet([newest.fernet, key.fernet]).rotate(token))
        except InvalidToken:
            raise Unreadable from None

    def _parted(self, sealed: str) -> tuple[SealingKey, bytes]:
        fingerprint, _, token = sealed.partition(".")
        key = self._by_fingerprint.get(fingerprint)
        if key is None:
            raise Unreadable
        return key, token.encode()

    def mark(self, value: str) -> str:
        """The mark that is stored beside a sealed value, made with the newest key."""
        return self._keys[0].mark(value)

    def marks(self, value: str) -> list[str]:
        """The marks of a value by all keys, the newest first.

        Look values up by all of them: during a rotation both old and new marks are stored.
        """
        return [key.mark(value) for key in self._keys]

    @property
    def newest(self) -> str:
        """The fingerprint of the key that seals; it reveals nothing of the key."""
        return self._keys[0].fingerprint

    @property
    def fingerprints(self) -> list[str]:
        """The fingerprints of all keys, the newest first."""
        return [key.fingerprint for key in self._keys]

    def key_of(self, sealed: str) -> str | None:
        """The fingerprint of the key that sealed a value; None where it is none of the keys."""
        fingerprint, point, _ = sealed.partition(".")
        return fingerprint if point and fingerprint in self._by_fingerprint else None


_KEPT = "sealer"


def attach_sealer(sessions: Sessions, sealer: Sealer) -> None:
    """Give each of these sessions the sealer, for a consumer gets a session and nothing else."""
    sessions.configure(info={_KEPT: sealer})


def sealer_of(session: AsyncSession) -> Sealer | None:
    """The sealer of the service that opened the session; None where it has none."""
    sealer = session.info.get(_KEPT)
    assert sealer is None or isinstance(sealer, Sealer)
    return sealer
