"""Databases of tests: migrated templates with copies of them, and sessions that are rolled back."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import asyncpg
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from shared.kernel.data import migrations
from shared.kernel.data.tables import APPEND_ONLY_SQL, NOTIFY_SQL, REPLAY_SQL
from shared.kernel.data.tables import metadata as messaging_metadata

from .nodes import Postgres

T = TypeVar("T")

# Nobody may be connected to a database that is copied, and a session may end late.
_CLOSE = """
ALTER DATABASE "{name}" ALLOW_CONNECTIONS false;
SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = '{name}';
"""
_OPEN = 'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true;'
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


async def make_kernel_tables(url: str) -> None:
    """The kernel's tables and functions, in an empty database."""
    engine = create_async_engine(url)
    async with engine.begin() as tx:
        await tx.run_sync(messaging_metadata.create_all)
        raw = await tx.get_raw_connection()
        for script in (NOTIFY_SQL, APPEND_ONLY_SQL, REPLAY_SQL):
            await raw.driver_connection.execute(script)  # type: ignore[union-attr]  # asyncpg's
    await engine.dispose()


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


@asynccontextmanager
async def closed(postgres: Postgres, database_url: str) -> AsyncIterator[None]:
    """The database refuses everybody meanwhile."""
    name = database_url.rpartition("/")[2]
    await asyncio.to_thread(postgres.databases.run, _CLOSE.format(name=name))
    try:
        yield
    finally:
        await asyncio.to_thread(postgres.databases.run, _OPEN.format(name=name))
