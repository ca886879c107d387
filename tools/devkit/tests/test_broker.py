"""Where servers come from: what is set, installed, unpacked or contained, or a clear refusal."""

import os
from pathlib import Path

import pytest

from devkit import containers
from devkit.broker import (
    BrokerUnavailable,
    PostgresUnavailable,
    find_broker,
    find_broker_for_tests,
    find_postgres,
    find_postgres_for_tests,
)


@pytest.fixture
def bare(tmp_path, monkeypatch) -> Path:
    """A machine without RabbitMQ, package tools, engine or addresses."""
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    for name in list(os.environ):
        if name.startswith("TAAWON_"):
            monkeypatch.delenv(name)
    return tmp_path


def test_where_no_broker_is_to_be_had_the_ways_to_get_one_are_reported(bare):
    with pytest.raises(BrokerUnavailable) as refusal:
        find_broker(bare)

    said = str(refusal.value)
    for way in ("TAAWON_AMQP_URL", "apt install rabbitmq-server", "Debian", "docker info"):
        assert way in said


def test_a_given_broker_that_does_not_answer_is_not_replaced_by_another(bare, monkeypatch):
    monkeypatch.setenv("TAAWON_AMQP_URL", "amqp://admin:secret@127.0.0.1:1/")

    with pytest.raises(BrokerUnavailable, match=r"127\.0\.0\.1:1") as refusal:
        find_broker(bare)

    assert "secret" not in str(refusal.value)


def test_a_given_database_server_that_does_not_answer_is_not_replaced(bare, monkeypatch):
    monkeypatch.setenv(
        "TAAWON_POSTGRES_ADMIN_URL", "postgresql+asyncpg://admin:secret@127.0.0.1:1/postgres"
    )

    with pytest.raises(PostgresUnavailable) as refusal:
        find_postgres(bare)

    assert "secret" not in str(refusal.value)


def test_containers_asked_for_without_an_engine_are_a_failure(bare, monkeypatch):
    monkeypatch.setenv("TAAWON_TEST_NODES", "containers")

    with pytest.raises(BrokerUnavailable, match="no Docker engine answers"):
        find_broker_for_tests(bare)
    with pytest.raises(PostgresUnavailable, match="no Docker engine answers"):
        find_postgres_for_tests(bare)


def test_an_unknown_kind_of_test_nodes_is_refused(bare, monkeypatch):
    monkeypatch.setenv("TAAWON_TEST_NODES", "cloud")

    with pytest.raises(ValueError, match="cloud"):
        find_broker_for_tests(bare)


def test_a_test_run_does_not_use_a_broker_that_happens_to_be_set(bare, monkeypatch):
    monkeypatch.setenv("TAAWON_AMQP_URL", "amqp://admin:secret@127.0.0.1:1/")

    with pytest.raises(BrokerUnavailable, match="not installed"):
        find_broker_for_tests(bare)


def test_an_engine_that_does_not_answer_is_none(bare):
    assert not containers.engine_answers()
