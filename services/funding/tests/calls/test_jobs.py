"""The jobs of funding, run as the process runs them."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from devkit import pytest_plugin
from devkit.pytest_plugin import Tokens, eventually
from funding.app import create_app
from funding.calls import jobs
from funding.calls.domain.call import Call, State
from shared.kernel.data.database import make_engine, make_sessions
from shared.kernel.data.tables import OutboxRow
from shared.kernel.jobs.runner import Runner

from .builders import a_call

pytestmark = pytest.mark.servers


async def test_a_running_job_closes_and_publishes_a_call_past_its_deadline(
    databases: pytest_plugin.TestDatabases, tokens: Tokens
):
    url = databases.fresh("funding")
    engine = make_engine(url)
    sessions = make_sessions(engine)
    a_minute_ago = datetime.now(UTC) - timedelta(minutes=1)
    async with sessions.begin() as session:
        session.add(a_call(state=State.OPEN, closes_at=a_minute_ago))

    async def published_topics() -> list[str]:
        async with sessions() as session:
            return list((await session.scalars(select(OutboxRow.topic))).all())

    async with pytest_plugin.api(create_app, "funding", url, tokens) as api:
        api.runtime.sessions = sessions
        job = asyncio.create_task(Runner(url, [jobs.close_expired_calls(api.runtime)]).run())
        topics = await eventually(published_topics)
        job.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await job

    async with sessions() as session:
        call = (await session.scalars(select(Call))).one()
    await engine.dispose()
    assert topics == ["funding.call.closed.v1"]
    assert (call.state, call.version) == (State.CLOSED, 3)
