"""A virtual host for each test, with a service that publishes and one that consumes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from devkit.broker import FoundBroker
from devkit.containers import engine_answers
from devkit.nodes import Broker
from devkit.pytest_plugin import TestDatabases, Vhost
from devkit.rabbitmq import RabbitNode
from shared.kernel.messaging.topology import BrokerUser

from .harness import EventSource, event_source

# A small disk needs an engine; the header of the run says whether one answers.
collect_ignore = [] if engine_answers() else ["test_full_disk.py"]


HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test in this folder as one of the servers, and ignore sockets left by the client.

    The client leaves the socket of an interrupted connection attempt to the garbage collector.
    """
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.servers)
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"))


@pytest.fixture
def vhost(vhosts: Callable[..., Vhost]) -> Iterator[Vhost]:
    """A virtual host with two services: masonry publishes, carpentry consumes."""
    made = vhosts("masonry", "carpentry")
    yield made
    made.broker.management.delete_vhost(made.name)


@pytest.fixture
async def source(vhost: Vhost, databases: TestDatabases) -> AsyncIterator[EventSource]:
    async with event_source(vhost.admin_url, vhost.url("masonry"), databases.kernel()) as made:
        yield made


@pytest.fixture(scope="package")
def own_broker(run_folder: Path) -> Iterator[Broker]:
    """A broker that a test may stop, kill and start, for no other test uses it at that time."""
    folder = run_folder / "own-broker"
    node = RabbitNode(folder)
    try:
        node.start()
        address = node.admin_url.rpartition("@")[2].partition("/")[0]
        broker = Broker(FoundBroker("own", address, node.management, node), folder / "users")
        for name in ("masonry", "carpentry"):
            broker.add_service_user(BrokerUser(name))
        yield broker
    finally:
        node.kill()  # an orderly stop takes longer, and nothing in it is needed any more
        node.stop()
