"""The Prometheus text format of everything that a process measures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import Metric

CONTENT_TYPE = CONTENT_TYPE_LATEST


class _Text:
    """Families that were asked for already, as a collector."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def exposed(families: Iterable[Metric]) -> bytes:
    """The counters of the process, its own use of the machine, and these families."""
    asked = CollectorRegistry(auto_describe=False)
    asked.register(_Text(families))
    return generate_latest(REGISTRY) + generate_latest(asked)
