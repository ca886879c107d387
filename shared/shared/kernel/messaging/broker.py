"""FastStream's broker, changed so that stopping it ends every connection.

This depends on private parts of FastStream 0.7, `_connect`, `_connection` and
`_connection_kwargs`: there is no other way to keep the connection that aio-pika 10 makes. The
reason, connection attempts that nothing ends, was reported at
https://github.com/mosquito/aio-pika/issues/414. When a newer FastStream or aio-pika is installed,
`test_library_patches` fails: look whether a stopped broker that never got its connection leaves a
task behind (`test_a_broker_stopped_while_it_connects_leaves_no_task_behind`) without this
module; if not, remove it, else raise `TRIED_WITH`.
"""

from __future__ import annotations

from typing import Any

from aio_pika import RobustConnection
from faststream.rabbit import RabbitBroker

TRIED_WITH = {"faststream": "0.7.8", "aio-pika": "10.2.1"}
"""The versions of the libraries that this was tried with."""


class Broker(RabbitBroker):
    """A broker whose `stop` also ends a connection that is still being made.

    The client connects in a task of its own, again and again. This task outlives the caller that
    waits for it; cancelling it does not end it either: only `close` does.
    """

    async def _connect(self) -> RobustConnection:
        self._connection_kwargs["connection_class"] = self._known
        return await super()._connect()

    def _known(self, *args: Any, **options: Any) -> RobustConnection:
        self._connection = RobustConnection(*args, **options)
        return self._connection
