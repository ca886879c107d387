"""Late matches: changed cooperatives against ever more subjects that are open."""

from __future__ import annotations

import time
from uuid import UUID

from .calls import NARROW, NARROW_REGION
from .fanout import Tellings
from .lab import Broken, Lab, until
from .rows import Row, compared

CHANGED = (1, 500)
"""One record by hand, and as many as one message of an import."""

_COPIES = """
INSERT INTO subject
SELECT copy.* FROM (SELECT to_jsonb(s) AS known FROM subject AS s LIMIT 1) AS one,
    generate_series(1, $1) AS number,
    jsonb_populate_record(
        NULL::subject, known || jsonb_build_object('subject_id', gen_random_uuid(), '#', number)
    ) AS copy
"""
_PLACES = f"""
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


async def measure(lab: Lab) -> list[Row]:
    """Subjects with the criteria of the narrow call; nobody who changed was told of them yet."""
    smallest, *more = lab.sizes.open_subjects
    seconds: dict[tuple[int, int], list[float]] = {}
    async with Tellings.begun(lab) as tellings:
        await tellings.ours(NARROW)
        for size in lab.sizes.open_subjects:
            lab.say(f"late matches: {size:,} open subjects")
            there = await tellings.database.fetchval("SELECT count(*) FROM subject")
            await tellings.database.execute(_COPIES, size - there)
            await tellings.database.execute(_PLACES, CONCERNED)
            await tellings.database.execute("VACUUM ANALYZE subject")
            for changed in CHANGED:
                who = await tellings.database.fetchval(_CHANGED, changed)
                await _once(tellings, who, size)
                seconds[changed, size] = [
                    await _once(tellings, who, size) for _ in lab.rounds(lab.sizes.rounds)
                ]
    return [
        compared(
            f"late matches: {changed:,} changed, {size:,} ÷ {smallest:,} open subjects",
            [1000 * s for s in seconds[changed, size]],
            [1000 * s for s in seconds[changed, smallest]],
            unit="ms",
            note="change committed to last alert committed; a fan-out that comes meanwhile waits",
        )
        for changed in CHANGED
        for size in more
    ]


async def _once(tellings: Tellings, changed: list[UUID], subjects: int) -> float:
    """Note the change as an import does, and wait until the service has taken the note."""
    database = tellings.database
    await database.execute("TRUNCATE alert")
    await tellings.lab.checkpoint()
    began = time.perf_counter()
    await database.execute("INSERT INTO audience_change (cooperatives) VALUES ($1)", changed)

    async def taken() -> bool:
        return not await database.fetchval("SELECT count(*) FROM audience_change")

    await until(taken, every=0.001)
    ended = time.perf_counter()
    told = await database.fetchval("SELECT count(DISTINCT subject_id) FROM alert")
    if told != min(CONCERNED, subjects):
        raise Broken(f"{told} of {subjects} subjects were told")
    return ended - began
