"""Work of the kernel beside requests and consumers, and how background work is kept alive."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVarTuple

import structlog

from .database import is_infrastructure
from .messaging.publisher import Publisher
from .messaging.relay import Relay
from .messaging.resends import Resender
from .messaging.retention import forget_decided, forget_settled
from .pauses import rest
from .runtime import Runtime

log = structlog.get_logger()
Given = TypeVarTuple("Given")

RESTART_SECONDS = 5.0
"""Pause before background work that failed begins anew."""


async def relay(runtime: Runtime) -> None:
    """Run the outbox relay until cancelled."""
    settings = runtime.settings
    assert runtime.engine is not None
    publisher = Publisher(
        settings.amqp_url.get_secret_value(), settings.publish_timeout, f"{settings.service} relay"
    )
    try:
        await Relay(
            runtime.engine,
            publisher,
            settings.service,
            batch=settings.relay_batch,
            poll_seconds=settings.relay_poll_seconds,
        ).run()
    finally:
        await publisher.close()


async def resend(runtime: Runtime) -> None:
    """Send facts again as operators ask for it, until cancelled."""
    settings = runtime.settings
    assert runtime.engine is not None
    publisher = Publisher(
        settings.amqp_url.get_secret_value(), settings.publish_timeout, f"{settings.service} resend"
    )
    try:
        await Resender(
            runtime.engine,
            runtime.sessions,
            publisher,
            settings.service,
            runtime.snapshots,
            poll_seconds=settings.relay_poll_seconds,
        ).run()
    finally:
        await publisher.close()


async def forget_old(runtime: Runtime) -> None:
    """Every hour remove what is past its retention."""
    assert runtime.engine is not None
    settings = runtime.settings
    while True:
        try:
            await forget_settled(runtime.engine, settings.outbox_retention_days)
            await forget_decided(runtime.engine, settings.dead_letter_retention_days)
        except Exception as error:
            if not is_infrastructure(error):
                raise
        await rest(3600)


async def guarded(job: Callable[[*Given], Coroutine[Any, Any, None]], *given: *Given) -> None:
    """A background job that fails is started again, and said so."""
    while True:
        try:
            await job(*given)
            return
        except Exception:
            log.exception("background work failed", job=job.__name__)
            await rest(RESTART_SECONDS)
