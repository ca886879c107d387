"""The kill matrix in short: a few faults while work goes on, then a look at every id."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from devkit.pytest_plugin import PATIENCE

from ..chaos.matrix import MATRIX, Campaign, Fault
from ..chaos.processes import Processes
from ..chaos.verification import Verdict
from .outages import Breaker
from .stories import Story

SEED = 7
SHORT = {"kill -9 notifications": 2, "kill -9 funding": 1}
REPLICAS = {"notifications": 2, "funding": 2}


@pytest.fixture
async def campaign(breakable: Story, breaker: Breaker) -> AsyncIterator[Campaign]:
    """Two processes of the services that are killed, and work for all."""
    processes = Processes(breakable.stack, REPLICAS)
    try:
        async with Campaign(breakable, processes, seed=SEED).begun() as campaign:
            # A fault or two make a row here, so each has to find its moment, on any machine.
            campaign.context.looking_seconds = PATIENCE
            yield campaign
    finally:
        processes.end_replicas()


def fault_of(name: str) -> Fault:
    return next(fault for fault in MATRIX if fault.name == name)


async def test_killed_in_the_middle_of_work_nothing_is_lost_or_doubled(campaign: Campaign) -> None:
    for name, times in SHORT.items():
        result = await campaign.row(fault_of(name), times, lambda: None)

        assert result.faults() == []
        assert result.verdict.alerts > 0
        assert result.verdict.partner_events > 0
    await would_see_what_is_missing(campaign)


async def would_see_what_is_missing(campaign: Campaign) -> None:
    """The look itself: one alert and one cooperative less, and it says so."""
    subjects = campaign.load.subjects
    verdict = Verdict()
    async with campaign.story.database("notifications") as connection:
        query = "SELECT * FROM alert WHERE subject_id = ANY($1) AND edition = 0 LIMIT 1"
        alert = dict(await connection.fetchrow(query, [s.subject_id for s in subjects]))
        cooperative = dict(await connection.fetchrow("SELECT * FROM audience LIMIT 1"))
        await connection.execute("DELETE FROM alert WHERE seq = $1", alert["seq"])
        who = cooperative["cooperative_id"]
        await connection.execute("DELETE FROM audience WHERE cooperative_id = $1", who)
        try:
            await campaign.inspector.compare(verdict, subjects)
        finally:
            await put_back(connection, "alert", alert)
            await put_back(connection, "audience", cooperative)

    assert verdict.lost >= 1
    assert "1 rows of the audience differ from the register" in verdict.wrong


async def put_back(connection: asyncpg.Connection, table: str, row: dict[str, Any]) -> None:
    names, places = ", ".join(row), ", ".join(f"${n}" for n in range(1, len(row) + 1))
    await connection.execute(
        f"INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE VALUES ({places})", *row.values()
    )
