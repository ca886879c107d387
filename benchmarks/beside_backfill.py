"""A new call while an import flows: how long it waits behind the backfill of what is open."""

from __future__ import annotations

import statistics

from .backfill import COPIES, PLACES
from .calls import NARROW
from .fanout import FanoutRuns
from .measured_system import MeasuredSystem
from .rows import Row, limited

OPEN_SUBJECTS = 2_600
CONCERNED = 10
"""Open subjects that are for those who changed; all others are for another region."""
BATCHES, BATCH = 10, 500
_CHANGED = """
INSERT INTO audience_change (cooperatives)
SELECT array_agg(cooperative_id)
  FROM (SELECT cooperative_id, row_number() OVER () % $1 AS batch FROM audience LIMIT $2) AS first
 GROUP BY batch
"""


async def measure(system: MeasuredSystem) -> list[Row]:
    """The narrow call on a quiet system, then each time while as many changes are backfilled."""
    async with FanoutRuns.begun(system) as fanout_runs:
        database = fanout_runs.database
        quiet = [await fanout_runs.ours(NARROW) for _ in system.rounds(system.sizes.rounds)]
        there = await database.fetchval("SELECT count(*) FROM subject")
        await database.execute(COPIES, OPEN_SUBJECTS - there)
        await database.execute(PLACES, CONCERNED)
        await database.execute("VACUUM ANALYZE subject")
        beside = []
        for _ in system.rounds(system.sizes.rounds):
            await database.execute("TRUNCATE audience_change")
            await database.execute(_CHANGED, BATCHES, BATCHES * BATCH)
            beside.append(await fanout_runs.ours(NARROW))
        await database.execute("TRUNCATE audience_change")
    limit = 2 * statistics.median(quiet) + 1
    return [
        limited(
            f"a new call beside a backfill, {BATCHES * BATCH:,} changed, {OPEN_SUBJECTS:,} open",
            statistics.median(beside),
            limit,
            unit="s",
            note="event on the broker to last alert committed; limit: 2 × its quiet time + 1 s",
        )
    ]
