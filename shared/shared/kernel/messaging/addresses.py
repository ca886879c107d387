"""Names of virtual hosts and queues, for code that only observes them."""

from __future__ import annotations

VHOST = "taawon"
"""The virtual host of the services."""

PARTNER_VHOST = "partners"
"""The virtual host of the partner queues."""

UNROUTED = "taawon.unrouted"

RETRY = "taawon.retry-tier"
"""What the name of every retry tier begins with; its pause in milliseconds follows."""


def dead_queue(queue: str) -> str:
    """The queue of the messages that the consumer of this queue gave up on."""
    return f"{queue}.dead"
