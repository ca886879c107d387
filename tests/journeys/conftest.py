"""One running system for all journeys; each brings its own calls, ideas and partners."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from devkit.stack import Stack

from .outages import breakable, breaker, session_breaker
from .stories import Story, end, started

__all__ = ["breakable", "breaker", "session_breaker"]

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder is a journey, and waits for many things one after the other."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.journey)
            item.add_marker(pytest.mark.timeout(1800))
            # What a killed server leaves half open on our side goes with the collector.
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"))


@pytest.fixture(scope="session")
async def stack(run_folder: Path) -> AsyncIterator[Stack]:
    """Servers and services as in production, with short delays. Leave it as you found it."""
    stack = await started(run_folder / "journeys")
    yield stack
    await asyncio.to_thread(end, stack)


@pytest.fixture(scope="session")
async def story(stack: Stack, run_folder: Path) -> AsyncIterator[Story]:
    """The stack with a register of 3,000 cooperatives and an operator who is signed in."""
    async with Story.begun(stack, run_folder / "files", count=3000, later=2400) as story:
        yield story
