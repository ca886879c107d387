"""A subject of a moment ago, of which statistics know nothing: no statement joins quadratically.

Autoanalyze has seen the alerts of many small subjects. The planner then expects a row or two of a
subject, where a fan-out has just written thousands.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from devkit.statement_rows import Touched, touched_rows
from notifications.contacts.usecases import person_part
from notifications.explanations.queries import find_why
from notifications.fanout import handlers
from notifications.fanout.domain.fanout_approval import ApprovalState
from notifications.fanout.models import alert
from notifications.fanout.queries import totals
from notifications.fanout.usecases import backfill, fanout_approval
from notifications.inbox.queries import read_inbox
from notifications.ledger.queries import Place, count_waiting, ledger_page
from shared.contracts.registry import PersonErasureRequested
from shared.kernel.auth.tokens import Principal, Role
from shared.kernel.data.database import make_engine, make_sessions

from ..builders import a_call, a_track, extended, opened

pytestmark = pytest.mark.servers

COOPERATIVES = 4_000
OPERATOR = Principal(subject=uuid.uuid4(), roles=frozenset({Role.OPERATOR}))
ROWS_EACH = 20
"""Most rows that a statement may touch per cooperative: it looks at each a few times, in several
steps. A nested loop over two large parts touches thousands per cooperative."""
TRACKS = (
    a_track(provinces=["MA-TIZ"], branches=["BEEKEEPING"]),
    a_track(regions=["MA-09"], min_share_women={"percent": 50}),
)

_AUDIENCE = text(
    """
WITH made AS (
    INSERT INTO audience (cooperative_id, version, language, legal_status, region, province, sector,
                          branch, members_total, members_women, members_youth, created_on)
    SELECT gen_random_uuid(), 1, 'fr', 'registered', 'MA-09', 'MA-TIZ', 'ARGAN',
           CASE n % 2 WHEN 0 THEN 'BEEKEEPING' END, 10, CASE n % 3 WHEN 0 THEN NULL ELSE 7 END, 2,
           DATE '2020-05-04'
      FROM generate_series(1, :count) n
    RETURNING *
)
INSERT INTO audience_history (cooperative_id, version, legal_status, region, province, sector,
                              branch, members_total, members_women, members_youth, created_on)
SELECT cooperative_id, version, legal_status, region, province, sector, branch, members_total,
       members_women, members_youth, created_on
  FROM made
"""
)
_ALERTS_OF_OTHERS = text(
    """
INSERT INTO alert (subject_id, cooperative_id, edition, kind, subject_version, audience_version,
                   eligible_tracks, unknown_tracks, unknown_fields)
SELECT gen_random_uuid(), cooperative_id, 0, 'opened', 1, 1, 1, 0, 0 FROM audience
"""
)
_STATISTICS = """
ALTER TABLE alert SET (autovacuum_enabled = false);
ANALYZE;
"""


@dataclass
class Register:
    """A database with an audience, and statistics that expect one alert of a subject."""

    engine: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[tuple[AsyncSession, list[Touched]]]:
        """A transaction whose statements are looked at; none may touch rows quadratically."""
        with touched_rows(self.engine) as touched:
            async with self.sessions.begin() as session:
                yield session, touched
        assert any("alert" in each.statement for each in touched)
        slow = [each for each in touched if each.rows > ROWS_EACH * COOPERATIVES]
        assert not slow, f"{slow[0].rows:,.0f} rows: {slow[0].statement}\n{slow[0].plan}"


@pytest.fixture
async def register(databases) -> AsyncIterator[Register]:
    engine = make_engine(databases.fresh("notifications"))
    sessions = make_sessions(engine)
    async with sessions.begin() as session:
        await session.execute(_AUDIENCE, {"count": COOPERATIVES})
        await session.execute(_ALERTS_OF_OTHERS)
    async with engine.connect() as connection:
        raw = await connection.get_raw_connection()
        await raw.driver_connection.execute(_STATISTICS)
    yield Register(engine, sessions)
    await engine.dispose()


@pytest.fixture
async def call(register):
    """A call that was opened a moment ago; everybody was alerted of it."""
    call = a_call(*TRACKS)
    async with register.watched() as (session, _):
        await handlers.follow_call(opened(call), session)
    return call


async def alerts_of(register, call):
    async with register.sessions() as session:
        return await session.scalar(select(func.count()).where(alert.c.subject_id == call.call_id))


async def test_a_correction_soon_after_the_fan_out(register, call):
    before = await alerts_of(register, call)

    async with register.watched() as (session, _):
        await handlers.follow_call(extended(call), session)

    assert await alerts_of(register, call) == 2 * before == 2 * COOPERATIVES


async def test_a_second_correction_soon_after_the_first(register, call):
    async with register.sessions.begin() as session:
        await handlers.follow_call(extended(call), session)

    newer = call.model_copy(update={"version": call.version + 1})
    async with register.watched() as (session, _):
        await handlers.follow_call(extended(newer), session)

    assert await alerts_of(register, call) == 3 * COOPERATIVES


async def test_totals_and_recipients(register, call):
    async with register.watched() as (session, _):
        by_sector = await totals.totals_by(
            session, call.call_id, "sector", within=frozenset({"MA-TIZ"})
        )
        await totals.repeated_alerts(session, call.call_id, within=frozenset({"MA-TIZ"}))
        await totals.corrections_of(session, call.call_id, within=frozenset({"MA-TIZ"}))
        await totals.recipients(session, call.call_id, after=None, limit=1000)
        assert await fanout_approval.count_alerted(session, call.call_id) == COOPERATIVES

    assert sum(eligible + unknown for _, eligible, unknown in by_sector) == COOPERATIVES


async def test_the_ledger_with_those_who_wait(register, call):
    async with register.sessions.begin() as session:
        await fanout_approval.decide_approval(
            session, OPERATOR, call.call_id, ApprovalState.HELD, reason="a typo"
        )
        await session.execute(_AUDIENCE, {"count": 10})

    async with register.watched() as (session, _):
        found = await totals.get_subject(session, call.call_id)
        assert await count_waiting(session, found) == 10
        place: Place | None = Place()
        rows = []
        while place is not None:
            page, place = await ledger_page(
                session, call.call_id, place, COOPERATIVES, within=frozenset({"MA-TIZ"})
            )
            rows += page

    assert len(rows) == COOPERATIVES + 10


async def test_a_release_that_backfills(register, call):
    async with register.sessions.begin() as session:
        await fanout_approval.decide_approval(
            session, OPERATOR, call.call_id, ApprovalState.HELD, reason="a typo"
        )
        await session.execute(_AUDIENCE, {"count": 10})
        found = await totals.get_subject(session, call.call_id)
        found.missed_matches = True

    async with register.watched() as (session, _):
        await fanout_approval.decide_approval(
            session, OPERATOR, call.call_id, ApprovalState.RELEASED, reason="mended"
        )

    assert await alerts_of(register, call) == COOPERATIVES + 10


async def test_a_backfill_of_many(register, call):
    async with register.sessions() as session:
        everybody = (
            await session.scalars(
                select(alert.c.cooperative_id).where(alert.c.subject_id == call.call_id)
            )
        ).all()

    async with register.watched() as (session, _):
        _, alerted = await backfill.backfill_matches(session, everybody)

    assert alerted == 0


async def test_an_inbox_an_explanation_and_the_request_of_a_person(register, call):
    async with register.sessions() as session:
        one = await session.scalar(
            select(alert.c.cooperative_id).where(alert.c.subject_id == call.call_id).limit(1)
        )

    async with register.watched() as (session, _):
        page = await read_inbox(
            session,
            cooperative_id=one,
            account_id=uuid.uuid4(),
            state=None,
            before=None,
            limit=50,
        )
        why = await find_why(session, call.call_id, one, at=None)
        await person_part(
            session,
            PersonErasureRequested(
                aggregate_version=1,
                request_id=uuid.uuid4(),
                account_ids=(uuid.uuid4(),),
                cooperatives=({"cooperative_id": one, "version": 1},),
            ),
            None,
        )

    assert (len(page.alerts), len(why.alerts)) == (1, 1)
