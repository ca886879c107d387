"""Migrations: each service has its own history, applied by a job before the service starts."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from pathlib import Path

from alembic import command, context
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, pool
from sqlalchemy.ext.asyncio import create_async_engine

from .tables import NAMING
from .tables import metadata as messaging_metadata

__all__ = ["NAMING", "check", "head", "revision", "revisions", "run", "upgrade"]


class UnknownService(SystemExit):
    """There is no such service installed here."""


def upgrade(service: str, url: str, target: str = "head") -> None:
    """Bring the service's database to the target revision, by default the newest. Repeatable."""
    command.upgrade(_config(service, url), target)


def check(service: str, url: str) -> None:
    """Raise Alembic's `CommandError` where the models differ from the schema of the migrations."""
    command.check(_config(service, url))


def revision(service: str, url: str, message: str) -> None:
    """Write a new migration from the difference between the models and the database."""
    command.revision(_config(service, url), message, autogenerate=True)


def head(service: str) -> str | None:
    """The newest revision of a service."""
    return ScriptDirectory.from_config(_config(service, "")).get_current_head()


def revisions(service: str) -> frozenset[str]:
    """All revisions of a service."""
    scripts = ScriptDirectory.from_config(_config(service, ""))
    return frozenset(script.revision for script in scripts.walk_revisions())


def _config(service: str, url: str) -> Config:
    spec = find_spec(service)
    if spec is None or spec.origin is None:
        raise UnknownService(f"no service named {service!r} is installed here")
    folder = Path(spec.origin).parents[1] / "migrations"
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("file_template", "%%(year)d_%%(month).2d_%%(day).2d_%%(slug)s")
    config.attributes["url"] = url
    config.attributes["service"] = service
    return config


def run(metadata: MetaData) -> None:
    """Migrate the tables of the service and of the kernel; each `migrations/env.py` calls it."""
    asyncio.run(_run(context.config.attributes["url"], [metadata, messaging_metadata]))


async def _run(url: str, metadata: list[MetaData]) -> None:
    engine = create_async_engine(url, poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(_migrate, metadata)
        await connection.commit()
    await engine.dispose()


def _migrate(connection: Connection, metadata: list[MetaData]) -> None:
    context.configure(connection=connection, target_metadata=metadata, compare_server_default=False)
    with context.begin_transaction():
        # Processes that migrate at the same time take turns.
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7461)")
        context.run_migrations()
