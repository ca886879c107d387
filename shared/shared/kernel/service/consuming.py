"""Keeps the consumers of a service subscribed despite every outage of the broker."""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from shared.kernel import outage_causes
from shared.kernel.messaging import topology
from shared.kernel.messaging.broker import Broker
from shared.kernel.messaging.consumers import Consumers
from shared.kernel.messaging.publisher import CLOSING_ERRORS
from shared.kernel.runtime import Runtime
from shared.kernel.sleep import rest

log = structlog.get_logger()


async def keep_consuming(runtime: Runtime, consumers: Consumers) -> None:
    """Subscribe the consumers, and wait for broker and topology for as long as it takes.

    A lost connection is replaced by a new one: the client's own reconnection waits for ever where a
    queue that has just come back does not respond, and the consumer would receive nothing.
    """
    settle = 0.0
    while True:
        lost = asyncio.Event()
        broker = await _started_broker(runtime, consumers, lost, settle)
        settle = topology.SETTLE_SECONDS
        if broker is not None:
            runtime.consuming, runtime.not_consuming_because = True, None
            try:
                await lost.wait()
                log.warning("connection to the broker lost")
            finally:
                runtime.consuming = False
                await _stop(broker, lost, runtime.settings.graceful_seconds)
        await rest(runtime.settings.probe_seconds)


async def _started_broker(
    runtime: Runtime, consumers: Consumers, lost: asyncio.Event, settle: float
) -> Broker | None:
    assert runtime.processor is not None
    settings = runtime.settings
    broker = Broker(
        settings.amqp_url.get_secret_value(),
        logger=None,
        apply_types=False,
        app_id=settings.service,
        graceful_timeout=settings.graceful_seconds,
        reconnect_interval=settings.probe_seconds,
        on_close=[lambda *_: lost.set()],
    )
    consumers.attach(broker, runtime.processor.process)
    try:
        async with asyncio.timeout(topology.ANSWER_SECONDS):
            await broker.connect()
            await rest(settle)
            await broker.start()
    except CLOSING_ERRORS as error:
        runtime.not_consuming_because = outage_causes.of_broker(error)
        log.warning(
            "broker or topology not ready",
            error=type(error).__name__,
            cause=str(runtime.not_consuming_because),
        )
        await _stop(broker, lost, settings.graceful_seconds)
        return None
    except BaseException:
        await _stop(broker, lost, settings.graceful_seconds)
        raise
    return broker


async def _stop(broker: Broker, lost: asyncio.Event, graceful_seconds: float) -> None:
    """Finish the messages in hand; without a connection there is nothing to wait for."""
    with contextlib.suppress(*CLOSING_ERRORS):
        if lost.is_set():
            # Closed first: otherwise stopping would wait for the client's attempts to reconnect.
            async with asyncio.timeout(5):
                await (await broker.connect()).close()
        async with asyncio.timeout(graceful_seconds + 5):
            await broker.stop()
