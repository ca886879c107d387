"""Correction: a deadline moves straight after a wide fan-out, of which no statistics know yet."""

from __future__ import annotations

import time

from shared.contracts.funding import CallDeadlineExtended, CallOpened

from .calls import WIDE
from .fanout import FanoutRuns, outgoing_event
from .measured_system import Broken, MeasuredSystem
from .rows import Row, compared

BUDGET = 2.0
"""A correction reads what the fan-out wrote, and writes as much again."""
_ALERTS_OF_OTHERS = """
INSERT INTO alert (subject_id, cooperative_id, edition, kind, subject_version, audience_version,
                   eligible_tracks, unknown_tracks, unknown_fields)
SELECT gen_random_uuid(), cooperative_id, 0, 'opened', 1, version, 1, 0, 0 FROM audience
"""


async def measure(system: MeasuredSystem) -> list[Row]:
    """Each correction beside the fan-out that it corrects."""
    fanouts: list[float] = []
    corrections: list[float] = []
    async with FanoutRuns.begun(system) as fanout_runs:
        database = fanout_runs.database
        await database.execute("ALTER TABLE alert SET (autovacuum_enabled = false)")
        for _ in system.rounds(system.sizes.rounds + 1):
            await database.execute("TRUNCATE alert")
            await database.execute(_ALERTS_OF_OTHERS)
            await database.execute("ANALYZE alert")
            await system.checkpoint()
            event = WIDE.opened()
            fanouts.append(await _seconds(fanout_runs, event))
            alerted = await fanout_runs.count(event.call_id)
            corrections.append(await _seconds(fanout_runs, _extended(event)))
            if await fanout_runs.count(event.call_id) != 2 * alerted:
                raise Broken("not everybody who was alerted was corrected, once")
        await database.execute("ALTER TABLE alert RESET (autovacuum_enabled)")
    return [
        compared(
            f"correction straight after a wide fan-out to {alerted:,}, statistics of before",
            corrections[1:],
            fanouts[1:],
            unit="s",
            budget=BUDGET,
            note="event on the broker to last correction committed ÷ the fan-out that it corrects",
        )
    ]


async def _seconds(fanout_runs: FanoutRuns, event: CallOpened | CallDeadlineExtended) -> float:
    """From the event on the broker to the commit of what it makes."""
    before = await fanout_runs.count(event.call_id)

    async def is_alerted() -> bool:
        return await fanout_runs.count(event.call_id) > before

    began = time.perf_counter()
    await fanout_runs.funding.publish_one(outgoing_event(event))
    return await fanout_runs.commits.first_that(is_alerted) - began


def _extended(opened: CallOpened) -> CallDeadlineExtended:
    before = opened.call.deadline
    assert before is not None
    later = before.model_copy(update={"at": before.at.replace(year=before.at.year + 1)})
    call = opened.call.model_copy(update={"version": opened.call.version + 1, "deadline": later})
    return CallDeadlineExtended(
        aggregate_version=call.version,
        call_id=call.call_id,
        call=call,
        previous_deadline=before,
        reason="à la demande des coopératives",
    )
