"""The pytest plugin: fixtures for real servers, databases and tokens, and waiting for effects."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import shutil
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import pytest
import structlog

from shared import business_days
from shared.kernel.messaging import topology

from .containers import engine_answers
from .nodes import Broker, Postgres, broker_for_tests, postgres_for_tests
from .processes import Process
from .state import locked
from .testing_api import INTERNAL_PORT, SEAL_KEY, Api, Tokens, api, test_settings
from .testing_databases import (
    TestDatabases,
    closed,
    database_session,
    drop_sessions,
    make_kernel_tables,
    rolled_back,
)

__all__ = [
    "INTERNAL_PORT",
    "PATIENCE",
    "SEAL_KEY",
    "Api",
    "Broker",
    "Postgres",
    "TestDatabases",
    "Tokens",
    "Vhost",
    "api",
    "closed",
    "database_session",
    "drop_sessions",
    "eventually",
    "make_kernel_tables",
    "rolled_back",
    "test_settings",
]

T = TypeVar("T")


def pytest_configure() -> None:
    """Plain tracebacks in captured logs: the rich ones take many seconds for a deep error.

    Commands speak English, whatever the locale of the machine is.
    """
    os.environ["TAAWON_LANGUAGE"] = "en"
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.dev.ConsoleRenderer(
                colors=False, exception_formatter=structlog.dev.plain_traceback
            ),
        ]
    )


def pytest_collection_finish() -> None:
    """What is imported by now stays, so the collector need not look at it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def swept() -> Iterator[None]:
    """Collects after each module, so that a warning names the module that left it.

    What is left then stays for long, and is not looked at after every other module.
    """
    yield
    gc.collect()
    gc.freeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long to look for input that an API can't bear."""
    parser.addoption(
        "--fuzz-examples",
        type=int,
        default=4,
        help="requests made up per route and caller (4; for a long run 200)",
    )


def pytest_report_header() -> list[str]:
    """Says which servers the run uses, and what a missing engine leaves out."""
    kind = os.environ.get("TAAWON_TEST_NODES", "auto")
    if engine_answers():
        return [f"servers: {kind}; a Docker engine answers"]
    left_out = "test_containers.py and test_full_disk.py are left out"
    return [f"servers: {kind}; no Docker engine answers, so {left_out}"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says which servers there really were, with product and version."""
    if SERVERS_USED:
        terminalreporter.line(f"servers used: {', '.join(SERVERS_USED)}")


SERVERS_USED: list[str] = []
"""Product, version and source of each server that this run used."""


PATIENCE = 180.0
"""Seconds until a wait fails; a machine that is busy with other things is no failure of ours."""


async def eventually(
    look: Callable[[], T | Awaitable[T]], *, within: float = PATIENCE, every: float = 0.02
) -> T:
    """Call `look` every `every` seconds until its result is truthy, and return that.

    Fails after `within` seconds with what was seen last.
    """
    deadline = time.monotonic() + within
    while True:
        seen = look()
        if inspect.isawaitable(seen):
            seen = await seen
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s; last seen: {seen!r}")
        await asyncio.sleep(every)


@pytest.fixture
def set_day(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Sets the moment whose day is today, for this test and this process."""
    return lambda at: monkeypatch.setattr(business_days, "_now", lambda: at)


@pytest.fixture(scope="session")
def run_folder() -> Iterator[Path]:
    """This run's own folder for servers; folders of dead runs are cleared first."""
    root = Path(os.environ.get("TAAWON_RUN", ".run")).resolve() / "tests"
    # In turns: another run that starts just now clears the same folders.
    with locked(root):
        _clear_dead_runs(root)
    folder = root / str(os.getpid())
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _clear_dead_runs(root: Path) -> None:
    """End what a killed run left running, and remove its folder."""
    for folder in list(root.iterdir()):
        if not folder.name.isdigit() or Path(f"/proc/{folder.name}").exists():
            continue
        # Servers that run on make and remove files meanwhile, which this way of looking bears.
        for path, _, names in os.walk(folder):
            for record in (Path(path, name) for name in names if name.endswith(".pid")):
                Process(record.parent, record.stem).kill9()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(run_folder: Path) -> Iterator[Postgres]:
    """A real PostgreSQL: a container where an engine answers, else a private node."""
    with postgres_for_tests(run_folder / "postgres") as node:
        version = node.databases.run("SHOW server_version").split()[0]
        SERVERS_USED.append(f"PostgreSQL {version} ({node.found.source})")
        if node.found.server is not None:
            node.databases.run(_LESS_DURABLE)
        yield node


@pytest.fixture(scope="session")
def rabbitmq(run_folder: Path) -> Iterator[Broker]:
    """A real RabbitMQ: a container where an engine answers, else a private node."""
    with broker_for_tests(run_folder / "rabbitmq") as node:
        version = node.management.get("overview")["rabbitmq_version"]
        SERVERS_USED.append(f"RabbitMQ {version} ({node.found.source})")
        yield node


# What the disk has not yet is lost by a power cut only, and this server has one run to live.
_LESS_DURABLE = """
ALTER SYSTEM SET synchronous_commit = off;
ALTER SYSTEM SET checkpoint_timeout = '1h';
SELECT pg_reload_conf();
"""


@pytest.fixture(scope="session")
def databases(postgres: Postgres) -> TestDatabases:
    """Databases of the test run, on its PostgreSQL."""
    return TestDatabases(postgres)


@pytest.fixture(scope="session")
def postgres_url(databases: TestDatabases) -> str:
    """An empty scratch database."""
    return databases.scratch()


@pytest.fixture(scope="session")
def tokens() -> Tokens:
    """One issuer of tokens for the whole run."""
    return Tokens()


@dataclass(frozen=True)
class Vhost:
    """A vhost of the test's own, with a user per service as in production."""

    broker: Broker
    name: str
    admin_url: str

    def url(self, service: str) -> str:
        """The AMQP URL of this vhost with the service's own login."""
        return self.broker.url_of(service, vhost=self.name)


@pytest.fixture(scope="session")
def vhosts(rabbitmq: Broker) -> Callable[..., Vhost]:
    """Make a vhost with users for these services; topology is the test's business."""

    def make(*services: str) -> Vhost:
        name = f"t{uuid.uuid4().hex[:12]}"
        rabbitmq.add_vhost(name)
        for service in services:
            rabbitmq.add_service_user(topology.BrokerUser(service), vhost=name)
        return Vhost(rabbitmq, name, rabbitmq.admin_url(name))

    return make
