"""Filters of subscriptions, and whether they accept an event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from notifications.fanout.subject_events import CallEvent, IdeaEvent
from shared import reference
from shared.contracts.funding import CallSnapshot
from shared.contracts.ideas import IdeaPublished, IdeaSnapshot, IdeaWithdrawn, Readiness

READINESS_ORDER: tuple[Readiness, ...] = (
    "raw",
    "structured",
    "with_business_plan",
    "jury_selected",
)


@dataclass(frozen=True)
class FilterValues:
    """The values of an event that filters compare.

    No regions and provinces: the whole country. No sectors: every sector. Amounts in centimes.
    """

    topic: str
    regions: frozenset[str]
    provinces: frozenset[str]
    sectors: frozenset[str]
    amount_centimes: int | None
    readiness: Readiness | None


class SubscriptionFilter(BaseModel):
    """Which events a partner gets. A condition that is left empty lets all events through.

    `topics` are event types, each with or without its version; `*` may end one:
    `funding.call.*`. An event for the whole country matches every territory, and one without
    sectors every sector. `min_amount_centimes` looks at a call's greatest grant or an idea's
    budget; events that name no amount pass.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    topics: tuple[str, ...] = Field(default=(), max_length=50)
    regions: tuple[str, ...] = Field(default=(), max_length=12)
    provinces: tuple[str, ...] = Field(default=(), max_length=75)
    sectors: tuple[str, ...] = Field(default=(), max_length=30)
    min_amount_centimes: int | None = Field(default=None, ge=0)
    min_readiness: Readiness | None = None

    def accepts(self, values: FilterValues) -> bool:
        """Whether every condition of the filter holds for the event."""
        return (
            self._topic(values)
            and self._territory(values)
            and (not self.sectors or not values.sectors or bool(values.sectors & set(self.sectors)))
            and self._amount(values)
            and self._ready(values)
        )

    def _topic(self, values: FilterValues) -> bool:
        return not self.topics or any(_matches(pattern, values.topic) for pattern in self.topics)

    def _territory(self, values: FilterValues) -> bool:
        if not (self.regions or self.provinces) or not (values.regions or values.provinces):
            return True
        wanted = set(self.regions)
        if values.regions & wanted or values.provinces & set(self.provinces):
            return True
        if {reference.region_of(code) for code in values.provinces} & wanted:
            return True
        return bool({reference.region_of(code) for code in self.provinces} & values.regions)

    def _amount(self, values: FilterValues) -> bool:
        least = self.min_amount_centimes
        return least is None or values.amount_centimes is None or values.amount_centimes >= least

    def _ready(self, values: FilterValues) -> bool:
        if self.min_readiness is None or values.readiness is None:
            return True
        return READINESS_ORDER.index(values.readiness) >= READINESS_ORDER.index(self.min_readiness)


def _matches(pattern: str, topic: str) -> bool:
    if pattern.endswith("*"):
        return topic.startswith(pattern[:-1])
    return topic == pattern or topic.rpartition(".v")[0] == pattern


def filter_values_of(event: CallEvent | IdeaEvent) -> FilterValues:
    """The values of an event that filters compare."""
    if isinstance(event, IdeaPublished | IdeaWithdrawn):
        return _values_of_idea(event.topic, event.idea)
    return _values_of_call(event.topic, event.call)


def _values_of_idea(topic: str, idea: IdeaSnapshot) -> FilterValues:
    return FilterValues(
        topic=topic,
        regions=frozenset(idea.regions),
        provinces=frozenset(idea.provinces),
        sectors=frozenset(idea.sectors),
        amount_centimes=idea.budget_centimes,
        readiness=idea.readiness,
    )


def _values_of_call(topic: str, call: CallSnapshot) -> FilterValues:
    """A call is for the places and sectors of all its tracks; one without any makes it for all.

    Its amount is the greatest grant of any track.
    """
    criteria = [track.criteria for track in call.tracks]
    national = any(not (c.regions or c.provinces or c.communes) for c in criteria)
    every_sector = any(not c.sectors for c in criteria)
    communes = {reference.province_of_commune(code) for c in criteria for code in c.communes}
    amounts: list[Any] = [t.max_grant_centimes for t in call.tracks if t.max_grant_centimes]
    return FilterValues(
        topic=topic,
        regions=frozenset() if national else frozenset(r for c in criteria for r in c.regions),
        provinces=frozenset()
        if national
        else frozenset(p for c in criteria for p in c.provinces)
        | frozenset(p.code for p in communes),
        sectors=frozenset() if every_sector else frozenset(s for c in criteria for s in c.sectors),
        amount_centimes=max(amounts, default=None),
        readiness=None,
    )
