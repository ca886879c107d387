"""A command finds the database of a service, or says where it is to be called."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from devkit.nodes import Postgres
from shared.kernel.commands import settings
from shared.kernel.commands.settings import settings_of
from shared.kernel.installed import NotInstalled, entry_of
from shared.kernel.settings import MissingSettings


def only_carpentry(service: str) -> EntryPoint | None:
    """As on a machine where carpentry is installed, and nothing else."""
    return None if service == "carpentry" else entry_of(service)


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of runs in which nothing was started, on a machine without settings."""
    for name in ("TAAWON_DATABASE_URL", "TAAWON_AMQP_URL", "TAAWON_POSTGRES_ADMIN_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TAAWON_RUN", str(tmp_path))
    monkeypatch.setattr(settings, "entry_of", only_carpentry)
    return tmp_path / "stack"


def test_where_the_system_runs_its_database_is_found(
    monkeypatch: pytest.MonkeyPatch, elsewhere: Path, postgres: Postgres
) -> None:
    (elsewhere / "ports").mkdir(parents=True)
    monkeypatch.setenv("TAAWON_POSTGRES_ADMIN_URL", postgres.found.admin_url)

    url = settings_of("carpentry").database_url.get_secret_value()

    assert "//carpentry:" in url
    assert "/carpentry" in url.rpartition("@")[2]
    postgres.databases.drop("carpentry")


def test_the_environment_counts_more_than_what_runs_here(
    monkeypatch: pytest.MonkeyPatch, elsewhere: Path
) -> None:
    (elsewhere / "ports").mkdir(parents=True)
    monkeypatch.setenv("TAAWON_DATABASE_URL", "postgresql+asyncpg://given")

    found = settings_of("carpentry").database_url.get_secret_value()

    assert found == "postgresql+asyncpg://given"


def test_where_nothing_runs_the_command_says_where_to_call_it() -> None:
    with pytest.raises(MissingSettings) as stopped:
        settings_of("carpentry")

    message = str(stopped.value)
    assert "TAAWON_DATABASE_URL" in message
    assert "TAAWON_AMQP_URL" not in message
    assert "can't start" not in message
    assert "docker compose exec carpentry taawon" in message


def test_a_command_that_sends_needs_the_broker_too() -> None:
    with pytest.raises(MissingSettings, match="TAAWON_AMQP_URL"):
        settings_of("carpentry", needs_broker=True)


def test_in_the_container_of_another_service_the_command_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TAAWON_DATABASE_URL", "postgresql+asyncpg://of-carpentry")

    with pytest.raises(NotInstalled, match="docker compose exec masonry taawon"):
        settings_of("masonry")
