"""Servers as the stack and the tests see them, wherever they come from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shared.kernel.messaging.broker_users import put_service_user
from shared.kernel.messaging.management import Management
from shared.kernel.messaging.topology import BrokerUser

from .broker import (
    FoundBroker,
    FoundPostgres,
    find_broker,
    find_broker_for_tests,
    find_postgres,
    find_postgres_for_tests,
)
from .databases import Databases
from .state import kept_secret


@dataclass(frozen=True)
class Postgres:
    """A PostgreSQL server of which we know an administrator."""

    found: FoundPostgres

    @property
    def databases(self) -> Databases:
        """Databases and roles of services on this server."""
        return self.found.databases


@dataclass(frozen=True)
class Broker:
    """A RabbitMQ of which we know an administrator, and the passwords of the users we made."""

    found: FoundBroker
    secrets: Path

    @property
    def management(self) -> Management:
        """The management API with the administrator's login."""
        return self.found.management

    def admin_url(self, vhost: str = "/") -> str:
        """The AMQP URL of the administrator for this vhost."""
        return self.found.amqp_url(self.management.user, self.management.password, vhost)

    def management_url(self) -> str:
        """The management API with the administrator's credential in it."""
        scheme, _, rest = self.management.url.partition("://")
        return f"{scheme}://{self.management.user}:{self.management.password}@{rest}"

    def url_of(self, user: str, *, vhost: str = "/") -> str:
        """The AMQP URL of a user whose password we keep."""
        return self.found.amqp_url(user, self.password_of(user), vhost)

    def password_of(self, user: str) -> str:
        """The password of a user, made up once."""
        return kept_secret(self.secrets / f"{user}.password")

    def add_vhost(self, vhost: str) -> None:
        """Make the vhost, where the administrator may do everything."""
        self.management.put_vhost(vhost)
        self.management.put_permissions(
            vhost, self.management.user, configure=".*", write=".*", read=".*"
        )

    def add_service_user(self, user: BrokerUser, *, vhost: str = "/") -> None:
        """A user that reads its own queues and publishes its own events, and nothing else."""
        put_service_user(self.management, user, self.password_of(user.service), vhost)


def postgres_for(folder: Path) -> Postgres:
    """The server of a folder, started if need be."""
    return Postgres(find_postgres(folder))


def broker_for(folder: Path) -> Broker:
    """The broker of a folder, started if need be."""
    return Broker(find_broker(folder), folder / "users")


@contextmanager
def postgres_for_tests(folder: Path) -> Iterator[Postgres]:
    """A server of the test run's own, stopped at its end."""
    found = find_postgres_for_tests(folder)
    try:
        yield Postgres(found)
    finally:
        _end(found)


@contextmanager
def broker_for_tests(folder: Path) -> Iterator[Broker]:
    """A broker of the test run's own, stopped at its end."""
    found = find_broker_for_tests(folder)
    try:
        yield Broker(found, folder / "users")
    finally:
        _end(found)


def _end(found: FoundBroker | FoundPostgres) -> None:
    """Kill it first: nothing in it is worth saving, and an orderly end takes half a minute."""
    if found.server is not None:
        found.server.kill()
    found.stop()
