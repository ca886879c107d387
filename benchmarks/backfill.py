"""Backfill: changed cooperatives against ever more subjects that are open."""

from __future__ import annotations

import time
from uuid import UUID

from .calls import NARROW, NARROW_REGION
from .fanout import FanoutRuns
from .measured_system import Broken, MeasuredSystem, until
from .rows import Row, compared

CHANGED = (1, 500)
"""One record by hand, and as many as one message of an import."""

COPIES = """
INSERT INTO subject
SELECT copy.* FROM (SELECT to_jsonb(s) AS known FROM subject AS s LIMIT 1) AS one,
    generate_series(1, $1) AS number,
    jsonb_populate_record(
        NULL::subject, known || jsonb_build_object('subject_id', gen_random_uuid(), '#', number)
    ) AS copy
"""
PLACES = f"""
UPDATE subject SET content = jsonb_set(
    content, '{{tracks,0,criteria,regions,0}}',
    CASE WHEN subject_id IN (SELECT subject_id FROM subject ORDER BY subject_id LIMIT $1)
         THEN '"{NARROW_REGION}"'::jsonb ELSE '"MA-01"' END
)
"""
_CHANGED = f"""
SELECT array_agg(cooperative_id) FROM (
    SELECT cooperative_id FROM audience ORDER BY ({NARROW.where}) DESC, cooperative_id LIMIT $1
) AS first
"""
CONCERNED = 10
"""Open subjects that are for those who changed; all others are for another region."""


async def measure(system: MeasuredSystem) -> list[Row]:
    """Subjects with the criteria of the narrow call; nobody who changed was alerted of them yet."""
    smallest, *more = system.sizes.open_subjects
    seconds: dict[tuple[int, int], list[float]] = {}
    async with FanoutRuns.begun(system) as fanout_runs:
        await fanout_runs.ours(NARROW)
        for size in system.sizes.open_subjects:
            system.say(f"matches to backfill: {size:,} open subjects")
            there = await fanout_runs.database.fetchval("SELECT count(*) FROM subject")
            await fanout_runs.database.execute(COPIES, size - there)
            await fanout_runs.database.execute(PLACES, CONCERNED)
            await fanout_runs.database.execute("VACUUM ANALYZE subject")
            for changed in CHANGED:
                who = await fanout_runs.database.fetchval(_CHANGED, changed)
                await _once(fanout_runs, who, size)
                seconds[changed, size] = [
                    await _once(fanout_runs, who, size) for _ in system.rounds(system.sizes.rounds)
                ]
    return [
        compared(
            f"matches to backfill: {changed:,} changed, {size:,} ÷ {smallest:,} open subjects",
            [1000 * s for s in seconds[changed, size]],
            [1000 * s for s in seconds[changed, smallest]],
            unit="ms",
            note="change committed to last alert committed; a fan-out that comes meanwhile waits",
        )
        for changed in CHANGED
        for size in more
    ]


async def _once(fanout_runs: FanoutRuns, changed: list[UUID], subjects: int) -> float:
    """Seconds from the note of a change, as an import writes it, to the end of its backfill."""
    database = fanout_runs.database
    await database.execute("TRUNCATE alert")
    await fanout_runs.system.checkpoint()
    began = time.perf_counter()
    await database.execute("INSERT INTO audience_change (cooperatives) VALUES ($1)", changed)

    async def processed() -> bool:
        return not await database.fetchval("SELECT count(*) FROM audience_change")

    await until(processed, every=0.001)
    ended = time.perf_counter()
    alerted = await database.fetchval("SELECT count(DISTINCT subject_id) FROM alert")
    if alerted != min(CONCERNED, subjects):
        raise Broken(f"recipients were alerted of {alerted} of {subjects} subjects")
    return ended - began
