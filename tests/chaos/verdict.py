"""Looks at every id after a row: who was alerted of what, what partners have, and what is left."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

import asyncpg

from devkit.stack_layout import SERVICES
from notifications.audience.models import PROFILE_COLUMNS
from notifications.fanout.domain.subjects import audience_tracks
from notifications.fanout.handlers import announcement_of_call, announcement_of_idea
from notifications.fanout.subject_events import CALL_EVENTS, IDEA_EVENTS
from notifications.partners.domain.subscriptions import (
    CallEvent,
    IdeaEvent,
    SubscriptionFilter,
    filter_values_of,
)
from registry.register.models.rows import cooperative_from
from shared.contracts.announcement import Announcement
from shared.contracts.base import now
from shared.contracts.criteria import Profile
from shared.contracts.ideas import IdeaPublished, IdeaWithdrawn
from shared.contracts.registry import CooperativeRecord

from ..journeys.register_files import matching
from ..journeys.stories import Story
from ..journeys.unfinished_work import UnfinishedWork
from .load import Subject
from .partner_reader import StreamReader
from .verification import AlertsWritten, Verdict, due, verify

CONTRACTS: dict[str, type[CallEvent | IdeaEvent]] = {
    event.topic: event for event in (*CALL_EVENTS, *IDEA_EVENTS)
}
COLUMNS = (
    "cooperative_id",
    "version",
    "name_fr",
    "name_ar",
    "language",
    *(name for name, _ in PROFILE_COLUMNS),
    "contact_sealed",
)
_STUCK = """
SELECT count(*) FROM pg_stat_activity a
WHERE datname = current_database() AND application_name LIKE 'taawon %'
    AND xact_start < clock_timestamp() - interval '10 seconds'
"""


class Inspector:
    """Compares what notifications did with what registry, funding and ideas say."""

    def __init__(self, story: Story, readers: list[StreamReader]) -> None:
        self.story = story
        self.readers = readers
        self.left = UnfinishedWork(story)
        self.started_at = now()
        self._filters: dict[str, SubscriptionFilter] = {}
        self._counted: dict[str, int] = {}

    def wants(self, slug: str, wanted: SubscriptionFilter) -> None:
        """From now on this partner is to have each event that its filter accepts."""
        self._filters[slug] = wanted

    async def inspect(self, subjects: Iterable[Subject]) -> Verdict:
        """Everything about these subjects, and whether the system as a whole is in order."""
        verdict = Verdict()
        await self._settle(verdict)
        await self.compare(verdict, list(subjects))
        await self._partners(verdict)
        await self._stuck(verdict)
        return verdict

    async def compare(self, verdict: Verdict, subjects: list[Subject]) -> None:
        """The audience with the register, and who was alerted with who should be."""
        register = await self._register()
        await self._audience(verdict, register)
        await self._alerts(verdict, subjects, register)

    async def _settle(self, verdict: Verdict) -> None:
        unfinished: list[str] = []

        async def look() -> bool:
            unfinished[:] = [left async for left in self.left.everything()]
            return not unfinished

        try:
            await self.story.eventually(look, within=60)
        except AssertionError:
            verdict.wrong += unfinished

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
            ledger = {row["subject_id"]: row for row in await connection.fetch(_LEDGER, ids)}
            received = _received_at(await connection.fetch(_RECEIVED, ids))
            alerts = _alerts_by_recipient(await connection.fetch(_ALERTS, ids))
        published = await self._published_versions(ids)
        match = _Matching({who: record.profile() for who, record in register.items()})
        for subject in subjects:
            who, known = subject.subject_id, ledger.get(subject.subject_id)
            last = max(published[who], key=lambda content: content.version, default=None)
            if last is None or known is None or known["version"] != last.version:
                verdict.wrong.append(f"{who}: its last version is not known")
            elif (
                not_received := {content.version for content in published[who]}
                - received[who].keys()
            ):
                verdict.wrong.append(f"{who}: versions {sorted(not_received)} were not received")
            else:
                meant = await asyncio.to_thread(match.of, last)
                verify(
                    verdict, subject, known, alerts[who], meant, due(published[who], received[who])
                )

    async def _published_versions(self, ids: list[UUID]) -> defaultdict[UUID, list[Announcement]]:
        """What the owner of each subject wrote down to be sent, version by version."""
        found: defaultdict[UUID, list[Announcement]] = defaultdict(list)
        for service in ("funding", "ideas"):
            async with self.story.database(service) as connection:
                rows = await connection.fetch(
                    "SELECT topic, body FROM outbox WHERE aggregate_id = ANY($1)", ids
                )
            for row in rows:
                if row["topic"] in CONTRACTS:
                    content = _announcement_of(_parsed(row))
                    found[content.announcement_id].append(content)
        return found

    # Partners

    async def _partners(self, verdict: Verdict) -> None:
        events = await self._events()
        for reader in self.readers:
            slug = reader.partner.slug
            meant = {e.event_id for e in events if self._filters[slug].accepts(filter_values_of(e))}
            feed = await self._feed(reader)
            numbers = [number for number, _ in feed]
            if numbers != list(range(1, len(feed) + 1)):
                verdict.wrong.append(f"the feed of {slug} has holes")
            if {event for _, event in feed} != meant:
                verdict.wrong.append(f"the feed of {slug} is not what it asked for")
            await self._arrived(reader, len(feed))
            verdict.wrong += reader.faults(feed)
            verdict.partner_events += len(feed) - self._counted.get(slug, 0)
            verdict.repeats += reader.repeats - self._counted.get(f"{slug} repeats", 0)
            self._counted |= {slug: len(feed), f"{slug} repeats": reader.repeats}

    async def _arrived(self, reader: StreamReader, count: int) -> None:
        try:
            await self.story.eventually(
                lambda: len({number for number, _ in reader.came}) >= count, within=20
            )
        except AssertionError:
            return  # the comparison says what is missing

    async def _feed(self, reader: StreamReader) -> list[tuple[int, UUID]]:
        """Page by page over the partner's own feed."""
        feed: list[tuple[int, UUID]] = []
        while True:
            after = str(feed[-1][0]) if feed else "0"
            page = await self.story.feed(reader.partner, after=after)
            if not page:
                return feed
            feed += [(int(item["sequence"]), UUID(item["id"])) for item in page]

    async def _events(self) -> list[Any]:
        """Every event about calls and ideas that was ever written down to be sent."""
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


_LEDGER = """
SELECT subject_id, version, notified_version, eligible, unknown
FROM subject WHERE subject_id = ANY($1)
"""
_RECEIVED = (
    "SELECT subject_id, version, received_at FROM subject_history WHERE subject_id = ANY($1)"
)
_ALERTS = """
SELECT subject_id, cooperative_id, edition, subject_version, eligible_tracks
FROM alert WHERE subject_id = ANY($1) ORDER BY subject_id, cooperative_id, edition
"""


def _received_at(rows: Iterable[asyncpg.Record]) -> defaultdict[UUID, dict[int, datetime]]:
    """When notifications received each version; fan-outs run one at a time."""
    received: defaultdict[UUID, dict[int, datetime]] = defaultdict(dict)
    for subject_id, version, received_at in rows:
        received[subject_id][version] = received_at
    return received


def _alerts_by_recipient(
    rows: Iterable[asyncpg.Record],
) -> defaultdict[UUID, defaultdict[UUID, AlertsWritten]]:
    alerts: defaultdict[UUID, defaultdict[UUID, AlertsWritten]] = defaultdict(
        lambda: defaultdict(AlertsWritten)
    )
    for subject_id, cooperative_id, edition, version, eligible in rows:
        one = alerts[subject_id][cooperative_id]
        one.editions.append(edition)
        one.versions.append(version)
        one.is_sure = eligible != 0
    return alerts


def _announcement_of(event: CallEvent | IdeaEvent) -> Announcement:
    if isinstance(event, IdeaPublished | IdeaWithdrawn):
        return announcement_of_idea(event.idea, occurred_at=event.occurred_at)
    return announcement_of_call(event.call)


def _parsed(row: asyncpg.Record) -> CallEvent | IdeaEvent:
    return CONTRACTS[row["topic"]].model_validate_json(row["body"])


@dataclass
class _Matching:
    """Who should be alerted, by the pure evaluator; the same criteria are evaluated once."""

    profiles: dict[UUID, Profile]
    found: dict[tuple[str, date], dict[UUID, str]] = field(default_factory=dict)

    def of(self, content: Announcement) -> dict[UUID, str]:
        tracks = audience_tracks(content)
        key = (repr(tracks), content.reference_on)
        if key not in self.found:
            self.found[key] = matching(self.profiles, tracks, content.reference_on)
        return self.found[key]
