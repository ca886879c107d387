"""Connections to the service's own database, and what counts as the database being away."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar

import asyncpg
import structlog
from sqlalchemy import ExceptionContext, Row, event, select
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

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
"""A connection that lay unused for so long is asked whether its server still answers."""


POOL, OVERFLOW = 10, 10
"""Connections that an engine keeps, and those that it opens beyond them while it is busy."""


def make_engine(
    url: str,
    *,
    pool_size: int = POOL,
    name: str = "taawon",
    statement_seconds: float = 300,
    idle_seconds: float = 60,
    transaction_seconds: float = 300,
) -> AsyncEngine:
    """An engine whose idle connections are checked before use; its errors show no values.

    A statement without an answer for `statement_seconds` fails: its connection may be half dead. A
    transaction whose process says nothing for `idle_seconds` is rolled back by the database, so
    that a process that is frozen, or was cut off, does not keep its locks from the others.

    Between two messages of one statement (the driver prepares in one and runs in another) a session
    is not idle to PostgreSQL, and its timer of statements rests: only the limit of the whole
    transaction, `transaction_seconds`, ends that silence.
    """
    engine = create_async_engine(
        url,
        hide_parameters=True,
        pool_size=pool_size,
        max_overflow=OVERFLOW,
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
    """Before each use, whether it is closed; after a rest, by a question to the server too.

    The pool's own check asks each time, in a transaction of its own: three of the seven round trips
    of a short consumer.
    """

    def rests(_: Any, record: Any) -> None:
        record.info["rests_since"] = time.monotonic()

    def check(connection: Any, record: Any, _: Any) -> None:
        if connection.driver_connection.is_closed():
            raise InvalidatePoolError
        if time.monotonic() - record.info.get("rests_since", time.monotonic()) < IDLE_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except (engine.dialect.loaded_dbapi.Error, OSError, TimeoutError) as error:
            raise InvalidatePoolError from error

    def drop_the_useless(context: ExceptionContext) -> None:
        cause = getattr(context.original_exception, "orig", None)
        cause = cause or context.original_exception.__cause__
        is_late = isinstance(context.original_exception, TimeoutError)
        if is_late or isinstance(cause, asyncpg.InternalClientError):
            context.is_disconnect = True

    event.listen(engine.sync_engine, "handle_error", drop_the_useless)
    event.listen(engine.sync_engine, "checkin", rests)
    event.listen(engine.sync_engine, "checkout", check)


def engine_of(settings: Settings, name: str, *, pool_size: int = POOL) -> AsyncEngine:
    """The engine of a process that runs for long, with the patience of its settings."""
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


def info_of(settings: Settings | None) -> dict[Any, Any]:
    """What a session carries for `settings_of`."""
    return {_SETTINGS: settings}


def settings_of(session: AsyncSession) -> Settings | None:
    """The settings of the process that opened the session; None where it was given none.

    For rules with numbers that an operator may set: a consumer is given a session alone.
    """
    found = session.info.get(_SETTINGS)
    return found if isinstance(found, Settings) else None


def is_infrastructure(error: BaseException | None) -> bool:
    """Whether the error says nothing about the message: something that we stand on is away."""
    while error is not None:
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            return True
        if isinstance(error, asyncpg.PostgresError):
            return (error.sqlstate or "").startswith(_TRANSIENT_SQLSTATES)
        if isinstance(error, OSError | TimeoutError | PoolTimeoutError):
            return True  # the last: the process waited in vain for one of its own connections
        if isinstance(error, asyncpg.InternalClientError):
            return True  # a connection whose end is not known yet: it is of no use any more
        if isinstance(error, asyncpg.InterfaceError):
            return "connection" in str(error).lower()
        error = error.__cause__ or getattr(error, "orig", None)
    return False


def has_no_room(error: BaseException | None) -> bool:
    """Whether it is said that there is no room: for more data, or for one more connection."""
    while error is not None:
        if isinstance(error, asyncpg.DiskFullError | asyncpg.TooManyConnectionsError):
            return True
        if isinstance(error, PoolTimeoutError):
            return True
        error = error.__cause__ or getattr(error, "orig", None)
    return False


def is_data_error(error: BaseException | None) -> bool:
    """Whether the database refused the values themselves (class 22): no later try changes that."""
    while error is not None:
        if isinstance(error, asyncpg.PostgresError):
            return (error.sqlstate or "").startswith("22")
        if isinstance(error, asyncpg.DataError):
            return True
        error = error.__cause__ or getattr(error, "orig", None)
    return False


async def until_it_answers(sessions: Sessions, pause: float) -> int:
    """Rest and look, until the database answers; how many looks it took."""
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
    """Work in a transaction of its own, done again after an outage of any length.

    For whoever holds something from the broker meanwhile: to give it back and take it again spends
    its deliveries, of which a broker allows so many and no more.
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
