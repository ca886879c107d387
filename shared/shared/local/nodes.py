"""Servers as the demo and the tests see them, wherever they come from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shared.messaging.topology import EVENTS, BrokerUser

from .databases import Databases
from .management import Management
from .postgres import PostgresNode
from .rabbitmq import RabbitNode, amqp_url
from .state import kept_secret


@dataclass(frozen=True)
class Postgres:
    """A PostgreSQL server of which we know an administrator."""

    databases: Databases
    node: PostgresNode | None = None


@dataclass(frozen=True)
class Broker:
    """A RabbitMQ of which we know an administrator with the management API."""

    address: str
    management: Management
    secrets: Path
    node: RabbitNode | None = None

    def admin_url(self, vhost: str = "/") -> str:
        return amqp_url(self.address, self.management.user, self.management.password, vhost)

    def url_of(self, user: str, *, vhost: str = "/") -> str:
        return amqp_url(self.address, user, self.password_of(user), vhost)

    def password_of(self, user: str) -> str:
        return kept_secret(self.secrets / f"{user}.password")

    def add_vhost(self, vhost: str) -> None:
        self.management.put_vhost(vhost)
        self.management.put_permissions(
            vhost, self.management.user, configure=".*", write=".*", read=".*"
        )

    def add_service_user(self, user: BrokerUser, *, vhost: str = "/") -> None:
        """A user that reads its own queues and announces its own facts, and nothing else."""
        self.management.put_user(user.service, self.password_of(user.service))
        self.management.put_permissions(
            vhost, user.service, configure=user.configure, write=user.write, read=user.read
        )
        self.management.put_topic_permissions(
            vhost, user.service, EVENTS, write=user.topic_write, read=".*"
        )


@contextmanager
def postgres_for_tests(folder: Path) -> Iterator[Postgres]:
    """A server of the test run's own, stopped at its end."""
    node = PostgresNode(folder)
    node.start()
    try:
        yield Postgres(Databases(node.admin_url, folder / "secrets"), node)
    finally:
        node.stop()


@contextmanager
def broker_for_tests(folder: Path) -> Iterator[Broker]:
    """A broker of the test run's own, stopped at its end."""
    node = RabbitNode(folder)
    node.start()
    try:
        address = node.admin_url.rpartition("@")[2].partition("/")[0]
        yield Broker(address, node.management, folder / "users", node)
    finally:
        node.stop()
