"""All metrics of a process in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import Metric

CONTENT_TYPE = CONTENT_TYPE_LATEST


class _Families:
    """A collector of families that were read already."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def exposed(families: Iterable[Metric]) -> bytes:
    """The counters of the process, its use of the machine, and these families, as text."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(families))
    return generate_latest(REGISTRY) + generate_latest(registry)
