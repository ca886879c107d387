"""Work that fails is reported and ends; a run that is stopped does not wait for it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random
from typing import Any, cast

import httpx
import pytest

from devkit.pytest_plugin import PATIENCE

from ..journeys.stories import Story
from . import load as work
from .load import Load, RandomSource, Unanswered
from .processes import Processes


@pytest.fixture
def load() -> Load:
    return Load(cast(Story, None), cast(Processes, None), RandomSource("7"))


async def test_an_import_that_never_finishes_is_reported_and_given_up(
    load: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    file = tmp_path / "register.csv"
    file.write_text("")

    async def some(count: int) -> Path:
        return file

    async def busy(*_: Any, **__: Any) -> httpx.Response:
        return httpx.Response(409, text="an import is under way")

    monkeypatch.setattr(load, "_some_who_move", some)
    monkeypatch.setattr(load, "ask", busy)
    monkeypatch.setattr(work, "PATIENCE", 0.0)

    with pytest.raises(Unanswered, match="an import is under way"):
        await load._import_some(Random(7))


async def test_an_error_of_any_kind_is_noted_and_the_work_goes_on(
    load: Load, monkeypatch: pytest.MonkeyPatch
):
    second = asyncio.Event()

    async def fails(random: Random) -> None:
        if load.unexpected:
            second.set()
        raise KeyError("state")

    monkeypatch.setattr(work, "PAUSE", 0.0)
    load.flow()
    task = asyncio.create_task(load._repeat(fails, Random(7)))
    async with asyncio.timeout(PATIENCE):
        await second.wait()
    task.cancel()

    assert load.unexpected[0] == "KeyError 'state'"


async def test_a_run_that_is_stopped_does_not_wait_for_what_is_at_hand(
    load: Load, monkeypatch: pytest.MonkeyPatch
):
    begun = asyncio.Event()

    async def never_done(random: Random) -> None:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(work, "PAUSE", 0.0)
    for name in (
        "_work_on_call",
        "_work_on_idea",
        "_change_record",
        "_renew_partner_queue",
        "_import_some",
    ):
        monkeypatch.setattr(load, name, never_done)

    async def stopped() -> None:
        async with asyncio.timeout(PATIENCE), load.running():
            load.flow()
            await begun.wait()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await stopped()
