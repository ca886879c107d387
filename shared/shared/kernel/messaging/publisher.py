"""The one place that publishes: a channel with confirms on a connection that may break."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

import aio_pika
import structlog
from aio_pika import Message
from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq.exceptions import (
    AMQPError,
    ChannelAccessRefused,
    ChannelInvalidStateError,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    PublishError,
)
from pamqp.exceptions import PAMQPException

from shared.kernel.observability import tracing
from shared.kernel.outage_causes import of_broker

log = structlog.get_logger()

Outcome = BaseException | None
"""None: the broker has confirmed the message."""

CONNECTION_ERRORS = (AMQPError, ChannelInvalidStateError, ConnectionError, OSError, TimeoutError)
CLOSING_ERRORS = (*CONNECTION_ERRORS, RuntimeError)
"""Also how the client says that a connection is closing. Only where nothing but the client works:
elsewhere a plain `RuntimeError` is a mistake of ours."""


class Unroutable(Exception):
    """The broker returned the message: no queue takes it, not even the alternate one."""


@dataclass
class Outgoing:
    """A message and where it goes."""

    message: Message
    exchange: str
    routing_key: str


@dataclass
class Publisher:
    """Publishes with mandatory routing and pipelined confirms; opens a new channel after trouble.

    A message id must not be in flight twice on one channel, for the client matches what comes back
    by it: a lost message would count as sent. So two under one id go one after the other, and after
    a timeout, when late confirms may still arrive, the channel is thrown away.
    """

    url: str
    timeout: float = 10.0
    name: str = "publisher"
    _connection: AbstractConnection | None = field(default=None, repr=False)
    _channel: AbstractChannel | None = field(default=None, repr=False)
    _in_flight: dict[str, asyncio.Event] = field(default_factory=dict, repr=False)
    _away: bool = field(default=False, repr=False)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

    async def is_open(self) -> bool:
        """Whether there is a channel now, opened if need be; without one nothing was sent.

        The log says once that there is none, until there is one again.
        """
        try:
            await self._open()
        except CONNECTION_ERRORS as error:
            if not self._away:
                log.warning(
                    "no connection to the broker", publisher=self.name, cause=str(of_broker(error))
                )
            self._away = True
            return False
        self._away = False
        return True

    async def publish(self, batch: Iterable[Outgoing]) -> list[Outcome]:
        """The outcome of each message, in order. Never raises for the broker being away."""
        messages = list(batch)
        try:
            channel = await self._open()
        except CONNECTION_ERRORS as error:
            return [error] * len(messages)
        outcomes = await asyncio.gather(
            *(self._publish_one(channel, outgoing) for outgoing in messages),
            return_exceptions=True,
        )
        if any(_breaks_channel(outcome) for outcome in outcomes):
            await self._drop(channel)
        return list(outcomes)

    async def publish_one(self, outgoing: Outgoing) -> None:
        """Publish and wait for the confirm, or raise what went wrong."""
        (outcome,) = await self.publish([outgoing])
        if outcome is not None:
            raise outcome

    async def waiting(self, queue: str) -> int | None:
        """How many messages wait in a queue; None where there is no such queue."""
        await self._open()
        assert self._connection is not None
        channel = await self._connection.channel(publisher_confirms=False)
        try:
            declared = await channel.declare_queue(queue, passive=True, timeout=self.timeout)
        except ChannelNotFoundEntity:
            return None
        finally:
            with suppress(*CLOSING_ERRORS):
                await channel.close()
        return declared.declaration_result.message_count

    async def _publish_one(self, channel: AbstractChannel, outgoing: Outgoing) -> None:
        message = outgoing.message
        span = tracing.sending(
            outgoing.exchange, message.type, message.message_id, message.headers.get("traceparent")
        )
        try:
            await self._alone(channel, outgoing)
        except BaseException as error:
            tracing.fail(span, error)
            raise
        finally:
            span.end()

    async def _alone(self, channel: AbstractChannel, outgoing: Outgoing) -> None:
        """Publish it once nothing else is in flight under its id."""
        message_id = outgoing.message.message_id or str(id(outgoing))
        while (other := self._in_flight.get(message_id)) is not None:
            await other.wait()
        over = self._in_flight[message_id] = asyncio.Event()
        try:
            await self._confirmed(channel, outgoing)
        finally:
            del self._in_flight[message_id]
            over.set()

    async def _confirmed(self, channel: AbstractChannel, outgoing: Outgoing) -> None:
        exchange = await channel.get_exchange(outgoing.exchange, ensure=False)
        try:
            await exchange.publish(
                outgoing.message, outgoing.routing_key, mandatory=True, timeout=self.timeout
            )
        except PublishError as error:
            raise Unroutable(f"{outgoing.exchange} {outgoing.routing_key}") from error
        except Exception as error:
            if type(error) is Exception:  # what the client says of a channel that we closed
                raise ConnectionError("the channel was thrown away") from error
            raise

    async def _open(self) -> AbstractChannel:
        async with self._lock:
            if self._connection is None or self._connection.is_closed:
                async with asyncio.timeout(5):
                    self._connection = await aio_pika.connect(
                        self.url, client_properties={"connection_name": self.name}
                    )
                self._channel = None
            if self._channel is None or self._channel.is_closed:
                self._channel = await self._new_channel(self._connection)
            return self._channel

    async def _new_channel(self, connection: AbstractConnection) -> AbstractChannel:
        try:
            async with asyncio.timeout(self.timeout):
                return await connection.channel(publisher_confirms=True, on_return_raises=True)
        except Exception as error:
            # Whatever it is, the next attempt starts from a new connection.
            self._connection = None
            with suppress(*CLOSING_ERRORS):
                async with asyncio.timeout(5):
                    await connection.close()
            if type(error) is RuntimeError:
                raise ConnectionError("the connection to the broker is closing") from error
            raise

    async def _drop(self, channel: AbstractChannel) -> None:
        """Throw the channel away; the next batch gets a new one.

        Unless another batch, which failed on it too, has done so: there may be a newer one by now.
        """
        if channel is not self._channel:
            return
        self._channel = None
        if not channel.is_closed:
            with suppress(*CLOSING_ERRORS):
                async with asyncio.timeout(5):
                    await channel.close()

    async def close(self) -> None:
        if self._channel is not None:
            await self._drop(self._channel)
        if self._connection is not None:
            with suppress(*CLOSING_ERRORS):
                await self._connection.close()
            self._connection = None


def _breaks_channel(outcome: Outcome) -> bool:
    return outcome is not None and not isinstance(outcome, Unroutable)


def is_own_fault(error: BaseException, *, alone: bool) -> bool:
    """Whether this message itself can't be sent, whatever the state of the broker.

    A refusal by permission or precondition closes the channel for the whole batch, so it counts
    only against a message that was sent alone.
    """
    if isinstance(error, ChannelAccessRefused | ChannelPreconditionFailed):
        return alone
    return isinstance(error, PAMQPException | ValueError | TypeError | struct.error)


def needs_singling_out(outcomes: Iterable[Outcome]) -> bool:
    """Whether one message of the batch brought the channel down for the others."""
    return any(
        isinstance(outcome, ChannelAccessRefused | ChannelPreconditionFailed)
        for outcome in outcomes
    )
