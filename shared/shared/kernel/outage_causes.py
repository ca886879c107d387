"""Why PostgreSQL or RabbitMQ does not work, in words, and what to do about it.

Readiness, logs, refused requests and `taawon doctor` show it. No text names a password, a host or
data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import asyncpg
from aiormq.exceptions import (
    AMQPConnectionError,
    AuthenticationError,
    ChannelAccessRefused,
    ChannelNotFoundEntity,
    InvalidFrameError,
    ProbableAuthenticationError,
    PublishError,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError


@dataclass(frozen=True)
class Cause:
    """What is wrong, and the remedy."""

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}"


_BY_ITSELF = "what waits goes on by itself then"

DISK_FULL = Cause(
    "PostgreSQL has no room left on its disk", f"make room or give it a larger one: {_BY_ITSELF}"
)
DATABASE_LOGIN = Cause(
    "PostgreSQL refuses the login",
    "give TAAWON_DATABASE_URL the user and the password that PostgreSQL knows, and start again",
)
DATABASE_MISSING = Cause(
    "PostgreSQL has no database of that name",
    "make it, migrate it with `taawon migrate`, or correct TAAWON_DATABASE_URL",
)
DATABASE_CROWDED = Cause(
    "PostgreSQL takes no more connections", "raise its max_connections or run fewer processes"
)
POOL_IN_USE = Cause(
    "every connection of this process to PostgreSQL is in use",
    f"see which statements take so long, or run more processes: {_BY_ITSELF}",
)
DATABASE_STARTING = Cause("PostgreSQL starts or stops", f"wait for it: {_BY_ITSELF}")
DATABASE_AWAY = Cause(
    "PostgreSQL does not answer", f"see that it runs and can be reached: {_BY_ITSELF}"
)
BROKER_LOGIN = Cause(
    "RabbitMQ refuses the login",
    "give TAAWON_AMQP_URL the user and the password that RabbitMQ knows (`taawon broker users`"
    " sets them), and start again",
)
BROKER_VHOST = Cause(
    "RabbitMQ keeps this user out of the vhost, or has none of that name",
    "make both with `taawon broker users`, or correct TAAWON_AMQP_URL",
)
BROKER_QUEUES = Cause(
    "RabbitMQ lacks a queue or exchange that this service needs",
    "declare all of them with `taawon topology apply`",
)
BROKER_RIGHTS = Cause(
    "RabbitMQ refuses this user what it needs", "set its rights with `taawon broker users`"
)
BROKER_SILENT = Cause(
    "RabbitMQ does not answer in time",
    "see whether an alarm stops it (`rabbitmq-diagnostics alarms`: its memory or its disk):"
    f" {_BY_ITSELF}",
)
BROKER_AWAY = Cause(
    "RabbitMQ does not answer", f"see that it runs and can be reached: {_BY_ITSELF}"
)
AWAY = Cause(
    "PostgreSQL or RabbitMQ does not answer",
    f"see that both run and can be reached: {_BY_ITSELF}",
)

_BY_STATE = {
    "28": DATABASE_LOGIN,
    "3D": DATABASE_MISSING,
    "53100": DISK_FULL,
    "53300": DATABASE_CROWDED,
    "57P": DATABASE_STARTING,
}
"""Causes by SQLSTATE or its first characters."""

_OF_BROKER: tuple[tuple[type[BaseException], Cause], ...] = (
    (AuthenticationError, BROKER_LOGIN),
    (ProbableAuthenticationError, BROKER_LOGIN),
    (ChannelNotFoundEntity, BROKER_QUEUES),
    (PublishError, BROKER_QUEUES),  # no queue took it
    (ChannelAccessRefused, BROKER_RIGHTS),
    (AMQPConnectionError, BROKER_AWAY),
)


def of_database(error: BaseException) -> Cause:
    """Why a statement or its connection failed, where the statement itself is not at fault."""
    return _known(error) or DATABASE_AWAY


def of_broker(error: BaseException) -> Cause:
    """Why the broker took or delivered no messages."""
    if isinstance(error, TimeoutError):
        return BROKER_SILENT
    return _known(error) or BROKER_AWAY


def of_either(error: BaseException) -> Cause:
    """Why the database or the broker failed, where only the error tells which of the two did."""
    return _known(error) or AWAY


def _known(error: BaseException) -> Cause | None:
    for each in chain_of(error):
        if isinstance(each, asyncpg.PostgresError):
            state = each.sqlstate or ""
            return next((c for s, c in _BY_STATE.items() if state.startswith(s)), DATABASE_AWAY)
        if isinstance(each, PoolTimeoutError):
            return POOL_IN_USE
        if isinstance(each, InvalidFrameError) and "Connection.Close" in str(each):
            return BROKER_VHOST  # the broker closes the connection when the client opens the vhost
        for kind, cause in _OF_BROKER:
            if isinstance(each, kind):
                return cause
    if any(isinstance(each, DBAPIError) for each in chain_of(error)):
        return DATABASE_AWAY
    return None


def chain_of(error: BaseException | None) -> Iterator[BaseException]:
    """The error and its causes, from the outside in."""
    while error is not None:
        yield error
        error = error.__cause__ or getattr(error, "orig", None)
