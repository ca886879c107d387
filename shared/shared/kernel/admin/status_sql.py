"""Statements about a service's own database that `/status` and the metrics share."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

# Served by the partial index on unpublished rows, and bounded: whether a backlog has 100,000 rows
# or more makes no difference.
OUTBOX = """
SELECT count(*) FILTER (WHERE quarantined_at IS NULL) AS pending,
       count(*) FILTER (WHERE quarantined_at IS NOT NULL) AS quarantined,
       coalesce(extract(epoch FROM clock_timestamp()
                        - min(created_at) FILTER (WHERE quarantined_at IS NULL)), 0) AS oldest,
       coalesce(array_agg(DISTINCT last_error) FILTER (WHERE last_error IS NOT NULL), '{}')
           AS errors
  FROM (SELECT quarantined_at, created_at, last_error FROM outbox
         WHERE published_at IS NULL ORDER BY seq LIMIT 100000) waiting
"""
DEAD_LETTERS = """
SELECT queue, count(*) AS dead_letters
  FROM dead_letter WHERE state = 'dead' GROUP BY queue ORDER BY queue
"""
INBOX = "SELECT count(*) AS messages FROM inbox WHERE received_at > now() - interval '1 hour'"
# A failed run counts until another of its kind to its queue is requested, however that ends.
FAILED_REPLAYS = """
SELECT count(*) AS runs FROM replay r
 WHERE state = 'failed' AND NOT EXISTS (SELECT FROM replay later WHERE later.queue = r.queue
                                           AND later.kind = r.kind AND later.requested_at >
                                           r.requested_at)
"""
# Values that a statement has in its text, rather than bound to it, are left out: they may be
# personal. What other users run is not shown to the user of a service.
LONG_STATEMENTS = r"""
SELECT extract(epoch FROM clock_timestamp() - query_start) AS seconds,
       coalesce(wait_event_type = 'Lock', false) AS waits_for_lock,
       left(regexp_replace(regexp_replace(query, '''[^'']*''', '''…''', 'g'), '\s+', ' ', 'g'),
            200) AS statement
  FROM pg_stat_activity
 WHERE datname = current_database() AND state = 'active' AND pid <> pg_backend_pid()
   AND query_start < clock_timestamp() - make_interval(secs => :seconds)
 ORDER BY query_start LIMIT 20
"""
# A key of 64 bits is shown in two halves.
RELAY = """
SELECT count(*) > 0 AS held, extract(epoch FROM clock_timestamp() - min(a.xact_start)) AS seconds
  FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
 WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND l.classid::bigint = :high AND l.objid::bigint = :low
"""


async def revision_of(session: AsyncSession) -> str | None:
    """The revision of the schema; None where no migration ever ran."""
    table = await one_row(session, "SELECT to_regclass('alembic_version') IS NOT NULL AS made")
    if not table.made:
        return None
    found = await session.scalar(text("SELECT version_num FROM alembic_version"))
    return str(found) if found else None


async def one_row(session: AsyncSession, statement: str, **values: Any) -> Row[Any]:
    """The single row that a statement returns; `values` are its parameters."""
    return (await session.execute(text(statement), values)).one()


def program_version(service: str) -> str:
    """The version of the installed package of a service; `unknown` where it is not installed."""
    try:
        return version(service)
    except PackageNotFoundError:
        return "unknown"


@lru_cache
def newest_revision(service: str) -> str | None:
    """The newest revision among the installed migrations; None where the service has none.

    It is read once, for migrations change only with the program.
    """
    from shared.kernel.data import migrations  # Alembic is needed for nothing else here

    try:
        return migrations.head(service)
    except migrations.UnknownService:
        return None


@lru_cache
def known_revisions(service: str) -> frozenset[str]:
    """Every revision that the installed migrations know."""
    from shared.kernel.data import migrations

    try:
        return migrations.revisions(service)
    except migrations.UnknownService:
        return frozenset()
