"""Which rows there are, what each needs, and the run through them."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from devkit.stack_layout import SERVICES

from . import (
    backfill,
    beside_backfill,
    consuming,
    correction,
    disk,
    fanout,
    feeds,
    growth,
    hop,
    importing,
    inbox,
    memory,
    peer_libraries,
    refusing,
    relaying,
    starting,
)
from .measured_system import MeasuredSystem
from .report import Report, surroundings
from .rows import Row


@dataclass(frozen=True)
class Group:
    """Rows that are measured together, and the processes that must run for them."""

    measure: Callable[[MeasuredSystem], Awaitable[list[Row]]]
    services: tuple[str, ...] = ()


GROUPS = {
    "start": Group(starting.measure),
    "refusal": Group(refusing.measure),
    "fanout": Group(fanout.measure, ("notifications",)),
    "correction": Group(correction.measure, ("notifications",)),
    "inbox": Group(inbox.measure, ("registry", "notifications")),
    "hop": Group(hop.measure, ("registry", "ideas", "notifications")),
    "consumer": Group(consuming.measure),
    "relay": Group(relaying.measure),
    "import": Group(importing.measure, ("registry", "notifications")),
    "growth": Group(growth.measure, ("notifications",)),
    "backfill": Group(backfill.measure, ("notifications",)),
    "beside_backfill": Group(beside_backfill.measure, ("notifications",)),
    "feeds": Group(feeds.measure, ("notifications",)),
    "disk": Group(disk.measure, ("notifications",)),
    "memory": Group(memory.measure, SERVICES),
    "peers": Group(peer_libraries.measure, ("notifications",)),
}


def services_of(names: Sequence[str]) -> list[str]:
    """The processes of these groups, the issuer of tokens first."""
    needed = {service for name in names for service in GROUPS[name].services}
    return [service for service in SERVICES if service in needed]


async def run(system: MeasuredSystem, names: Sequence[str]) -> Report:
    """The groups one after the other; the report names those that no time was left for."""
    report = Report(
        environment=await surroundings(system),
        growth=system.growth,
        statements=system.statements,
    )
    began = time.monotonic()
    for name in names:
        if system.seconds_left <= 0:
            report.left_out.append(f"{name} (out of time)")
            continue
        if name == "peers" and (missing := peer_libraries.missing()):
            report.left_out.append(f"peers (not installed: {', '.join(missing)})")
            continue
        system.say(f"{name} …")
        started = time.monotonic()
        report.rows += await GROUPS[name].measure(system)
        system.say(f"{name}: {time.monotonic() - started:.0f} s")
    report.environment["minutes"] = round((time.monotonic() - began) / 60, 1)
    report.environment["machine"]["load_after"] = round(os.getloadavg()[0], 1)
    return report
