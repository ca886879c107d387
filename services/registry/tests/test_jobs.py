"""The clock of the registry, as the process runs it."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from sqlalchemy import insert, select, text

from registry import jobs, models
from registry.app import create_app
from shared import testing
from shared.database import make_engine, make_sessions
from shared.testing import Tokens, eventually

pytestmark = pytest.mark.servers


async def test_a_running_clock_forgets_sign_in_failures_that_count_no_more(
    databases: testing.TestDatabases, tokens: Tokens
) -> None:
    url = databases.fresh("registry")
    engine = make_engine(url)
    sessions = make_sessions(engine)
    failures = models.sign_in_failure
    async with sessions.begin() as session:
        old = text("now() - interval '16 minutes'")
        await session.execute(insert(failures).values(email_mark="old", at=old))
        await session.execute(insert(failures).values(email_mark="new"))

    async def only_new() -> bool:
        async with sessions() as session:
            return list(await session.scalars(select(failures.c.email_mark))) == ["new"]

    async with testing.api(create_app, "registry", url, tokens) as door:
        door.runtime.sessions = sessions
        clock = asyncio.create_task(jobs.forget(door.runtime))
        await eventually(only_new)
        clock.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await clock
    await engine.dispose()
