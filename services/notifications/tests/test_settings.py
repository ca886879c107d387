"""Settings that notifications alone reads."""

from __future__ import annotations

import pytest

from notifications.settings import NotificationsSettings

NEEDED = {"database_url": "postgresql+asyncpg://x", "amqp_url": "amqp://u:hidden@h/"}


@pytest.mark.parametrize(("value", "limit"), [("", None), ("off", None), ("500", 500)])
def test_the_limit_of_unconfirmed_audiences_may_be_off(
    monkeypatch: pytest.MonkeyPatch, value: str, limit: int | None
) -> None:
    monkeypatch.setenv("TAAWON_CONFIRM_ABOVE", value)

    assert NotificationsSettings.load(**NEEDED).confirm_above == limit


def test_the_url_of_the_partner_vhost_bears_the_heartbeat(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TAAWON_AMQP_HEARTBEAT", "7")
    monkeypatch.setenv("TAAWON_AMQP_PARTNERS_URL", "amqp://u:hidden@h/partners")

    url = NotificationsSettings.load(**NEEDED).amqp_partners_url

    assert url is not None
    assert url.get_secret_value() == "amqp://u:hidden@h/partners?heartbeat=7"
