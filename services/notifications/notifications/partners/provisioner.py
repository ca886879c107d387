"""Making partner queues on the broker. Only this part may create broker users; it has no HTTP
API."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from shared.kernel.messaging.management import Management
from shared.kernel.messaging.topology import NO_DELIVERY_LIMIT

from .domain.partner_queue import PartnerQueue
from .usecases.partner_queue import (
    DROPPED,
    PARTNER_EXCHANGE,
    PARTNER_VHOST,
    QUEUE_KEEPS,
    BrokerState,
)

QUEUE_ARGUMENTS = {
    "x-queue-type": "quorum",
    "x-overflow": "drop-head",
    "x-max-length": 100_000,
    "x-message-ttl": round(QUEUE_KEEPS.total_seconds() * 1000),
    "x-delivery-limit": 20,
    "x-dead-letter-exchange": DROPPED,
}
"""Bounded: a partner that reads nothing must not fill the broker. The feed keeps entries longer."""
DROPPED_ARGUMENTS = {
    "x-queue-type": "quorum",
    "x-max-length": 100_000,
    "x-overflow": "drop-head",
    "x-delivery-limit": NO_DELIVERY_LIMIT,
}
"""Bounded too, for the feed keeps entries longer; but a gap is noted from this queue or never, so
no number of redeliveries may drop a message."""
USER_LIMITS = {"max-connections": 5, "max-channels": 20}


class BrokerProvisioner:
    """Makes queues and users through the management API, as an administrator."""

    def __init__(
        self,
        management: Management,
        delivery_user: str,
        queue_arguments: Mapping[str, Any] = QUEUE_ARGUMENTS,
    ) -> None:
        self._management = management
        self._delivery_user = delivery_user
        self._queue_arguments = dict(queue_arguments)

    async def prepare(self) -> None:
        """Make the vhost of partners, its exchanges, and what notifications may do in it."""
        await asyncio.to_thread(self._prepare)

    async def make(self, partner_queue: PartnerQueue) -> None:
        """Make queue, user and rights of one partner.

        An existing user gets the new password, and its connections are closed.
        """
        await asyncio.to_thread(self._make, partner_queue)

    async def close(self, partner_queue: PartnerQueue) -> None:
        """Delete the user of one partner and close its connections; the queue stays."""
        await asyncio.to_thread(self._close, partner_queue)

    async def broker_state(self) -> BrokerState:
        """What the broker has of partner queues now."""
        return await asyncio.to_thread(self._broker_state)

    def _prepare(self) -> None:
        api = self._management
        api.put_vhost(PARTNER_VHOST)
        api.put_permissions(PARTNER_VHOST, api.user, configure=".*", write=".*", read=".*")
        api.put(
            f"exchanges/{PARTNER_VHOST}/{PARTNER_EXCHANGE}", {"type": "direct", "durable": True}
        )
        api.put(f"exchanges/{PARTNER_VHOST}/{DROPPED}", {"type": "fanout", "durable": True})
        api.put(
            f"queues/{PARTNER_VHOST}/{DROPPED}", {"durable": True, "arguments": DROPPED_ARGUMENTS}
        )
        api.bind(PARTNER_VHOST, DROPPED, DROPPED)
        api.put_permissions(
            PARTNER_VHOST, self._delivery_user, write=r"^partner\.out$", read=r"^p\.dropped$"
        )

    def _broker_state(self) -> BrokerState:
        queues = self._management.get(f"queues/{PARTNER_VHOST}?disable_stats=true")
        users = self._management.get("users")
        return BrokerState(
            frozenset(queue["name"] for queue in queues),
            {user["name"]: user["password_hash"] for user in users},
        )

    def _make(self, partner_queue: PartnerQueue) -> None:
        api = self._management
        api.put(
            f"queues/{PARTNER_VHOST}/{partner_queue.queue}",
            {"durable": True, "arguments": self._queue_arguments},
        )
        api.bind(
            PARTNER_VHOST, PARTNER_EXCHANGE, partner_queue.queue, routing_key=partner_queue.queue
        )
        api.put_hashed_user(partner_queue.username, partner_queue.password_hash)
        # The broker checks a password only when a connection opens, so open connections are closed.
        api.close_connections(partner_queue.username)
        for limit, value in USER_LIMITS.items():
            api.put(f"user-limits/{partner_queue.username}/{limit}", {"value": value})
        pattern = "^" + partner_queue.queue.replace(".", r"\.") + "$"
        api.put_permissions(PARTNER_VHOST, partner_queue.username, read=pattern)

    def _close(self, partner_queue: PartnerQueue) -> None:
        self._management.delete_user(partner_queue.username)
        self._management.close_connections(partner_queue.username)
