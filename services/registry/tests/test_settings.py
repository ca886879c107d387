"""Settings that the registry alone reads."""

from __future__ import annotations

import pytest

from registry.settings import RegistrySettings
from shared.kernel.settings import MissingSettings

NEEDED = {"database_url": "postgresql+asyncpg://x", "amqp_url": "amqp://u:hidden@h/"}


def test_a_malformed_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAAWON_TOKEN_SECONDS", "5")

    with pytest.raises(MissingSettings, match="TAAWON_TOKEN_SECONDS"):
        RegistrySettings.load(**NEEDED)


def test_an_empty_issuer_is_none_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAAWON_OIDC_ISSUER", "")

    assert RegistrySettings.load(**NEEDED).oidc_issuer is None
