"""Settings: missing and malformed ones are named at the start, and secrets are not shown."""

from __future__ import annotations

from typing import ClassVar

import pytest
from pydantic import Field

from shared.kernel.settings import MissingSettings, Settings

GOOD = {"TAAWON_DATABASE_URL": "postgresql+asyncpg://x", "TAAWON_AMQP_URL": "amqp://u:hidden@h/"}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("missing", GOOD)
def test_a_missing_setting_is_named(monkeypatch, missing):
    monkeypatch.delenv(missing)

    with pytest.raises(MissingSettings, match=missing):
        Settings.load("ideas")


def test_every_missing_setting_is_named_at_once(monkeypatch):
    for name in GOOD:
        monkeypatch.delenv(name)

    with pytest.raises(MissingSettings) as stopped:
        Settings.load("ideas")

    assert all(name in str(stopped.value) for name in GOOD)
    assert "ideas: its settings are incomplete" in str(stopped.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TAAWON_HTTP_PORT", "eighty"),
        ("TAAWON_RETRY_DELAYS", "5,soon"),
        ("TAAWON_RELAY_BATCH", "0"),
        ("TAAWON_INTERNAL_PORT", "8000"),
    ],
)
def test_a_malformed_setting_is_named(monkeypatch, name, value):
    monkeypatch.setenv(name, value)

    with pytest.raises(MissingSettings, match=name):
        Settings.load("ideas")


def test_delays_are_read_from_a_list_with_commas(monkeypatch):
    monkeypatch.setenv("TAAWON_RETRY_DELAYS", "1, 2.5,10")

    assert Settings.load("ideas").retry_delays == (1.0, 2.5, 10.0)


def test_a_broker_url_gets_the_heartbeat_unless_it_has_one(monkeypatch):
    monkeypatch.setenv("TAAWON_AMQP_HEARTBEAT", "7")
    found = Settings.load("ideas").amqp_url.get_secret_value()
    monkeypatch.setenv("TAAWON_AMQP_URL", f"{found}&heartbeat=9")

    kept = Settings.load("ideas").amqp_url.get_secret_value()

    assert found == "amqp://u:hidden@h/?heartbeat=7"
    assert kept == f"{found}&heartbeat=9"


class CarpentrySettings(Settings):
    """The kernel's settings and one of its own."""

    service_name: ClassVar[str] = "carpentry"

    planks: int = Field(ge=1, description="How many there are.")


def test_a_service_reads_its_own_settings_beside_the_kernels(monkeypatch):
    monkeypatch.setenv("TAAWON_PLANKS", "3")

    settings = CarpentrySettings.load()

    assert (settings.service, settings.planks) == ("carpentry", 3)
    assert CarpentrySettings.of(settings) is settings


def test_a_missing_setting_of_a_service_is_named_with_its_meaning():
    with pytest.raises(MissingSettings) as stopped:
        CarpentrySettings.load()

    assert "carpentry: its settings are incomplete" in str(stopped.value)
    assert "TAAWON_PLANKS: Field required (How many there are.)" in str(stopped.value)


def test_the_settings_of_another_service_are_refused():
    with pytest.raises(TypeError, match="Settings of ideas are no CarpentrySettings"):
        CarpentrySettings.of(Settings.load("ideas"))


def test_no_printed_form_shows_secrets():
    settings = Settings.load("ideas")

    assert "hidden" not in f"{settings!r} {settings} {settings.model_dump_json()}"


def test_settings_do_not_change_after_the_start():
    settings = Settings.load("ideas")

    with pytest.raises(ValueError):
        settings.http_port = 1
