"""PostgreSQL on a full disk: messages wait, the cause is named, and nothing is lost."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from devkit.containers import PostgresContainer
from devkit.databases import Databases, StatementRefused
from devkit.pytest_plugin import Vhost, eventually, make_kernel_tables
from shared.kernel import outage_causes
from shared.kernel.admin import health
from shared.kernel.data.tables import DeadLetterRow, InboxRow, OutboxRow
from shared.kernel.messaging import outbox
from shared.kernel.messaging.consumers import Consumers
from shared.kernel.web import problems

from .harness import (
    BeamRaised,
    RunningService,
    StoneLaid,
    a_stone,
    message_of,
    post,
    running_service,
)

PLACE = "/small"
STONES = 5
consumers = Consumers("carpentry")


@consumers.on(StoneLaid, queue="store")
async def store(event: StoneLaid, session: AsyncSession) -> None:
    """A stone was laid: store its plan, which cannot be compressed."""
    await session.execute(
        text("INSERT INTO plan VALUES (:plan)"), {"plan": secrets.token_bytes(200_000)}
    )
    outbox.add(session, BeamRaised(beam_id=event.stone_id))


class SmallPostgres(PostgresContainer):
    """PostgreSQL with a second disk of 24 MB, in memory."""

    def _make(self) -> Any:
        return super()._make().with_tmpfs_mount(PLACE, "size=24m")

    def give_place(self) -> None:
        """The small disk belongs to the server."""
        engine = import_module("docker").from_env()
        try:
            container = engine.containers.get(self._record.read_text())
            code, output = container.exec_run(["chown", "postgres", PLACE], user="root")
        finally:
            engine.close()
        assert code == 0, output


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Databases]:
    server = SmallPostgres(tmp_path, outlives_us=False)
    server.start()
    try:
        server.give_place()
        server.databases.run(f"CREATE TABLESPACE small LOCATION '{PLACE}'")
        yield server.databases
    finally:
        server.stop()


def fill(own: Databases) -> None:
    """Fill the disk, so that no page is free afterwards."""
    own.run(
        "CREATE TABLE filler (bytes bytea); ALTER TABLE filler ALTER bytes SET STORAGE EXTERNAL"
    )
    for size in (1_000_000, 100_000, 4_000, 4_000):
        with pytest.raises(StatementRefused, match="No space left on device"):
            _insert_for_ever(own, size)


def _insert_for_ever(own: Databases, size: int) -> None:
    while True:
        own.run(f"INSERT INTO filler VALUES (decode(repeat('00', {size}), 'hex'))")


async def test_a_full_disk_holds_messages_up_and_loses_none(vhost: Vhost, small: Databases):
    url = small.create("carpentry")
    small.run("ALTER DATABASE carpentry SET TABLESPACE small")
    await make_kernel_tables(url)
    own = Databases(url, small.secrets)
    own.run("CREATE TABLE plan (plan bytea)")
    fill(own)

    async with running_service(consumers, vhost.admin_url, vhost.url("carpentry"), url) as service:
        for number in range(STONES):
            stone = a_stone(number)
            await post(vhost.url("masonry"), message_of(stone), stone.topic)
        await eventually(lambda: service.processor.waiting == STONES)
        answer = await health.readyz(service.runtime)
        refused = await _what_a_caller_reads(service)

        assert json.loads(bytes(answer.body))["causes"] == {
            "not_paused": str(outage_causes.DISK_FULL)
        }
        assert refused == (503, "no-room")
        own.run("DROP TABLE filler")
        await eventually(lambda: _all_done(service))

        assert (await service.count(InboxRow), await service.count(OutboxRow)) == (STONES, STONES)
        assert await service.count(DeadLetterRow) == 0
    assert own.run("SELECT count(*) FROM plan") == str(STONES)


async def _what_a_caller_reads(service: RunningService) -> tuple[int, str]:
    try:
        async with service.sessions.begin() as session:
            await store(a_stone(), session)
    except Exception as error:
        answer = problems.unexpected(error)
        return answer.status_code, json.loads(bytes(answer.body))["code"]
    raise AssertionError("there was room")


async def _all_done(service: RunningService) -> bool:
    return await service.count(InboxRow) == STONES
