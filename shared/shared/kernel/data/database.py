"""Connections to the service's own database, and which errors mean that it is away."""

from __future__ import annotations

import time
from collections import namedtuple
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeAlias, TypeVar

import asyncpg
import structlog
from sqlalchemy import ExceptionContext, Result, Row, event, func, select
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from shared.kernel.outage_causes import chain_of
from shared.kernel.settings import Settings
from shared.kernel.sleep import rest

log = structlog.get_logger()

Sessions = async_sessionmaker[AsyncSession]
AnyRow: TypeAlias = Row[*tuple[Any, ...]]
"""A row of a statement, whatever its columns."""
T = TypeVar("T")
_SETTINGS = "settings"

_TRANSIENT_SQLSTATES = ("08", "25P03", "25P04", "28", "3D", "40", "53", "55000", "55P03", "57")
"""Connection, transaction idle or open for too long, login, no such database, rollback (deadlock,
serialisation), resources, a database that takes no connections, lock not available, operator."""


IDLE_SECONDS = 5.0
"""A connection unused for so long is tested before its next use."""


POOL, MOST = 20, 20
"""Connections that an engine keeps, and has at most while it is busy.

A busy process has no others to open and close: each costs both sides milliseconds, and knows none
of its statements yet.
"""


def make_engine(
    url: str,
    *,
    pool_size: int = POOL,
    name: str = "taawon",
    statement_seconds: float = 300,
    idle_seconds: float = 60,
    transaction_seconds: float = 300,
) -> AsyncEngine:
    """An engine whose idle connections are tested before use; its errors show no values.

    A statement without an answer for `statement_seconds` fails: its connection may be half dead.
    The database rolls a transaction back that is idle for `idle_seconds`, so that a process that is
    frozen, or was cut off, does not keep its locks.

    Between two messages of one statement (the driver prepares in one and runs in another) a session
    is not idle to PostgreSQL, and its statement timer does not run: only the limit of the whole
    transaction, `transaction_seconds`, ends that silence.
    """
    engine = create_async_engine(
        url,
        hide_parameters=True,
        pool_size=pool_size,
        max_overflow=max(MOST - pool_size, 0),
        connect_args={
            "timeout": 5,
            "command_timeout": statement_seconds,
            "server_settings": {
                "application_name": name,
                "idle_in_transaction_session_timeout": _milliseconds(idle_seconds),
                "transaction_timeout": _milliseconds(transaction_seconds),
            },
        },
    )
    _check_idle_connections(engine)
    return engine


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))


def _check_idle_connections(engine: AsyncEngine) -> None:
    """Check before each use whether the connection is closed; after a pause, ask the server too.

    The pool's own check asks each time, in a transaction of its own: that is three of the seven
    round trips of a short consumer.
    """

    def note_idle(_: Any, record: Any) -> None:
        record.info["idle_since"] = time.monotonic()

    def check(connection: Any, record: Any, _: Any) -> None:
        if connection.driver_connection.is_closed():
            raise InvalidatePoolError
        if time.monotonic() - record.info.get("idle_since", time.monotonic()) < IDLE_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except (engine.dialect.loaded_dbapi.Error, OSError, TimeoutError) as error:
            raise InvalidatePoolError from error

    def invalidate_unusable(context: ExceptionContext) -> None:
        cause = getattr(context.original_exception, "orig", None)
        cause = cause or context.original_exception.__cause__
        is_late = isinstance(context.original_exception, TimeoutError)
        if is_late or isinstance(cause, asyncpg.InternalClientError):
            context.is_disconnect = True

    event.listen(engine.sync_engine, "handle_error", invalidate_unusable)
    event.listen(engine.sync_engine, "checkin", note_idle)
    event.listen(engine.sync_engine, "checkout", check)


def engine_of(settings: Settings, name: str, *, pool_size: int = POOL) -> AsyncEngine:
    """The engine of a long-running process, with the time limits of its settings."""
    return make_engine(
        settings.database_url.get_secret_value(),
        pool_size=pool_size,
        name=f"taawon {name}",
        statement_seconds=settings.database_statement_seconds,
        idle_seconds=settings.database_idle_seconds,
        transaction_seconds=settings.database_transaction_seconds,
    )


def make_sessions(engine: AsyncEngine, settings: Settings | None = None) -> Sessions:
    """Sessions that keep loaded values after the commit, and know the settings of the process."""
    return async_sessionmaker(engine, expire_on_commit=False, info=info_of(settings))


def reading(sessions: Sessions) -> AsyncSession:
    """A session for statements that only read. It has no transaction, so nothing begins or ends it.

    Each statement sees what is committed when it begins, as in a transaction of ours.
    """
    engine = sessions.kw["bind"]
    if not isinstance(engine, AsyncEngine):
        return sessions()  # of a test, inside a transaction of its own
    return sessions(bind=_without_transactions(engine))


@lru_cache(maxsize=16)
def _without_transactions(engine: AsyncEngine) -> AsyncEngine:
    """The engine, with its connections; made once, for that takes as long as a statement."""
    return engine.execution_options(isolation_level="AUTOCOMMIT")


def info_of(settings: Settings | None) -> dict[Any, Any]:
    """What a session carries for `settings_of`."""
    return {_SETTINGS: settings}


def settings_of(session: AsyncSession) -> Settings | None:
    """The settings of the process that opened the session; None where the session has none.

    For rules whose numbers an operator may set: a consumer gets a session and nothing else.
    """
    found = session.info.get(_SETTINGS)
    return found if isinstance(found, Settings) else None


def named_rows(result: Result[*tuple[Any, ...]]) -> list[Any]:
    """All rows, as named tuples of their columns.

    An attribute of theirs is found twenty times as fast as that of a `Row`: for pages whose rows
    are read column by column.
    """
    make = _named(tuple(result.keys()))._make
    return [make(tuple(row)) for row in result.all()]


@lru_cache(maxsize=64)
def _named(columns: tuple[str, ...]) -> Any:
    return namedtuple("row", columns)


async def moment(session: AsyncSession) -> datetime:
    """The present of the database: not the start of the transaction, which may have waited for a
    lock since."""
    found = await session.scalar(select(func.clock_timestamp()))
    assert isinstance(found, datetime)
    return found


def is_infrastructure(error: BaseException) -> bool:
    """Whether a dependency is away, so that the error says nothing about the message or request."""
    for each in chain_of(error):
        if isinstance(each, DBAPIError) and each.connection_invalidated:
            return True
        if isinstance(each, asyncpg.PostgresError):
            return (each.sqlstate or "").startswith(_TRANSIENT_SQLSTATES)
        if isinstance(each, OSError | TimeoutError | PoolTimeoutError):
            return True  # the last: the process waited in vain for one of its own connections
        if isinstance(each, asyncpg.InternalClientError):
            return True  # the state of the connection is unknown: it can't be used any more
        if isinstance(each, asyncpg.InterfaceError):
            return "connection" in str(each).lower()
    return False


def has_no_room(error: BaseException) -> bool:
    """Whether there is no room left for more data, or for one more connection."""
    full = (asyncpg.DiskFullError, asyncpg.TooManyConnectionsError, PoolTimeoutError)
    return any(isinstance(each, full) for each in chain_of(error))


def is_data_error(error: BaseException) -> bool:
    """Whether the database refused the values (SQLSTATE class 22), as it will at every attempt."""
    for each in chain_of(error):
        if isinstance(each, asyncpg.PostgresError):
            return (each.sqlstate or "").startswith("22")
        if isinstance(each, asyncpg.DataError):
            return True
    return False


async def until_it_answers(sessions: Sessions, pause: float) -> int:
    """Wait until the database answers, asking every `pause` seconds; how often it was asked."""
    looks = 0
    while True:
        await rest(pause)
        looks += 1
        if await _answers(sessions):
            return looks


async def _answers(sessions: Sessions) -> bool:
    try:
        async with sessions() as session:
            await session.execute(select(1))
    except Exception:
        return False
    return True


async def outlasting(
    sessions: Sessions, work: Callable[[AsyncSession], Awaitable[T]], pause: float
) -> T:
    """Do the work in a transaction of its own, and again after an outage of any length.

    For work on a message that is not acknowledged yet: returning it to the broker would spend
    redeliveries, which are limited. `pause` is in seconds.
    """
    while True:
        try:
            async with sessions.begin() as session:
                return await work(session)
        except Exception as error:
            if not is_infrastructure(error):
                raise
            log.warning("held until the database answers", error=type(error).__name__)
        await until_it_answers(sessions, pause)
