"""The pytest plugin: real servers, migrated databases, an HTTP client, tokens, and waiting."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import shutil
import threading
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import httpx
import pytest
import structlog
from cryptography.fernet import Fernet
from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import KeySet, OKPKey
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from shared.kernel.auth.tokens import ALGORITHM, LoadedKeys, Role, Verifier
from shared.kernel.data import migrations
from shared.kernel.data.tables import APPEND_ONLY_SQL, NOTIFY_SQL, REPLAY_SQL
from shared.kernel.data.tables import metadata as messaging_metadata
from shared.kernel.encryption.sealer import Sealer, attach_sealer
from shared.kernel.installed import installed_services
from shared.kernel.messaging import topology
from shared.kernel.runtime import Runtime
from shared.kernel.service.spec import spec_of
from shared.kernel.settings import Settings

from .containers import engine_answers
from .nodes import Broker, Postgres, broker_for_tests, postgres_for_tests
from .processes import Process
from .state import locked

T = TypeVar("T")


def pytest_configure() -> None:
    """Plain tracebacks in captured logs: the rich ones take many seconds for a deep error."""
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
    """Collects after each module, so that a warning names the module that left it."""
    yield
    gc.collect()


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
    """Says which servers there really were, so that nobody has to believe it."""
    if STOOD_ON:
        terminalreporter.line(f"stood on {', '.join(STOOD_ON)}")


STOOD_ON: list[str] = []
"""Product, version and source of each server that this run used."""

SEAL_KEY = Fernet.generate_key().decode()


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


def _apart(work: Callable[[], T]) -> T:
    """Run in a thread of its own: migrations start an event loop, and ours may be running."""
    result: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            result.append(work())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return result[0]


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
        STOOD_ON.append(f"PostgreSQL {version} ({node.found.source})")
        if node.found.server is not None:
            node.databases.run(_LESS_DURABLE)
        yield node


@pytest.fixture(scope="session")
def rabbitmq(run_folder: Path) -> Iterator[Broker]:
    """A real RabbitMQ: a container where an engine answers, else a private node."""
    with broker_for_tests(run_folder / "rabbitmq") as node:
        version = node.management.get("overview")["rabbitmq_version"]
        STOOD_ON.append(f"RabbitMQ {version} ({node.found.source})")
        yield node


# What the disk has not yet is lost by a power cut only, and this server has one run to live.
_LESS_DURABLE = """
ALTER SYSTEM SET synchronous_commit = off;
ALTER SYSTEM SET checkpoint_timeout = '1h';
SELECT pg_reload_conf();
"""
# Nobody may be connected to a database that is copied, and a session may end late.
_CLOSE = """
ALTER DATABASE "{name}" ALLOW_CONNECTIONS false;
SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = '{name}';
"""
_COPY = """
CREATE DATABASE "{name}" OWNER "{template}" TEMPLATE "{template}";
REVOKE ALL ON DATABASE "{name}" FROM PUBLIC;
"""


class TestDatabases:
    """Databases for tests: one migrated template per service, and copies of it."""

    __test__ = False

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._migrated: dict[str, str] = {}
        self._templates: dict[str, URL] = {}

    def scratch(self) -> str:
        """An empty database of its own."""
        return self._postgres.databases.create(_unused_name())

    def kernel(self) -> str:
        """A database of its own with the kernel's tables and nothing else."""
        return self._copy("kernel", lambda url: asyncio.run(make_kernel_tables(url)))

    def migrated(self, service: str) -> str:
        """The service's migrated database, shared by tests that roll back."""
        if service not in self._migrated:
            self._migrated[service] = self.fresh(service)
        return self._migrated[service]

    def fresh(self, service: str) -> str:
        """A migrated database that nobody else uses, for tests that commit."""
        return self._copy(service, lambda url: migrations.upgrade(service, url))

    def _copy(self, kind: str, prepare: Callable[[str], None]) -> str:
        """A database made from the template of this kind, whose role is that of all its copies."""
        if kind not in self._templates:
            self._templates[kind] = self._template(prepare)
        template, name = self._templates[kind], _unused_name()
        self._postgres.databases.run(_COPY.format(name=name, template=template.database))
        return template.set(database=name).render_as_string(hide_password=False)

    def _template(self, prepare: Callable[[str], None]) -> URL:
        """A database that was prepared once, and to which nobody connects any more."""
        url = self.scratch()
        _apart(lambda: prepare(url))
        template = make_url(url)
        self._postgres.databases.run(_CLOSE.format(name=template.database))
        return template


def _unused_name() -> str:
    return f"t{uuid.uuid4().hex[:12]}"


async def make_kernel_tables(url: str) -> None:
    """The kernel's tables and functions, in an empty database."""
    engine = create_async_engine(url)
    async with engine.begin() as tx:
        await tx.run_sync(messaging_metadata.create_all)
        raw = await tx.get_raw_connection()
        for script in (NOTIFY_SQL, APPEND_ONLY_SQL, REPLAY_SQL):
            await raw.driver_connection.execute(script)  # type: ignore[union-attr]  # asyncpg's
    await engine.dispose()


@pytest.fixture(scope="session")
def databases(postgres: Postgres) -> TestDatabases:
    return TestDatabases(postgres)


@pytest.fixture(scope="session")
def postgres_url(databases: TestDatabases) -> str:
    """An empty scratch database."""
    return databases.scratch()


@asynccontextmanager
async def rolled_back(url: str) -> AsyncIterator[async_sessionmaker[AsyncSession]]:
    """Sessions whose commits are savepoints of one transaction that is rolled back at the end."""
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        outer = await connection.begin()
        yield async_sessionmaker(
            connection, expire_on_commit=False, join_transaction_mode="create_savepoint"
        )
        await outer.rollback()
    await engine.dispose()


@asynccontextmanager
async def database_session(url: str) -> AsyncIterator[AsyncSession]:
    """One session, rolled back at the end."""
    async with rolled_back(url) as sessions, sessions() as session:
        yield session


class Tokens:
    """An issuer of the test's own."""

    issuer = "taawon-registry"
    audience = "taawon"

    def __init__(self) -> None:
        self.key = OKPKey.generate_key("Ed25519", {"kid": "test", "use": "sig", "alg": ALGORITHM})

    @property
    def verifier(self) -> Verifier:
        public = KeySet([OKPKey.import_key(self.key.as_dict(private=False))])

        async def load() -> KeySet:
            return public

        return Verifier(LoadedKeys(load), issuer=self.issuer, audience=self.audience)

    def issue(
        self,
        *roles: Role | str,
        subject: uuid.UUID | None = None,
        provinces: Iterable[str] = (),
        partner: str | None = None,
        cooperatives: Iterable[uuid.UUID] = (),
        **claims: Any,
    ) -> str:
        """A signed token; `claims` replace what it would say otherwise."""
        body = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": str(subject or uuid.uuid4()),
            "iat": int(time.time()),
            "exp": int(time.time()) + 24 * 3600,
            "roles": [str(role) for role in roles],
            "provinces": list(provinces),
            "partner": partner,
            "cooperatives": [str(c) for c in cooperatives],
            **claims,
        }
        return jwt.encode({"alg": ALGORITHM, "kid": "test"}, body, self.key, [ALGORITHM])

    def headers(self, *roles: Role | str, **more: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.issue(*roles, **more)}"}


@pytest.fixture(scope="session")
def tokens() -> Tokens:
    return Tokens()


def test_settings(service: str, database_url: str, **overrides: Any) -> Settings:
    """Settings of a service under test; nothing comes from the environment."""
    kind = spec_of(service).settings if service in installed_services() else Settings
    return kind(
        service=service,
        **{
            "database_url": database_url,
            "amqp_url": "amqp://nobody@127.0.0.1:1/",
            "jwks_url": "http://127.0.0.1:1/",
            "seal_keys": SEAL_KEY,
            # Many tests in one minute, all from one address.
            "rate_limit": 0,
            "rate_limit_address": 0,
            "rate_limit_sign_in": 0,
            **overrides,
        },
    )


test_settings.__test__ = False  # type: ignore[attr-defined]  # a builder, not a test


@dataclass
class Api:
    """The HTTP API of a service, in process, on a database that is rolled back."""

    http: httpx.AsyncClient
    sessions: async_sessionmaker[AsyncSession]
    app: FastAPI
    runtime: Runtime


@asynccontextmanager
async def api(
    create_app: Callable[[Settings], FastAPI],
    service: str,
    database_url: str,
    tokens: Tokens,
    **overrides: Any,
) -> AsyncIterator[Api]:
    """Drive the service's routes without its broker; every commit is rolled back at the end."""
    settings = test_settings(service, database_url, **overrides)
    app = create_app(settings)
    async with rolled_back(database_url) as sessions:
        attach_sealer(sessions, Sealer([SEAL_KEY]))
        runtime = Runtime(
            settings=settings,
            sessions=sessions,
            verifier=tokens.verifier,
            sealer=Sealer([SEAL_KEY]),
        )
        app.state.runtime = runtime
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            yield Api(http, sessions, app, runtime)


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


async def drop_sessions(admin_url: str) -> None:
    """End every other connection to this database, as a failing network would."""
    url = make_url(admin_url).set(drivername="postgresql")
    connection = await asyncpg.connect(url.render_as_string(hide_password=False))
    try:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    finally:
        await connection.close()


_OPEN = 'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true;'


@asynccontextmanager
async def closed(postgres: Postgres, database_url: str) -> AsyncIterator[None]:
    """The database refuses everybody meanwhile."""
    name = database_url.rpartition("/")[2]
    await asyncio.to_thread(postgres.databases.run, _CLOSE.format(name=name))
    try:
        yield
    finally:
        await asyncio.to_thread(postgres.databases.run, _OPEN.format(name=name))
