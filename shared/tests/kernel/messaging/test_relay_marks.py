"""Which rows the relay marks as sent: none overtakes an earlier one of its aggregate."""

from __future__ import annotations

import uuid
from types import SimpleNamespace

import pytest
from aiormq.exceptions import ChannelAccessRefused
from sqlalchemy import text

from shared.kernel.messaging import topology
from shared.kernel.messaging.publisher import Unroutable
from shared.kernel.messaging.relay import markable

from .harness import a_stone, channel_of, event_source, open_queue

FAILED = ConnectionError()


@pytest.mark.parametrize(
    ("outcomes", "marked"),
    [
        ({"a1": None, "b2": None, "a3": None}, [1, 2, 3]),
        ({"a1": FAILED, "b2": None, "a3": None}, [2]),
        ({"a1": None, "b2": None, "a3": FAILED, "a4": None, "b5": None}, [1, 2, 5]),
        ({"a1": Unroutable(), "a2": None}, []),
        ({"a1": ValueError("never"), "a2": None}, [2]),
        ({"a1": ChannelAccessRefused(), "a2": None}, []),
    ],
    ids=["all", "first-fails", "middle-fails", "unroutable", "own-fault", "refused-in-company"],
)
def test_a_row_is_marked_only_if_every_earlier_row_of_its_aggregate_is(outcomes, marked):
    rows = [SimpleNamespace(seq=int(name[1]), aggregate_id=name[0]) for name in outcomes]

    assert markable(rows, list(outcomes.values())) == marked


async def test_a_row_behind_an_unsent_one_of_its_aggregate_is_not_marked(vhost, databases):
    stone = uuid.uuid4()
    async with event_source(vhost.admin_url, vhost.url("masonry"), databases.kernel()) as made:
        async with open_queue(made.admin_url, "masonry.stone.laid.*"):
            async with channel_of(made.admin_url) as channel:
                await channel.queue_delete(topology.UNROUTED)
            await made.write(a_stone(1, stone), a_stone(2, stone), a_stone(3))
            async with made.engine.begin() as tx:
                await tx.execute(text("UPDATE outbox SET topic='masonry.gone.v1' WHERE seq=1"))

            await made.relay.send_batch()

        marks = [row.published_at is not None for row in await made.rows()]
    assert marks == [False, False, True]
