"""Servers in containers keep the same contract as private nodes, where an engine answers."""

from collections.abc import Iterator

import pytest

from devkit.broker import FoundBroker, find_broker_for_tests, find_postgres_for_tests
from devkit.containers import PostgresContainer, RabbitContainer
from devkit.databases import Databases
from shared.kernel.messaging.management import Management

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def broker(tmp_path_factory) -> Iterator[FoundBroker]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAAWON_TEST_NODES", "containers")
        found = find_broker_for_tests(tmp_path_factory.mktemp("rabbitmq"))
    yield found
    found.stop()


def test_a_contained_broker_knows_its_admin_and_no_guest(broker):
    assert broker.source == "Docker"
    assert broker.management.is_answering()
    assert not Management(broker.management.url, "guest", "guest").is_answering()


def test_a_killed_broker_comes_back_at_the_same_address(broker):
    address = broker.address
    broker.management.put_vhost("kept")
    broker.server.kill()
    assert not broker.server.is_running()

    broker.server.restart()

    assert broker.server.address == address
    assert broker.management.get("vhosts/kept")["name"] == "kept"


def test_a_contained_database_server_of_a_test_run_is_gone_afterwards(tmp_path, monkeypatch):
    monkeypatch.setenv("TAAWON_TEST_NODES", "containers")
    found = find_postgres_for_tests(tmp_path)
    url = found.databases.create("ideas")
    assert Databases(url, tmp_path).run("SELECT current_user") == "ideas"

    found.stop()

    assert not (tmp_path / "postgres.container").exists()
    assert not found.server.is_running()


def test_a_contained_server_that_outlives_us_is_found_and_stopped_by_another(tmp_path):
    first = PostgresContainer(tmp_path)
    first.start()
    url = first.databases.create("ideas")
    Databases(url, tmp_path).run("CREATE TABLE kept AS SELECT 42 AS answer")

    PostgresContainer(tmp_path).stop()

    assert not first.is_running()
    PostgresContainer(tmp_path).start()
    assert Databases(url, tmp_path).run("SELECT answer FROM kept") == "42"
    PostgresContainer(tmp_path, outlives_us=False).stop()


def test_a_record_without_an_engine_is_no_obstacle_to_stopping(tmp_path, monkeypatch):
    (tmp_path / "rabbitmq.container").write_text("gone")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")

    RabbitContainer(tmp_path).stop()

    assert not RabbitContainer(tmp_path).is_running()


def test_stopping_where_nothing_was_started_is_no_error(tmp_path):
    RabbitContainer(tmp_path).stop()

    assert not RabbitContainer(tmp_path).is_running()
