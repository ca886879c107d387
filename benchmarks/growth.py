"""Growth: the same narrow call over ever larger audiences, and a wide one whose matches grow."""

from __future__ import annotations

import statistics

from .calls import NARROW, WIDE
from .fanout import FanoutRuns
from .measured_system import Broken, MeasuredSystem
from .rows import Row, compared

BUDGET = 2.0


async def measure(system: MeasuredSystem) -> list[Row]:
    """The narrow call has equally many matches at each size: what grows is who does not match."""
    narrow: dict[int, list[float]] = {}
    matches = set()
    for size in (system.sizes.cooperatives, *system.sizes.grown):
        system.say(f"growth: {size:,} cooperatives")
        async with FanoutRuns.begun(system, count=size) as fanout_runs:
            await fanout_runs.ours(NARROW)
            narrow[size] = [
                await fanout_runs.ours(NARROW) for _ in system.rounds(system.sizes.rounds)
            ]
            wide = await fanout_runs.ours(WIDE)
            matches.add(fanout_runs.matches(NARROW))
            system.growth.setdefault("narrow", []).append((size, statistics.median(narrow[size])))
            system.growth.setdefault("wide", []).append((size, wide))
            system.growth.setdefault("alerted", []).append((size, fanout_runs.matches(WIDE)))
    if len(matches) != 1:
        raise Broken(f"the narrow call has {sorted(matches)} matches: sizes can't be compared")
    smallest = system.sizes.cooperatives
    return [
        compared(
            f"growth: narrow call, {size:,} ÷ {smallest:,} cooperatives",
            [1000 * s for s in narrow[size]],
            [1000 * s for s in narrow[smallest]],
            unit="ms",
            budget=BUDGET,
            note=f"{matches.copy().pop():,} matches at each size; audience loaded by COPY",
        )
        for size in system.sizes.grown
    ]
