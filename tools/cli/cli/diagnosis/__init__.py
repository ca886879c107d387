"""What is wrong, judged from what was seen: pure, so that every finding is tested without servers.

Each finding says what, and the next step in words and, where there is one, as a command.
"""

from __future__ import annotations

from . import flow, keys, notification_rules, queues, services
from .observations import (
    BrokerObservation,
    Finding,
    Observations,
    QueueObservation,
    ServiceObservation,
    Severity,
)

__all__ = [
    "BrokerObservation",
    "Finding",
    "Observations",
    "QueueObservation",
    "ServiceObservation",
    "Severity",
    "diagnose",
]


def diagnose(seen: Observations) -> list[Finding]:
    """Every finding, the worst first."""
    order = list(Severity)
    found = [
        finding
        for rule in (
            *services.RULES,
            *flow.RULES,
            *keys.RULES,
            *notification_rules.RULES,
            *queues.RULES,
        )
        for finding in rule(seen)
    ]
    return sorted(found, key=lambda finding: order.index(finding.severity))
