"""Personal fields cross the broker and rest in the database only sealed."""

from __future__ import annotations

import base64
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
    """One key: it seals values, and marks them so that they are found without being opened."""

    fernet: Fernet
    index_key: bytes
    proof_key: bytes
    fingerprint: str

    @classmethod
    def of(cls, key: str) -> SealingKey:
        return cls(
            fernet=Fernet(key),
            index_key=hashlib.sha256(b"taawon blind index\0" + key.encode()).digest(),
            proof_key=base64.urlsafe_b64decode(key)[:16],
            fingerprint=hashlib.sha256(b"taawon fingerprint\0" + key.encode()).hexdigest()[:8],
        )

    def mark(self, value: str) -> str:
        return hmac.new(self.index_key, value.encode(), hashlib.sha256).hexdigest()

    def sealed(self, token: bytes) -> bool:
        """Whether a decoded token is of this key: its proof alone, ten times faster than opening.

        The last 32 bytes of a Fernet token are an HMAC-SHA256 with the first half of the key.
        """
        return hmac.compare_digest(hmac.digest(self.proof_key, token[:-32], "sha256"), token[-32:])


class Sealer:
    """Seals and opens small JSON objects. The first key seals and marks; every key opens."""

    def __init__(self, keys: list[str]) -> None:
        if not keys:
            raise ValueError("at least one key is needed")
        self._keys = [SealingKey.of(key) for key in keys]
        self._fernet = MultiFernet([key.fernet for key in self._keys])

    @classmethod
    def from_settings(cls, settings: Settings) -> Sealer:
        """The sealer of this service; without keys the process must not start."""
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
        return self._fernet.encrypt(orjson.dumps(value)).decode()

    def open(self, sealed: str) -> dict[str, Any]:
        try:
            opened = orjson.loads(self._fernet.decrypt(sealed.encode()))
        except InvalidToken:
            raise Unreadable from None
        assert isinstance(opened, dict)
        return opened

    def reseal(self, sealed: str) -> str:
        """The same value under the newest key."""
        try:
            return self._fernet.rotate(sealed.encode()).decode()
        except InvalidToken:
            raise Unreadable from None

    def mark(self, value: str) -> str:
        """A keyed digest for looking a sealed value up; made with the newest key."""
        return self._keys[0].mark(value)

    def marks(self, value: str) -> list[str]:
        """Every mark that the value may rest under, the newest key's first.

        Look values up by all of them: while a rotation is under way, both old and new ones are
        stored.
        """
        return [key.mark(value) for key in self._keys]

    @property
    def newest(self) -> str:
        """The fingerprint of the key that seals: it identifies a key and reveals nothing of it."""
        return self._keys[0].fingerprint

    @property
    def fingerprints(self) -> list[str]:
        return [key.fingerprint for key in self._keys]

    def key_of(self, sealed: str) -> str | None:
        """The fingerprint of the key that a value rests under; None where no key opens it."""
        try:
            token = base64.urlsafe_b64decode(sealed.encode())
        except ValueError:
            return None
        return next((key.fingerprint for key in self._keys if key.sealed(token)), None)


_KEPT = "sealer"


def attach_sealer(sessions: Sessions, sealer: Sealer) -> None:
    """Every session of these knows the keys: a consumer is given a session and nothing else."""
    sessions.configure(info={_KEPT: sealer})


def sealer_of(session: AsyncSession) -> Sealer | None:
    """The keys of the service whose session this is; None where it has none."""
    sealer = session.info.get(_KEPT)
    assert sealer is None or isinstance(sealer, Sealer)
    return sealer
