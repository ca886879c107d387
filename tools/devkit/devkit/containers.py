"""A RabbitMQ and a PostgreSQL in containers, with the same contract as the private nodes."""

import contextlib
import logging
import os
import socket
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from shared.kernel.messaging.management import Management
from shared.kernel.waiting import wait_until

from .databases import Databases, StatementRefused
from .processes import NotStarted
from .rabbitmq import amqp_url, greets
from .state import kept_port, kept_secret, locked, write_atomically

RABBITMQ_IMAGE = "rabbitmq:4-management"
POSTGRES_IMAGE = "postgres:17-alpine"
RABBITMQ_ADMIN = "taawon-admin"
POSTGRES_ADMIN = "postgres"

logger = logging.getLogger(__name__)


class Container(ABC):
    """A container of a folder: kept by stop(), found again by its recorded id, gone by remove()."""

    def __init__(self, folder: Path, name: str, *, outlives_us: bool = True) -> None:
        self.folder = folder.absolute()
        self.outlives_us = outlives_us
        self._record = self.folder / f"{name}.container"
        self._secret = self.folder / "secrets" / f"{name}.password"

    @property
    def password(self) -> str:
        """The administrator's password, made up once and kept in the folder."""
        return kept_secret(self._secret)

    @property
    def host(self) -> str:
        """Where the engine's published ports are to be found."""
        return (self.folder / "host").read_text()

    def start(self) -> None:
        """Running afterwards; a container of an earlier start is used again."""
        with locked(self.folder):
            with _found(self._record) as container:
                if container is None:
                    self._create()
                elif container.status != "running":
                    container.start()
            if not wait_until(self._answers, within=90, every=0.2):
                raise NotStarted(f"the container does not answer.\n{self._log_tail()}")

    def stop(self) -> None:
        """Gone for a server that belongs to one test run; else kept with its data."""
        with locked(self.folder), _found(self._record) as container:
            if container is not None and self.outlives_us:
                container.stop()
            elif container is not None:
                container.remove(force=True, v=True)
                self._record.unlink()

    def kill(self) -> None:
        """As a power cut would."""
        with locked(self.folder), _found(self._record) as container:
            if container is not None and container.status == "running":
                container.kill()

    def restart(self) -> None:
        """With its data, also where stop() would take them away."""
        with locked(self.folder), _found(self._record) as container:
            if container is not None:
                container.stop()
        self.start()

    def is_running(self) -> bool:
        """Whether the engine says that the recorded container runs."""
        with _found(self._record) as container:
            return container is not None and bool(container.status == "running")

    def _create(self) -> None:
        if self.outlives_us:
            # The reaper would take it away with the process that started it.
            import_module("testcontainers.core.config").testcontainers_config.ryuk_disabled = True
        # The library warns, at its import, about what it does itself.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            container = self._make()
            self._run(container)

    def _run(self, container: Any) -> None:
        try:
            container.start()
            write_atomically(self._record, container.get_wrapped_container().id)
            write_atomically(self.folder / "host", container.get_container_host_ip())
        except BaseException:
            container.stop()
            raise
        finally:
            container.get_docker_client().client.close()

    def _publish(self, container: Any, port: int) -> None:
        """On a fixed port, so that a restarted server has the address that it had."""
        published: Any = kept_port(self.folder / "ports" / str(port))
        container.ports[f"{port}/tcp"] = ("127.0.0.1", published) if _is_ours() else published

    def _published(self, port: int) -> int:
        return kept_port(self.folder / "ports" / str(port))

    def _log_tail(self) -> str:
        with _found(self._record) as container:
            return container.logs(tail=20).decode(errors="replace") if container else ""

    @abstractmethod
    def _make(self) -> Any:
        """The container of this server, not yet started."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether the server in it takes our admin."""


class RabbitContainer(Container):
    """RabbitMQ with the management API, and an admin that is not guest."""

    def __init__(self, folder: Path, *, outlives_us: bool = True) -> None:
        super().__init__(folder, "rabbitmq", outlives_us=outlives_us)

    @property
    def address(self) -> str:
        """Host and published port of AMQP."""
        return f"{self.host}:{self._published(5672)}"

    @property
    def admin_url(self) -> str:
        """The AMQP URL of the administrator, for the default vhost."""
        return amqp_url(self.address, RABBITMQ_ADMIN, self.password)

    @property
    def management(self) -> Management:
        """The management API with the administrator's login."""
        url = f"http://{self.host}:{self._published(15672)}"
        return Management(url, RABBITMQ_ADMIN, self.password)

    def _make(self) -> Any:
        community = import_module("testcontainers.community.rabbitmq")
        container = community.RabbitMqContainer(
            RABBITMQ_IMAGE, port=5672, username=RABBITMQ_ADMIN, password=self.password, vhost="/"
        )
        self._publish(container, 5672)
        self._publish(container, 15672)
        return container

    def _answers(self) -> bool:
        return greets(self._published(5672), self.host) and self.management.is_answering()


class PostgresContainer(Container):
    """PostgreSQL with a superuser whose password nobody knows in advance."""

    def __init__(self, folder: Path, *, outlives_us: bool = True) -> None:
        super().__init__(folder, "postgres", outlives_us=outlives_us)

    @property
    def admin_url(self) -> str:
        """The URL of the superuser, with driver and password."""
        login = f"{POSTGRES_ADMIN}:{self.password}"
        return f"postgresql+asyncpg://{login}@{self.host}:{self._published(5432)}/postgres"

    @property
    def databases(self) -> Databases:
        """Databases and roles of services on this server."""
        return Databases(self.admin_url, self.folder / "secrets" / "databases")

    def _make(self) -> Any:
        community = import_module("testcontainers.community.postgres")
        container = community.PostgresContainer(
            POSTGRES_IMAGE, username=POSTGRES_ADMIN, password=self.password, dbname="postgres"
        )
        self._publish(container, 5432)
        return container

    def _answers(self) -> bool:
        try:
            self.databases.run("SELECT 1")
        except StatementRefused:
            return False
        return True


def engine_answers() -> bool:
    """Whether containers can be started here; a client program on the path proves nothing."""
    if not _accepts(os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"):
        return False
    try:
        with _engine(timeout=5) as engine:
            return bool(engine.ping())
    except ImportError:
        logger.info("a Docker engine answers, but the package testcontainers is not installed")
    except Exception as error:  # the client wraps every kind of trouble in classes of its own
        logger.info("no Docker engine answers: %s", error)
    return False


def _accepts(host: str) -> bool:
    """The client forgets to close the socket on which nobody answers, so we look first."""
    address = urlsplit(host)
    if address.scheme != "unix":
        return True
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(2)
        try:
            probe.connect(address.path)
        except OSError:
            return False
        return True


@contextlib.contextmanager
def _engine(timeout: float = 60) -> Iterator[Any]:
    engine = import_module("docker").from_env(timeout=timeout)
    try:
        yield engine
    finally:
        engine.close()


@contextlib.contextmanager
def _found(record: Path) -> Iterator[Any]:
    """The recorded container; None where it, or the engine that ran it, is not there any more."""
    if not (record.exists() and engine_answers()):
        yield None
        return
    missing = import_module("docker.errors").NotFound
    with _engine() as engine:
        try:
            container = engine.containers.get(record.read_text())
        except missing:
            container = None
        yield container


def _is_ours() -> bool:
    """Whether the engine publishes ports on this very machine, so that loopback is enough."""
    inside = Path("/.dockerenv").exists()
    inside = inside and os.environ.get("TESTCONTAINERS_CONNECTION_MODE") != "docker_host"
    return not inside and os.environ.get("DOCKER_HOST", "unix:").startswith("unix:")
