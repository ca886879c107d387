"""Breaks a system of its own in every way of the matrix, and says whether anything was lost."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from shared.local.processes import Process
from shared.local.stack import Stack

from ..journeys.stories import Story, end, started
from . import report
from .crew import TARGETS, Crew
from .matrix import MATRIX, Campaign, Fault, Times, chosen, played
from .strikes import PATIENCE

SERVERS_OF_OTHERS = ("AMQP_URL", "POSTGRES_ADMIN_URL", "RABBIT_MANAGEMENT_URL")
REPLICAS = 2
"""Processes of every service."""
FACTS = Path(".run/chaos.json")
UNDRAWN = 6000
"""Cooperatives that imports bring while things break."""

console = Console(width=max(Console().width, 160))


def chaos(
    seed: Annotated[int, typer.Option(help="Draws moments, targets and all work.")] = 7,
    kills: Annotated[int, typer.Option(min=1, help="Kills of each service.")] = 20,
    outages: Annotated[int, typer.Option(min=1, help="Stops and kills of each server.")] = 2,
    freezes: Annotated[int, typer.Option(min=1, help="Freezes, and half-open lines.")] = 2,
    cuts: Annotated[int, typer.Option(min=1, help="Cuts of each line.")] = 3,
    cooperatives: Annotated[int, typer.Option(min=100, help="Size of the register.")] = 3000,
    only: Annotated[str, typer.Option(help="Rows whose fault and target hold this text.")] = "",
    again: Annotated[
        bool, typer.Option("--again", help="Only rows that did not hold last time, with this seed.")
    ] = False,
    write_docs: Annotated[
        bool, typer.Option("--write-docs", help="Put the table into docs/reliability.md.")
    ] = False,
) -> None:
    """Kill, freeze, stop and cut every part under load; then compare who was told with who should.

    The facts are also in .run/chaos.json. Ends with 1 if anything was lost, doubled or stuck, or if
    no fault of a row came while a transaction or a publish was open.

    Example: make chaos ARGS="--seed 7 --kills 20"
    """
    held, before = report.rows_that_held(FACTS, seed) if again else ([], 0.0)
    done = {(row["fault"], row["target"]) for row in held}
    faults = [fault for fault in chosen(only) if (fault.fault, fault.target) not in done]
    if not faults or (write_docs and only):
        raise typer.BadParameter("the page shows the whole matrix" if faults else "no such row")
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a log is followed
    for library in ("aio_pika", "aiormq"):
        logging.getLogger(library).setLevel(logging.CRITICAL)  # our own listeners, cut off too
    times = Times(kills=kills, freezes=freezes, outages=outages, cuts=cuts)
    try:
        rows = asyncio.run(
            run(faults, times, seed, cooperatives, held, before, write_docs=write_docs)
        )
    except KeyboardInterrupt:
        console.print("stopped from outside: the rows above are whole, the others were not tried")
        raise typer.Exit(130) from None
    if not report.all_hold(rows):
        raise typer.Exit(1)


async def run(
    faults: list[Fault],
    times: Times,
    seed: int,
    cooperatives: int,
    held: list[report.Row],
    before: float,
    *,
    write_docs: bool,
) -> list[report.Row]:
    """Every row with its progress, then the table, the file and, if asked for, the page."""
    begun = time.monotonic()
    rows = list(held)
    async with campaign_of(seed, cooperatives) as campaign:
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
        ) as progress:
            async for result in played(campaign, faults, times, shown=_shown(progress, times)):
                row = report.row_of(result)
                rows.append(row)
                console.print(" · ".join(report.cells(row)[:6]), *row["wrong"], sep="\n  ")
        stack = campaign.story.stack
        made = report.Circumstances(
            command=_command(),
            seed=seed,
            cooperatives=cooperatives,
            replicas=REPLICAS,
            postgresql=await _version_of_postgresql(campaign.story),
            rabbitmq=stack.broker.management.get("overview")["rabbitmq_version"],
            seconds=time.monotonic() - begun,
            again=_again(faults, before) if held else "",
        )
        console.print(f"work done meanwhile: {campaign.load.counts}")
    order = [(fault.fault, fault.target) for fault in MATRIX]
    rows.sort(key=lambda row: order.index((row["fault"], row["target"])))
    console.print(report.table(rows))
    report.write_json(FACTS, rows, made)
    if write_docs and report.all_hold(rows) and len(rows) == len(MATRIX):
        report.write_page(report.PAGE, rows, made)
    elif write_docs:
        console.print("the page is left as it is: not every row of the matrix holds")
    return rows


def _again(faults: list[Fault], before: float) -> str:
    names = "; ".join(f"{fault.fault}, {fault.target}" for fault in faults)
    return (
        f"Of that run: {names}. All other rows: the run before, {before / 60:.0f} min, in which"
        " these did not hold."
    )


@asynccontextmanager
async def campaign_of(seed: int, cooperatives: int) -> AsyncIterator[Campaign]:
    """A system of its own; nothing of it is left afterwards."""
    for name in SERVERS_OF_OTHERS:
        # Servers that somebody gave us are not ours to break.
        os.environ.pop(f"TAAWON_{name}", None)
    folder = _fresh_folder()
    stack = await started(folder, **PATIENCE)
    crew = Crew(stack, dict.fromkeys(TARGETS, REPLICAS))
    try:
        console.print(f"a register of {cooperatives:,} …")
        files = folder / "files"
        async with (
            Story.begun(stack, files, count=cooperatives, later=UNDRAWN) as story,
            Campaign(story, crew, seed=seed).begun() as campaign,
        ):
            yield campaign
    finally:
        await asyncio.to_thread(_end, crew, stack)


def _end(crew: Crew, stack: Stack) -> None:
    crew.end()
    end(stack)


def _fresh_folder() -> Path:
    """Without what a run that was killed left behind."""
    folder = Path(os.environ.get("TAAWON_RUN", ".run")).resolve() / "chaos"
    for record in folder.rglob("*.pid"):
        Process(record.parent, record.stem).kill9()
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def _shown(progress: Progress, times: Times) -> Callable[[Fault, int], Callable[[], None]]:
    def begin(fault: Fault, count: int) -> Callable[[], None]:
        task = progress.add_task(f"{fault.fault}, {fault.target}", total=count)
        return lambda: progress.advance(task)

    return begin


async def _version_of_postgresql(story: Story) -> str:
    async with story.database("registry") as connection:
        return str(await connection.fetchval("SHOW server_version"))


def _command() -> str:
    given = " ".join(sys.argv[1:])
    return f'make chaos ARGS="{given}"' if given else "make chaos"


if __name__ == "__main__":
    typer.run(chaos)
