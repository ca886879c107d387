"""Pages of long inboxes: whole, in order, and for the same work however long the inbox is."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from devkit.statement_rows import touched_rows
from notifications.fanout.handlers import announcement_of_call
from notifications.inbox.queries import MOST_LOOKED_AT, InboxPage, read_inbox
from shared.kernel.data.database import make_engine

from ..builders import a_call

pytestmark = pytest.mark.servers

SHORT, LONG = 4_000, 16_000
LIMIT = 50
MOST_ROWS = 5 * MOST_LOOKED_AT + 40 * LIMIT
"""Of a page: each alert that is looked at shows in up to five steps of the plans."""
STATES = (None, "unread", "read", "archived")

_COOPERATIVE = """
WITH made AS (
    INSERT INTO audience (cooperative_id, version, language, legal_status, region, province)
    VALUES (:cooperative, 1, 'fr', 'registered', 'MA-09', 'MA-TIZ') RETURNING *
)
INSERT INTO audience_history (cooperative_id, version, legal_status, region, province)
SELECT cooperative_id, version, legal_status, region, province FROM made
"""
_ALERTS = """
WITH made AS (
    INSERT INTO subject (subject_id, service, kind, version, state, content, reference_on)
    SELECT gen_random_uuid(), 'funding', 'call', 1, 'over', '{}', '2026-11-24'
      FROM generate_series(1, :count)
    RETURNING subject_id, reference_on
), known AS (
    INSERT INTO subject_history (subject_id, version, content, reference_on)
    SELECT subject_id, 1, CAST(:content AS jsonb), reference_on FROM made
    RETURNING subject_id
)
INSERT INTO alert (subject_id, cooperative_id, edition, kind, subject_version, audience_version,
                   eligible_tracks, unknown_tracks, unknown_fields)
SELECT subject_id, :cooperative, 0, 'opened', 1, 1, 1, 0, 0 FROM known
"""
_MARKS = """
INSERT INTO alert_state (cooperative_id, seq, account_id, state)
SELECT cooperative_id, seq, :account, :state
  FROM (SELECT *, row_number() OVER (ORDER BY seq DESC) AS place FROM alert
         WHERE cooperative_id = :cooperative) AS mine
 WHERE place BETWEEN :first AND :last
"""


@dataclass
class Inboxes:
    """A database with inboxes, and the statements that fill them."""

    engine: AsyncEngine

    async def run(self, statement: str, **values: object) -> None:
        async with self.engine.begin() as connection:
            await connection.execute(text(statement), values)

    async def filled(self, count: int) -> uuid.UUID:
        """A new cooperative with so many alerts."""
        cooperative = uuid.uuid4()
        await self.run(_COOPERATIVE, cooperative=cooperative)
        await self.alerted(cooperative, count)
        return cooperative

    async def alerted(self, cooperative: uuid.UUID, count: int) -> None:
        """So many newer alerts, each of a call of its own."""
        content = announcement_of_call(a_call()).model_dump_json()
        await self.run(_ALERTS, cooperative=cooperative, count=count, content=content)

    async def marked(
        self, cooperative: uuid.UUID, account: uuid.UUID, state: str, first: int, last: int
    ) -> None:
        """Let the account have marked the alerts from the `first` newest to the `last` newest."""
        await self.run(
            _MARKS, cooperative=cooperative, account=account, state=state, first=first, last=last
        )

    async def page(
        self,
        cooperative: uuid.UUID,
        account: uuid.UUID,
        state: str | None,
        before: int | None = None,
        limit: int = LIMIT,
    ) -> InboxPage:
        async with AsyncSession(self.engine) as session:
            return await read_inbox(
                session,
                cooperative_id=cooperative,
                account_id=account,
                state=state,
                before=before,
                limit=limit,
            )

    async def numbers(self, cooperative: uuid.UUID) -> list[int]:
        """The numbers of all its alerts, the newest first."""
        query = "SELECT seq FROM alert WHERE cooperative_id = :cooperative ORDER BY seq DESC"
        async with self.engine.connect() as connection:
            return list(await connection.scalars(text(query), {"cooperative": cooperative}))

    async def pages(self, cooperative, account, state, limit) -> list[list[int]]:
        """The numbers on each page, until there is no next one."""
        found, before, more = [], None, True
        while more:
            page = await self.page(cooperative, account, state, before, limit)
            found.append([alert.row.seq for alert in page.alerts])
            before, more = page.next_before, page.next_before is not None
        return found


@pytest.fixture
async def inboxes(databases) -> AsyncIterator[Inboxes]:
    engine = make_engine(databases.fresh("notifications"))
    yield Inboxes(engine)
    await engine.dispose()


def read_whole(step: dict[str, Any]) -> set[str]:
    """The tables that this step of a plan, or one below it, reads from beginning to end."""
    below = set().union(*map(read_whole, step.get("Plans", ())))
    return below | ({step["Relation Name"]} if step["Node Type"] == "Seq Scan" else set())


async def rows_of_pages(inboxes: Inboxes, cooperative: uuid.UUID, account: uuid.UUID, state) -> int:
    """The most rows that one of three pages touches: first, middle, and the one after."""
    numbers = await inboxes.numbers(cooperative)
    most = 0
    for before in (None, numbers[len(numbers) // 2], numbers[-LIMIT // 2]):
        with touched_rows(inboxes.engine) as touched:
            await inboxes.page(cooperative, account, state, before)
        for each in touched:
            assert read_whole(json.loads(each.plan)) <= {"audience_history"}, each.plan
        most = max(most, sum(int(each.rows) for each in touched))
    return most


@pytest.mark.parametrize("known_part", [1, 4], ids=["known", "four times as long as is known"])
async def test_a_page_costs_the_same_however_long_the_inbox_is(inboxes: Inboxes, known_part: int):
    """The worst for each filter: everything is marked, and nothing is left in the state.

    Statistics are of a time when inboxes were a part as long as now.
    """
    await inboxes.run("ALTER TABLE alert SET (autovacuum_enabled = false)")
    await inboxes.run("ALTER TABLE alert_state SET (autovacuum_enabled = false)")
    reader = uuid.uuid4()
    cooperatives = {count: await inboxes.filled(count // known_part) for count in (SHORT, LONG)}
    for count, cooperative in cooperatives.items():
        await inboxes.marked(cooperative, reader, "read", 1, count // known_part)
    await inboxes.run("ANALYZE")
    for count, cooperative in cooperatives.items():
        for _ in range(known_part - 1):
            await inboxes.alerted(cooperative, count // known_part)
            await inboxes.marked(cooperative, reader, "read", 1, count // known_part)

    for state in STATES:
        for account in (reader, uuid.uuid4()):
            short, long = [
                await rows_of_pages(inboxes, cooperatives[count], account, state)
                for count in (SHORT, LONG)
            ]
            assert long <= 1.1 * short + LIMIT, (state, short, long)
            assert long < MOST_ROWS, (state, long)


@pytest.mark.parametrize("state", STATES)
async def test_pages_of_each_filter_hold_every_alert_of_it_once(inboxes: Inboxes, state):
    cooperative, reader = await inboxes.filled(400), uuid.uuid4()
    await inboxes.marked(cooperative, reader, "read", 1, 150)
    await inboxes.marked(cooperative, reader, "archived", 201, 260)
    await inboxes.marked(cooperative, reader, "unread", 301, 310)
    await inboxes.marked(cooperative, uuid.uuid4(), "read", 1, 400)
    (everything,) = await inboxes.pages(cooperative, reader, None, 1_000)
    places = {
        None: set(range(1, 401)),
        "read": set(range(1, 151)),
        "archived": set(range(201, 261)),
        "unread": {*range(151, 201), *range(261, 401)},
    }

    pages = await inboxes.pages(cooperative, reader, state, 30)

    found = [number for page in pages for number in page]
    assert found == [each for place, each in enumerate(everything, 1) if place in places[state]]
    assert max(map(len, pages)) == 30


async def test_unread_alerts_behind_many_read_ones_are_found(inboxes: Inboxes):
    """Pages that hold nothing lead to those that do."""
    count = 2 * MOST_LOOKED_AT + 70
    cooperative, reader = await inboxes.filled(count), uuid.uuid4()
    await inboxes.marked(cooperative, reader, "read", 1, count - 60)

    pages = await inboxes.pages(cooperative, reader, "unread", LIMIT)

    assert [len(page) for page in pages] == [0, 0, LIMIT, 10]


async def test_an_account_that_read_everything_comes_to_an_end(inboxes: Inboxes):
    cooperative, reader = await inboxes.filled(MOST_LOOKED_AT), uuid.uuid4()
    await inboxes.marked(cooperative, reader, "read", 1, MOST_LOOKED_AT)

    pages = await inboxes.pages(cooperative, reader, "unread", LIMIT)

    assert [len(page) for page in pages] == [0, 0]


async def test_a_correction_shows_what_the_alert_before_it_said(inboxes: Inboxes):
    """Of an edition in the middle, the one before it, not the first and not the newest."""
    cooperative = await inboxes.filled(1)
    await inboxes.run(
        "INSERT INTO subject_history (subject_id, version, content, reference_on)"
        " SELECT subject_id, v, jsonb_build_object('v', v), reference_on"
        "   FROM subject, generate_series(2, 4) AS v"
    )
    await inboxes.run(
        "INSERT INTO alert (subject_id, cooperative_id, edition, kind, subject_version,"
        " audience_version, eligible_tracks, unknown_tracks, unknown_fields)"
        " SELECT subject_id, cooperative_id, v, 'updated', v, 1, 1, 0, 0"
        "   FROM alert, generate_series(2, 4) AS v"
    )

    page = await inboxes.page(cooperative, uuid.uuid4(), None)

    texts = [each.row.content_before for each in page.alerts]
    before = [json.loads(text) if text else None for text in texts]
    assert before[:2] == [{"v": 3}, {"v": 2}]
    assert before[2]["kind"] == "call"
    assert before[3] is None
