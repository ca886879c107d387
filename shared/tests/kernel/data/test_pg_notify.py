"""Notifications at commits: whatever ends the listening, it begins again."""

from __future__ import annotations

import asyncpg
import pytest
from sqlalchemy import func, select
from structlog.testing import capture_logs

from devkit.pytest_plugin import eventually
from shared.kernel.data.database import make_engine
from shared.kernel.data.pg_notify import NotifyListener

CHANNEL = "stones"


class Stumbling(NotifyListener):
    """A listener whose first connection ends by an error."""

    error: Exception | None

    async def _listen_once(self) -> None:
        error, self.error = self.error, None
        if error is not None:
            raise error
        await super()._listen_once()


@pytest.mark.parametrize(
    ("error", "warnings"),
    [(asyncpg.InternalClientError("another operation is in progress"), 0), (LookupError(), 1)],
    ids=["the client", "a mistake"],
)
async def test_listening_begins_again_whatever_ended_it(
    postgres_url: str, error: Exception, warnings: int
):
    listener = Stumbling(postgres_url, CHANNEL, retry_seconds=0.01)
    listener.error = error
    engine = make_engine(postgres_url)

    with capture_logs() as logs:
        async with listener:
            await eventually(listener._notified.is_set)  # it listens
            listener._notified.clear()
            async with engine.begin() as tx:
                await tx.execute(select(func.pg_notify(CHANNEL, "")))
            await eventually(listener._notified.is_set)
    await engine.dispose()

    assert sum(line["event"] == "listening to the database failed" for line in logs) == warnings
