"""The kill matrix in short: a few faults while work goes on, then a look at every id."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from ..chaos.crew import Crew
from ..chaos.matrix import MATRIX, Campaign, Fault
from .breaking import Sabotage
from .stories import Story

SEED = 7
SHORT = {"kill -9 notifications": 2, "kill -9 funding": 1}
REPLICAS = {"notifications": 2, "funding": 2}


@pytest.fixture
async def campaign(breakable: Story, sabotage: Sabotage) -> AsyncIterator[Campaign]:
    """Two processes of the services that are killed, and work for all."""
    crew = Crew(breakable.stack, REPLICAS)
    try:
        async with Campaign(breakable, crew, seed=SEED).begun() as campaign:
            yield campaign
    finally:
        crew.end_replicas()


def fault_of(name: str) -> Fault:
    return next(fault for fault in MATRIX if fault.name == name)


@pytest.mark.timeout(300)
async def test_killed_in_the_middle_of_work_nothing_is_lost_or_doubled(campaign: Campaign) -> None:
    for name, times in SHORT.items():
        result = await campaign.row(fault_of(name), times, lambda: None)

        assert result.faults() == []
        assert result.verdict.alerts > 0
        assert result.verdict.partner_events > 0
