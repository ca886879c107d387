"""The only code that publishes: on a channel with confirms, over a connection that may break."""

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
"""Why a message was not confirmed; None: the broker has confirmed it."""

CONNECTION_ERRORS = (AMQPError, ChannelInvalidStateError, ConnectionError, OSError, TimeoutError)
CLOSING_ERRORS = (*CONNECTION_ERRORS, RuntimeError)
"""With the RuntimeError that the client raises while a connection is closing. Use it only around
calls of the client alone: anywhere else a RuntimeError is a defect of ours."""


class Unroutable(Exception):
    """The broker returned the message: no queue takes it, not even the alternate one."""


@dataclass
class Outgoing:
    """A message, and the exchange and the routing key to publish it with."""

    message: Message
    exchange: str
    routing_key: str


@dataclass
class Publisher:
    """Publishes with mandatory routing and pipelined confirms; opens a new channel after a failure.

    A message id must not be in flight twice on one channel, for the client matches confirms by it:
    a lost message would count as sent. So two messages of one id go one after the other, and after
    a timeout, when late confirms may still arrive, the channel is dropped. `timeout` is the longest
    wait for a confirm, in seconds.
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
        """Whether there is a channel now; it is opened if need be.

        An outage is logged once, not at every call.
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
        """Publish and wait for the confirm; raises the outcome where there is none."""
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
            await self._publish_in_turn(channel, outgoing)
        except BaseException as error:
            tracing.fail(span, error)
            raise
        finally:
            span.end()

    async def _publish_in_turn(self, channel: AbstractChannel, outgoing: Outgoing) -> None:
        """Publish it once no other message of its id is in flight."""
        message_id = outgoing.message.message_id or str(id(outgoing))
        while (other := self._in_flight.get(message_id)) is not None:
            await other.wait()
        over = self._in_flight[message_id] = asyncio.Event()
        try:
            await self._publish_confirmed(channel, outgoing)
        finally:
            del self._in_flight[message_id]
            over.set()

    async def _publish_confirmed(self, channel: AbstractChannel, outgoing: Outgoing) -> None:
        exchange = await channel.get_exchange(outgoing.exchange, ensure=False)
        try:
            await exchange.publish(
                outgoing.message, outgoing.routing_key, mandatory=True, timeout=self.timeout
            )
        except PublishError as error:
            raise Unroutable(f"{outgoing.exchange} {outgoing.routing_key}") from error
        except Exception as error:
            if type(error) is Exception:  # the client raises it for a channel that we closed
                raise ConnectionError("the channel was dropped") from error
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
            # Whatever the error is, the next attempt starts with a new connection.
            self._connection = None
            with suppress(*CLOSING_ERRORS):
                async with asyncio.timeout(5):
                    await connection.close()
            if type(error) is RuntimeError:
                raise ConnectionError("the connection to the broker is closing") from error
            raise

    async def _drop(self, channel: AbstractChannel) -> None:
        """Drop the channel, so that the next batch opens a new one.

        Another batch that failed on it may have done so: then the newer channel stays.
        """
        if channel is not self._channel:
            return
        self._channel = None
        if not channel.is_closed:
            with suppress(*CLOSING_ERRORS):
                async with asyncio.timeout(5):
                    await channel.close()

    async def close(self) -> None:
        """Close the channel and the connection; what is in flight stays unconfirmed."""
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

    A refusal by permission or precondition closes the channel for the whole batch, so it says
    something only about a message that was sent `alone`.
    """
    if isinstance(error, ChannelAccessRefused | ChannelPreconditionFailed):
        return alone
    return isinstance(error, PAMQPException | ValueError | TypeError | struct.error)


def needs_singling_out(outcomes: Iterable[Outcome]) -> bool:
    """Whether one message of the batch closed the channel for all: send them one by one."""
    return any(
        isinstance(outcome, ChannelAccessRefused | ChannelPreconditionFailed)
        for outcome in outcomes
    )
