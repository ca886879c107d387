"""Partner feeds: one fact, from the broker to the feed of every partner that wants it."""

from __future__ import annotations

import time

from .calls import NARROW
from .fanout import Tellings, announcement
from .lab import Lab, until
from .rows import Row, compared

_PARTNERS = """
WITH made AS (
    INSERT INTO partner (slug) SELECT 'partner-' || n FROM generate_series($1::int, $2) AS n
    RETURNING slug
)
INSERT INTO subscription (subscription_id, slug, filter)
SELECT gen_random_uuid(), slug, '{}' FROM made
"""


async def measure(lab: Lab) -> list[Row]:
    """Partners without a filter, who get everything."""
    seconds: dict[int, list[float]] = {}
    async with Tellings.begun(lab) as tellings:
        there = 0
        for size in lab.sizes.partners:
            lab.say(f"partner feeds: {size:,} partners")
            await tellings.database.execute(_PARTNERS, there + 1, size)
            there = size
            await _once(tellings, size)
            seconds[size] = [await _once(tellings, size) for _ in lab.rounds(lab.sizes.rounds)]
        await tellings.database.execute("DELETE FROM subscription")
    smallest, *more = lab.sizes.partners
    return [
        compared(
            f"partner feeds: one fact, {size:,} ÷ {smallest:,} partners",
            [1000 * s for s in seconds[size]],
            [1000 * s for s in seconds[smallest]],
            unit="ms",
            note="fact on the broker to its entry in the last feed, while its call is told beside",
        )
        for size in more
    ]


async def _once(tellings: Tellings, partners: int) -> float:
    database = tellings.database
    before = await database.fetchval("SELECT count(*) FROM feed_entry")
    event = NARROW.opened()
    fact = announcement(event)
    began = time.perf_counter()
    await tellings.funding.publish_one(fact)

    async def numbered() -> bool:
        found = await database.fetchval("SELECT count(*) FROM feed_entry")
        return bool(found == before + partners)

    async def told() -> bool:
        query = "SELECT EXISTS (SELECT FROM alert WHERE subject_id = $1)"
        return bool(await database.fetchval(query, event.call_id))

    await until(numbered, every=0.001)
    ended = time.perf_counter()
    await until(told, every=0.001)
    return ended - began
