"""Personal fields cross the broker and rest in the database only sealed."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from .errors import Invalid
from .settings import Settings


class Unreadable(Invalid):
    """A sealed value can't be opened with the keys in TAAWON_SEAL_KEYS."""


class Sealer:
    """Seals and opens small JSON objects. The first key seals; every key opens."""

    def __init__(self, keys: list[str]) -> None:
        if not keys:
            raise ValueError("at least one key is needed")
        self._fernet = MultiFernet([Fernet(key) for key in keys])
        self._index_key = hashlib.sha256(b"taawon blind index\0" + keys[-1].encode()).digest()

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

    def blind_index(self, value: str) -> str:
        """A keyed digest for looking a sealed value up; equal values give equal digests.

        Made with the oldest key, so that it stays the same when a newer key is put first.
        """
        return hmac.new(self._index_key, value.encode(), hashlib.sha256).hexdigest()
