"""What virtual hosts and queues are called, for whoever only looks at them."""

from __future__ import annotations

VHOST = "taawon"
"""Where events travel."""

PARTNER_VHOST = "partners"
"""Where partners read their queues."""

UNROUTED = "taawon.unrouted"

RETRY = "taawon.retry-tier"
"""What the name of every retry tier begins with; its pause in milliseconds follows."""


def dead_queue(queue: str) -> str:
    """Where the messages wait that a consumer gave up on."""
    return f"{queue}.dead"
