"""Looks at every id after a row: who was told of what, what partners have, and what is left."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from notifications.domain import audience_tracks
from notifications.domain.subjects import CallEvent, IdeaEvent
from notifications.domain.subscriptions import SubscriptionFilter, told_of
from notifications.handlers import CALL_EVENTS, IDEA_EVENTS
from notifications.models import FACT_COLUMNS
from registry.models import cooperative_from
from shared.contracts.base import Event, now
from shared.contracts.criteria import Criteria
from shared.contracts.funding import CallSnapshot
from shared.contracts.ideas import IdeaSnapshot
from shared.contracts.registry import CooperativeRecord
from shared.local.stack import SERVICES

from ..journeys.leftovers import Leftovers
from ..journeys.register_files import verdict_of
from ..journeys.stories import Story
from .listening import Listener
from .load import Subject

CONTRACTS: dict[str, type[CallEvent | IdeaEvent]] = {
    event.topic: event for event in (*CALL_EVENTS, *IDEA_EVENTS)
}
COLUMNS = (
    "cooperative_id",
    "version",
    "name_fr",
    "name_ar",
    "language",
    *(name for name, _ in FACT_COLUMNS),
    "contact_sealed",
)
_STUCK = """
SELECT count(*) FROM pg_stat_activity a
WHERE datname = current_database() AND application_name LIKE 'taawon %'
    AND xact_start < clock_timestamp() - interval '10 seconds'
"""


@dataclass
class Verdict:
    """What was looked at after a row, and everything that was wrong."""

    alerts: int = 0
    corrections: int = 0
    lost: int = 0
    doubled: int = 0
    partner_events: int = 0
    repeats: int = 0
    wrong: list[str] = field(default_factory=list)


@dataclass
class Told:
    """The alerts of one cooperative about one subject: editions and the versions that they tell."""

    editions: list[int] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)
    is_sure: bool = False


class Inspector:
    """Compares what notifications did with what registry, funding and ideas say."""

    def __init__(self, story: Story, listeners: list[Listener]) -> None:
        self.story = story
        self.listeners = listeners
        self.left = Leftovers(story)
        self.started_at = now()
        self._filters: dict[str, SubscriptionFilter] = {}
        self._heard: dict[str, int] = {}

    def wants(self, slug: str, wanted: SubscriptionFilter) -> None:
        """From now on this partner is to have each event that its filter accepts."""
        self._filters[slug] = wanted

    async def inspect(self, subjects: Iterable[Subject]) -> Verdict:
        """Everything about these subjects; of the rest whether it is whole."""
        verdict = Verdict()
        await self._settle(verdict)
        await self.compare(verdict, list(subjects))
        await self._partners(verdict)
        await self._stuck(verdict)
        return verdict

    async def compare(self, verdict: Verdict, subjects: list[Subject]) -> None:
        """The audience with the register, and who was told with who should be."""
        register = await self._register()
        await self._audience(verdict, register)
        await self._alerts(verdict, subjects, register)

    async def _settle(self, verdict: Verdict) -> None:
        leftovers: list[str] = []

        async def look() -> bool:
            leftovers[:] = [left async for left in self.left.everything()]
            return not leftovers

        try:
            await self.story.eventually(look, within=60)
        except AssertionError:
            verdict.wrong += leftovers

    # The register and its copy

    async def _register(self) -> dict[UUID, CooperativeRecord]:
        async with self.story.database("registry") as connection:
            rows = await connection.fetch("SELECT * FROM cooperative")
        records = [cooperative_from(dict(row)).record() for row in rows]
        return {record.cooperative_id: record for record in records}

    async def _audience(self, verdict: Verdict, register: dict[UUID, CooperativeRecord]) -> None:
        async with self.story.database("notifications") as connection:
            rows = await connection.fetch(f"SELECT {', '.join(COLUMNS)} FROM audience")
        audience = {row["cooperative_id"]: tuple(row) for row in rows}
        meant = {who: tuple(getattr(r, name) for name in COLUMNS) for who, r in register.items()}
        wrong = [
            who for who in meant.keys() | audience.keys() if meant.get(who) != audience.get(who)
        ]
        if wrong:
            verdict.wrong.append(f"{len(wrong)} rows of the audience differ from the register")

    # Alerts

    async def _alerts(
        self,
        verdict: Verdict,
        subjects: list[Subject],
        register: dict[UUID, CooperativeRecord],
    ) -> None:
        ids = [subject.subject_id for subject in subjects]
        async with self.story.database("notifications") as connection:
            heard = await connection.fetch("SELECT * FROM subject WHERE subject_id = ANY($1)", ids)
            rows = await connection.fetch(_ALERTS, ids)
        known = {row["subject_id"]: row for row in heard}
        told = _told(rows)
        last = await self._last_versions(ids)
        facts = {who: record.facts() for who, record in register.items()}
        verdicts: dict[tuple[str, date], dict[UUID, str]] = {}
        for subject in subjects:
            row = known.get(subject.subject_id)
            if row is None or row["version"] != last.get(subject.subject_id):
                verdict.wrong.append(f"{subject.subject_id}: its last version is not known")
                continue
            tracks = audience_tracks(_content(row))
            key = (repr(tracks), row["reference_on"])
            if key not in verdicts:
                verdicts[key] = await asyncio.to_thread(
                    _matching, facts, tracks, row["reference_on"]
                )
            _judge(verdict, subject, row, told[subject.subject_id], verdicts[key])

    async def _last_versions(self, ids: list[UUID]) -> dict[UUID, int]:
        """The version of each subject that its owner announced last."""
        found: dict[UUID, int] = {}
        for service in ("funding", "ideas"):
            async with self.story.database(service) as connection:
                rows = await connection.fetch(
                    "SELECT body FROM outbox WHERE aggregate_id = ANY($1) ORDER BY seq", ids
                )
            for row in rows:
                body = orjson.loads(row["body"])
                who = UUID(body.get("call_id") or body["idea_id"])
                found[who] = body["aggregate_version"]
        return found

    # Partners

    async def _partners(self, verdict: Verdict) -> None:
        events = await self._events()
        for listener in self.listeners:
            slug = listener.partner.slug
            meant = {e.event_id for e in events if self._filters[slug].accepts(told_of(e))}
            feed = await self._feed(listener)
            numbers = [number for number, _ in feed]
            if numbers != list(range(1, len(feed) + 1)):
                verdict.wrong.append(f"the feed of {slug} has holes")
            if {event for _, event in feed} != meant:
                verdict.wrong.append(f"the feed of {slug} is not what it asked for")
            await self._arrived(listener, len(feed))
            verdict.wrong += listener.faults(feed)
            verdict.partner_events += len(feed) - self._heard.get(slug, 0)
            verdict.repeats += listener.repeats - self._heard.get(f"{slug} repeats", 0)
            self._heard |= {slug: len(feed), f"{slug} repeats": listener.repeats}

    async def _arrived(self, listener: Listener, count: int) -> None:
        try:
            await self.story.eventually(
                lambda: len({number for number, _ in listener.came}) >= count, within=20
            )
        except AssertionError:
            return  # the comparison says what is missing

    async def _feed(self, listener: Listener) -> list[tuple[int, UUID]]:
        """Page by page over the partner's own door."""
        feed: list[tuple[int, UUID]] = []
        while True:
            after = str(feed[-1][0]) if feed else "0"
            page = await self.story.feed(listener.partner, after=after)
            if not page:
                return feed
            feed += [(int(item["sequence"]), UUID(item["id"])) for item in page]

    async def _events(self) -> list[Any]:
        """Every fact about calls and ideas that was ever written down to be sent."""
        found: list[Any] = []
        for service in ("funding", "ideas"):
            async with self.story.database(service) as connection:
                rows = await connection.fetch(
                    "SELECT topic, body FROM outbox WHERE created_at >= $1 ORDER BY seq",
                    self.started_at,
                )
            found += [_parsed(row) for row in rows if row["topic"] in CONTRACTS]
        return found

    # Locks

    async def _stuck(self, verdict: Verdict) -> None:
        for service in SERVICES:
            async with self.story.database(service) as connection:
                if count := await connection.fetchval(_STUCK):
                    verdict.wrong.append(f"{count} transactions of {service} are stuck")


_ALERTS = """
SELECT subject_id, cooperative_id, edition, subject_version, eligible_tracks
FROM alert WHERE subject_id = ANY($1) ORDER BY subject_id, cooperative_id, edition
"""


def _told(rows: Iterable[asyncpg.Record]) -> defaultdict[UUID, defaultdict[UUID, Told]]:
    told: defaultdict[UUID, defaultdict[UUID, Told]] = defaultdict(lambda: defaultdict(Told))
    for subject_id, cooperative_id, edition, version, eligible in rows:
        one = told[subject_id][cooperative_id]
        one.editions.append(edition)
        one.versions.append(version)
        one.is_sure = eligible != 0
    return told


def _content(row: asyncpg.Record) -> CallSnapshot | IdeaSnapshot:
    kind = CallSnapshot if row["kind"] == "call" else IdeaSnapshot
    return kind.model_validate_json(row["content"])


def _parsed(row: asyncpg.Record) -> Event:
    return CONTRACTS[row["topic"]].model_validate_json(row["body"])


def _matching(
    facts: dict[UUID, Any], tracks: tuple[Criteria, ...], reference_on: date
) -> dict[UUID, str]:
    verdicts = {who: verdict_of(tracks, known, reference_on) for who, known in facts.items()}
    return {who: found for who, found in verdicts.items() if found is not None}


def _judge(
    verdict: Verdict,
    subject: Subject,
    row: asyncpg.Record,
    told: dict[UUID, Told],
    meant: dict[UUID, str],
) -> None:
    """One subject: exactly those who match have the first alert, and each correction after it."""
    if row["told_version"] is None:
        meant = {}  # void before anybody had heard of it
        if row["state"] == "open":
            verdict.wrong.append(f"{subject.subject_id}: nobody was told of what is open")
    verdict.alerts += len(told)
    verdict.corrections += sum(len(one.editions) - 1 for one in told.values())
    lost, strange = meant.keys() - told.keys(), told.keys() - meant.keys()
    corrections = {edition for one in told.values() for edition in one.editions if edition > 0}
    for one in told.values():
        due = [0, *sorted(e for e in corrections if e > one.versions[0])]
        verdict.lost += len(set(due) - set(one.editions))
        verdict.doubled += len(one.versions) - len(set(one.versions))
        verdict.doubled += len(set(one.editions) - set(due))
    verdict.lost += len(lost)
    if strange:
        verdict.wrong.append(f"{subject.subject_id}: {len(strange)} told who do not match")
    if row["eligible"] + row["unknown"] != len(told):
        verdict.wrong.append(f"{subject.subject_id}: its counts are not those of its alerts")
    if subject.is_still and any(
        one.is_sure != (meant.get(who) == "eligible") for who, one in told.items()
    ):
        verdict.wrong.append(f"{subject.subject_id}: told with a wrong verdict")
    if row["told_version"] is not None and any(
        max(one.versions) != row["told_version"] and row["told_version"] in corrections
        for one in told.values()
    ):
        verdict.wrong.append(f"{subject.subject_id}: some did not hear the last word")
