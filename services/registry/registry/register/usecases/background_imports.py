"""Imports that a service process runs beside its requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, field

import structlog

from ..domain.imports import RegisterImport
from .imports import Progress

log = structlog.get_logger()


@dataclass
class BackgroundImports:
    """The imports of this process. Nobody who reads of their progress can keep one waiting."""

    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self, steps: AsyncGenerator[Progress], upload: ExitStack) -> RegisterImport:
        """Begin an import and leave the rest of it to a task; what it starts as.

        `upload` is closed after the import, whatever becomes of it. Raises what the import raises
        before it has a report.
        """
        with upload:
            first = await anext(steps)
            task = asyncio.create_task(_run_to_end(steps, upload.pop_all()), name="register import")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return first.report

    async def ended(self) -> None:
        """Wait until no import runs in this process."""
        while self._tasks:
            await asyncio.wait(self._tasks)


async def _run_to_end(steps: AsyncGenerator[Progress], upload: ExitStack) -> None:
    with upload:
        try:
            async with aclosing(steps):
                async for _ in steps:
                    pass
        except Exception:
            # The report could not be written: once the lock is free, a job says it died.
            log.exception("register import broke off")
