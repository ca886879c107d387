"""Filters of subscriptions, and whether they accept an event."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from notifications.fanout.subject_events import CALL_EVENTS, IDEA_EVENTS, CallEvent, IdeaEvent
from shared import reference
from shared.contracts.funding import CallSnapshot
from shared.contracts.ideas import IdeaPublished, IdeaSnapshot, IdeaWithdrawn, Readiness
from shared.contracts.numbers import Centimes
from shared.errors import Problem, refuse_problems
from shared.sentences import Sentence

READINESS_ORDER: tuple[Readiness, ...] = (
    "raw",
    "structured",
    "with_business_plan",
    "jury_selected",
)
TOPICS: Final = tuple(event.topic for event in (*CALL_EVENTS, *IDEA_EVENTS))
"""Every event type that a partner may get."""
_MOST_COMPARED = 80
"""How many characters of an unknown event type are compared with the known ones."""


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
    `funding.call.*`. What names no event that partners get is refused. An event for the whole
    country matches every territory, and one without sectors every sector. `min_amount_centimes`
    looks at a call's greatest grant or an idea's budget; events that name no amount pass.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    topics: tuple[str, ...] = Field(default=(), max_length=50)
    regions: tuple[str, ...] = Field(default=(), max_length=12)
    provinces: tuple[str, ...] = Field(default=(), max_length=75)
    sectors: tuple[str, ...] = Field(default=(), max_length=30)
    min_amount_centimes: Centimes | None = None
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
    return pattern in (topic, _without_version(topic))


def _without_version(topic: str) -> str:
    return topic.rpartition(".v")[0]


def refuse_unmatchable(wanted: SubscriptionFilter) -> None:
    """Raise `Invalid` for event types and codes that nothing could ever match, with the nearest."""
    refuse_problems(_unmatchable(wanted))


def _unmatchable(wanted: SubscriptionFilter) -> Iterator[Problem]:
    yield from _unknown_topics(wanted.topics)
    yield from _unknown_codes("regions", wanted.regions, reference.region)
    yield from _unknown_codes("provinces", wanted.provinces, reference.province)
    yield from _unknown_codes("sectors", wanted.sectors, reference.sector)


def _unknown_topics(patterns: Sequence[str]) -> Iterator[Problem]:
    for place, pattern in enumerate(patterns):
        if not any(_matches(pattern, topic) for topic in TOPICS):
            yield Problem(f"topics.{place}", _known_instead_of(pattern))


def _known_instead_of(pattern: str) -> Sentence:
    shown = pattern[:_MOST_COMPARED]
    near = get_close_matches(shown.strip().lower(), _suggestions(), n=1)
    if near:
        return Sentence(
            "partners get no event {shown}: did you mean {near}?", shown=repr(shown), near=near[0]
        )
    known = ", ".join(_without_version(topic) for topic in TOPICS)
    return Sentence(
        "partners get no event {shown}: give one of {known}, or *", shown=repr(shown), known=known
    )


def _suggestions() -> list[str]:
    words = [topic.split(".") for topic in TOPICS]
    wider = {".".join([*each[:length], "*"]) for each in words for length in (1, 2)}
    return [*(_without_version(topic) for topic in TOPICS), *sorted(wider), *TOPICS]


def _unknown_codes(
    name: str, codes: Sequence[str], look_up: Callable[[str], object]
) -> Iterator[Problem]:
    for place, code in enumerate(codes):
        try:
            look_up(code)
        except reference.UnknownCode as error:
            yield Problem(f"{name}.{place}", error.detail)


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
