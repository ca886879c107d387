"""What is past its retention is deleted, and nothing else."""

from __future__ import annotations

from sqlalchemy import text

from shared.kernel.messaging.retention import delete_settled

from .harness import EventSource, a_stone


async def test_only_events_sent_longer_ago_than_the_retention_are_deleted(source: EventSource):
    await source.publish(a_stone(1), a_stone(2))
    await source.write(a_stone(3))
    async with source.engine.begin() as tx:
        await tx.execute(
            text("UPDATE outbox SET published_at = now() - interval '8 days' WHERE seq = 1")
        )

    assert await delete_settled(source.engine, days=7) == 1

    assert [row.published_at is None for row in await source.rows()] == [False, True]
