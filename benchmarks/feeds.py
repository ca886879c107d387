"""Partner feeds: one event, from the broker to the feed of every partner that wants it."""

from __future__ import annotations

import time

from .calls import NARROW
from .fanout import FanoutRuns, outgoing_event
from .measured_system import MeasuredSystem, until
from .rows import Row, compared

_PARTNERS = """
WITH made AS (
    INSERT INTO partner (slug) SELECT 'partner-' || n FROM generate_series($1::int, $2) AS n
    RETURNING slug
)
INSERT INTO subscription (subscription_id, slug, filter)
SELECT gen_random_uuid(), slug, '{}' FROM made
"""


async def measure(system: MeasuredSystem) -> list[Row]:
    """Partners without a filter, who get everything."""
    seconds: dict[int, list[float]] = {}
    async with FanoutRuns.begun(system) as fanout_runs:
        there = 0
        for size in system.sizes.partners:
            system.say(f"partner feeds: {size:,} partners")
            await fanout_runs.database.execute(_PARTNERS, there + 1, size)
            there = size
            await _once(fanout_runs, size)
            seconds[size] = [
                await _once(fanout_runs, size) for _ in system.rounds(system.sizes.rounds)
            ]
        await fanout_runs.database.execute("DELETE FROM subscription")
    smallest, *more = system.sizes.partners
    return [
        compared(
            f"partner feeds: one event, {size:,} ÷ {smallest:,} partners",
            [1000 * s for s in seconds[size]],
            [1000 * s for s in seconds[smallest]],
            unit="ms",
            note="event on the broker to its entry in the last feed, while its call fans out",
        )
        for size in more
    ]


async def _once(fanout_runs: FanoutRuns, partners: int) -> float:
    database = fanout_runs.database
    before = await database.fetchval("SELECT count(*) FROM feed_entry")
    event = NARROW.opened()
    message = outgoing_event(event)
    began = time.perf_counter()
    await fanout_runs.funding.publish_one(message)

    async def numbered() -> bool:
        found = await database.fetchval("SELECT count(*) FROM feed_entry")
        return bool(found == before + partners)

    async def alerted() -> bool:
        query = "SELECT EXISTS (SELECT FROM alert WHERE subject_id = $1)"
        return bool(await database.fetchval(query, event.call_id))

    await until(numbered, every=0.001)
    ended = time.perf_counter()
    await until(alerted, every=0.001)
    return ended - began
