"""What virtual hosts and queues are called, for whoever only looks at them."""

from __future__ import annotations

VHOST = "taawon"
"""Where events travel."""


PARTNER_VHOST = "partners"
"""Where partners read their queues."""


UNROUTED = "taawon.unrouted"


RETRY = "taawon.retry"
