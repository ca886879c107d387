"""What queues are called, for whoever only looks at them."""

from __future__ import annotations

UNROUTED = "taawon.unrouted"
RETRY = "taawon.retry"


def dead_queue(queue: str) -> str:
    """Where the messages wait that a reaction gave up on."""
    return f"{queue}.dead"
