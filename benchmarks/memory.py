"""Memory: what each service holds at rest, and the most it holds during a fan-out."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from devkit.stack_layout import SERVICES

from .calls import WIDE
from .fanout import FanoutRuns
from .measured_system import MeasuredSystem
from .rows import Row, limited

AT_REST, DURING = 200.0, 400.0
MIB = 1024.0


async def measure(system: MeasuredSystem) -> list[Row]:
    """Resident memory, as the kernel counts it; at rest is after whatever ran before."""
    resting = {service: _resident(system, service) for service in SERVICES}
    async with FanoutRuns.begun(system) as fanout_runs:
        most = await _watched(system, fanout_runs)
    count = fanout_runs.matches(WIDE)
    return [
        limited(
            f"memory at rest: {service}",
            resting[service],
            AT_REST,
            unit="MiB",
            note="resident, after the rows above it",
        )
        for service in SERVICES
    ] + [
        limited(
            f"memory during a fan-out: {service}",
            most[service],
            DURING,
            unit="MiB",
            note=f"the most seen, every 10 ms, while {count:,} are alerted",
        )
        for service in SERVICES
    ]


async def _watched(system: MeasuredSystem, fanout_runs: FanoutRuns) -> dict[str, float]:
    most = dict.fromkeys(SERVICES, 0.0)

    async def sample() -> None:
        while True:
            for service in SERVICES:
                most[service] = max(most[service], _resident(system, service))
            await asyncio.sleep(0.01)

    sampling = asyncio.create_task(sample())
    began = time.monotonic()
    while time.monotonic() - began < 2:
        await fanout_runs.ours(WIDE)
    sampling.cancel()
    return most


def _resident(system: MeasuredSystem, service: str) -> float:
    status = Path(f"/proc/{system.stack.process(service).pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) / MIB
