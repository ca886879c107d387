"""The jobs of the registry, run as the process runs them."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from sqlalchemy import insert, select, text

from devkit import pytest_plugin
from devkit.pytest_plugin import Tokens, eventually
from registry.app import create_app
from registry.identity import jobs, models
from shared.kernel.data.database import make_engine, make_sessions
from shared.kernel.jobs.runner import Runner

pytestmark = pytest.mark.servers


async def test_a_running_job_deletes_sign_in_failures_that_count_no_more(
    databases: pytest_plugin.TestDatabases, tokens: Tokens
) -> None:
    url = databases.fresh("registry")
    engine = make_engine(url)
    sessions = make_sessions(engine)
    failures = models.sign_in_failure
    async with sessions.begin() as session:
        old = text("now() - interval '61 minutes'")
        await session.execute(insert(failures).values(email_mark="old", at=old))
        await session.execute(insert(failures).values(email_mark="new"))

    async def only_new() -> bool:
        async with sessions() as session:
            return list(await session.scalars(select(failures.c.email_mark))) == ["new"]

    async with pytest_plugin.api(create_app, "registry", url, tokens) as api:
        api.runtime.sessions = sessions
        job = asyncio.create_task(Runner(url, [jobs.delete_old_failures(api.runtime)]).run())
        await eventually(only_new)
        job.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await job
    await engine.dispose()
