"""A virtual host and databases of the test's own."""

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

from .harness import Yard, yard

# A small disk needs an engine; the header of the run says whether one answers.
collect_ignore = [] if engine_answers() else ["test_full_disk.py"]


HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test in this folder is about what the broker and the database do, also when they end.

    The client leaves the socket of an attempt that was broken off to the collector.
    """
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.servers)
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"))


@pytest.fixture
def site(vhosts: Callable[..., Vhost]) -> Iterator[Vhost]:
    """Masons build, carpenters listen."""
    vhost = vhosts("masonry", "carpentry")
    yield vhost
    vhost.broker.management.delete_vhost(vhost.name)


@pytest.fixture
async def kernel(site: Vhost, databases: TestDatabases) -> AsyncIterator[Yard]:
    async with yard(site.admin_url, site.url("masonry"), databases.kernel()) as made:
        yield made


@pytest.fixture(scope="package")
def own_broker(run_folder: Path) -> Iterator[Broker]:
    """A broker that a test may stop, kill and start: nobody else is connected to it."""
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
        node.kill()  # nothing in it is worth the time of an orderly stop
        node.stop()
