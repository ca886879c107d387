"""What starting costs: processor time of the command's help, and of importing each service."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence

from shared.kernel.installed import installed_services

from .measured_system import MeasuredSystem
from .rows import Row, compared, limited

HELP_SECONDS = 0.3
MOST = 1.5
LIBRARIES = (
    "fastapi",
    "uvicorn",
    "faststream.rabbit",
    "sqlalchemy.ext.asyncio",
    "sqlalchemy.dialects.postgresql.asyncpg",
    "asyncpg",
    "pydantic_settings",
)
"""What every service builds on; SQLAlchemy with its part for asyncpg, FastStream for RabbitMQ."""
LIBRARIES_ALONE = f"import {', '.join(LIBRARIES)}"
SERVED = (
    "import gc; gc.disable(); import shared.kernel.service.server;"
    " from shared.kernel.service.spec import spec_of; spec_of({!r})"
)
"""What `taawon serve` imports, the way it does."""


async def measure(system: MeasuredSystem) -> list[Row]:
    """The commands take turns, after one round that only warms the files up."""
    commands = {
        "help": ("-m", "cli.program", "--help"),
        "libraries": ("-c", LIBRARIES_ALONE),
        **{service: ("-c", SERVED.format(service)) for service in installed_services()},
    }
    for arguments in commands.values():
        await asyncio.to_thread(processor_seconds, arguments)
    samples: dict[str, list[float]] = {name: [] for name in commands}
    for _ in system.rounds(system.sizes.rounds):
        for name, arguments in commands.items():
            samples[name].append(await asyncio.to_thread(processor_seconds, arguments))
    return rows_of(samples)


def rows_of(samples: dict[str, list[float]]) -> list[Row]:
    """One row for the help, and one per service."""
    help_seconds = sorted(samples["help"])[len(samples["help"]) // 2]
    return [
        limited(
            "start: taawon --help",
            help_seconds,
            HELP_SECONDS,
            unit="s",
            note="processor time of the whole process, compiled modules",
        ),
        *(
            compared(
                f"start: {service}",
                samples[service],
                samples["libraries"],
                unit="s",
                note=f"processor time to import it ÷ to import {', '.join(LIBRARIES)} alone",
                budget=MOST,
            )
            for service in installed_services()
        ),
    ]


def processor_seconds(arguments: Sequence[str]) -> float:
    """Seconds of processor time of one Python process, user and system together."""
    silence = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    command = [sys.executable, *arguments]
    pid = os.posix_spawn(sys.executable, command, os.environ, file_actions=silence)
    _, status, used = os.wait4(pid, 0)
    if status:
        raise RuntimeError(f"{command} ended with {os.waitstatus_to_exitcode(status)}")
    return used.ru_utime + used.ru_stime
