"""FastStream's broker, of which no connection stays behind."""

from __future__ import annotations

from typing import Any

from aio_pika import RobustConnection
from faststream.rabbit import RabbitBroker


class Broker(RabbitBroker):
    """`stop` also ends a connection that is still being made.

    The client's connection connects in a task of its own, again and again, which outlives whoever
    waited for it and is cancelled, and does not end by being cancelled itself: only by `close`.
    """

    async def _connect(self) -> RobustConnection:
        self._connection_kwargs["connection_class"] = self._known
        return await super()._connect()

    def _known(self, *args: Any, **options: Any) -> RobustConnection:
        self._connection = RobustConnection(*args, **options)
        return self._connection
