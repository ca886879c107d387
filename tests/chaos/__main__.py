"""Breaks a system of its own in every way of the matrix, and says whether anything was lost."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from devkit.processes import Process
from devkit.stack import Stack

from ..journeys.stories import Story, end, started
from . import report
from .faults import SHORT_TIMEOUTS
from .matrix import MATRIX, Campaign, Fault, Times, chosen, run_rows
from .processes import TARGETS, Processes

SERVERS_OF_OTHERS = ("AMQP_URL", "POSTGRES_ADMIN_URL", "RABBIT_MANAGEMENT_URL")
REPLICAS = 2
"""Processes of every service."""
RESULTS = Path(".run/chaos.json")
UNDRAWN = 6000
"""Cooperatives that imports bring while things break."""

console = Console(width=max(Console().width, 160))


def chaos(
    seed: Annotated[int, typer.Option(help="Draws moments, targets and all work.")] = 7,
    kills: Annotated[int, typer.Option(min=1, help="Kills of each service.")] = 20,
    outages: Annotated[int, typer.Option(min=1, help="Outages of servers; faults of peers.")] = 2,
    freezes: Annotated[int, typer.Option(min=1, help="Freezes, and half-open lines.")] = 2,
    cuts: Annotated[int, typer.Option(min=1, help="Cuts of each line.")] = 3,
    cooperatives: Annotated[int, typer.Option(min=100, help="Size of the register.")] = 3000,
    only: Annotated[str, typer.Option(help="Rows whose fault and target hold this text.")] = "",
    again: Annotated[
        bool,
        typer.Option("--again", help="Keep rows that held last time, if all else is the same."),
    ] = False,
    write_docs: Annotated[
        bool, typer.Option("--write-docs", help="Put the table into docs/reliability.md.")
    ] = False,
) -> None:
    """Kill, freeze, stop and cut every part under load; then see who was and should be alerted.

    The result of each row is in .run/chaos.json at once. Ends with 1 if anything was lost, doubled
    or stuck, or if no fault of a row came while a transaction or a publish was open.

    Example: make chaos ARGS="--seed 7 --kills 20"
    """
    if not chosen(only) or (write_docs and only):
        raise typer.BadParameter("the page shows the whole matrix" if write_docs else "no such row")
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a log is followed
    for library in ("aio_pika", "aiormq"):
        logging.getLogger(library).setLevel(logging.CRITICAL)  # our own readers, cut off too
    times = Times(kills=kills, freezes=freezes, outages=outages, cuts=cuts)
    options = Options(times, seed, cooperatives, only, again=again, write_docs=write_docs)
    try:
        rows = asyncio.run(run(options))
    except KeyboardInterrupt:
        console.print(
            f"stopped from outside: {RESULTS} has the finished rows, --again tries the others;"
            f" logs are in {_folder()}"
        )
        raise typer.Exit(130) from None
    if not report.all_hold(rows):
        console.print(f"the logs of the processes are in {_folder()}")
        raise typer.Exit(1)
    shutil.rmtree(_folder(), ignore_errors=True)


@dataclass(frozen=True)
class Options:
    """The options of the command."""

    times: Times
    seed: int
    cooperatives: int
    only: str = ""
    again: bool = False
    write_docs: bool = False


async def run(options: Options) -> list[report.Row]:
    """Every row with its progress, kept at once; then the table and, if asked for, the page."""
    begun = time.monotonic()
    this = report.Run(_command(), datetime.now(UTC).isoformat(timespec="seconds"))
    async with campaign_of(options.seed, options.cooperatives) as campaign:
        made = await _circumstances(options, campaign.story)
        rows = report.rows_that_passed(RESULTS, made) if options.again else []
        if options.again:
            console.print(f"{len(rows)} rows held before under the same circumstances")
        faults = _missing(options, rows)
        with _progress() as progress:
            async for result in run_rows(campaign, faults, options.times, shown=_shown(progress)):
                row = report.row_of(result, this)
                rows = sorted([*rows, row], key=_place)
                console.print(" · ".join(report.cells(row)[:6]), *row["wrong"], sep="\n  ")
                this = replace(this, seconds=round(time.monotonic() - begun, 1))
                report.write_json(RESULTS, rows, made, this)
        console.print(f"work done meanwhile: {campaign.load.counts}")
    console.print(report.table(rows))
    if options.write_docs:
        if reason := report.why_not_shown(rows):
            console.print(f"the page is left as it is: {reason}")
        else:
            report.write_page(report.PAGE, rows, made, this)
    return rows


def _missing(options: Options, rows: list[report.Row]) -> list[Fault]:
    done = {(row["fault"], row["target"]) for row in rows}
    return [fault for fault in chosen(options.only) if (fault.fault, fault.target) not in done]


def _place(row: report.Row) -> int:
    return [(fault.fault, fault.target) for fault in MATRIX].index((row["fault"], row["target"]))


async def _circumstances(options: Options, story: Story) -> report.Circumstances:
    return report.Circumstances(
        **asdict(options.times),
        seed=options.seed,
        cooperatives=options.cooperatives,
        replicas=REPLICAS,
        postgresql=await _version_of_postgresql(story),
        rabbitmq=story.stack.broker.management.get("overview")["rabbitmq_version"],
        revision=await asyncio.to_thread(_revision),
    )


def _revision() -> str:
    """The last commit that touched more than pages; nothing where there is no git."""
    code = ("--", ".", ":(exclude)docs")
    try:
        commit = _git("log", "-1", "--format=%h", *code)
        return f"{commit}{report.CHANGED}" if _git("status", "--porcelain", *code) else commit
    except (OSError, subprocess.CalledProcessError):
        return ""


def _git(*arguments: str) -> str:
    asked = ("git", *arguments)
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


@asynccontextmanager
async def campaign_of(seed: int, cooperatives: int) -> AsyncIterator[Campaign]:
    """A system of its own, of which nothing runs afterwards."""
    for name in SERVERS_OF_OTHERS:
        # Servers that somebody gave us are not ours to break.
        os.environ.pop(f"TAAWON_{name}", None)
    folder = _fresh_folder()
    stack = await started(folder, **SHORT_TIMEOUTS)
    processes = Processes(stack, dict.fromkeys(TARGETS, REPLICAS))
    try:
        console.print(f"a register of {cooperatives:,} …")
        files = folder / "files"
        async with (
            Story.begun(stack, files, count=cooperatives, later=UNDRAWN) as story,
            Campaign(story, processes, seed=seed).begun() as campaign,
        ):
            yield campaign
    finally:
        await asyncio.to_thread(_end, processes, stack)


def _end(processes: Processes, stack: Stack) -> None:
    processes.end()
    end(stack)


def _folder() -> Path:
    return Path(os.environ.get("TAAWON_RUN", ".run")).resolve() / "chaos"


def _fresh_folder() -> Path:
    """Without what a run that was killed left behind."""
    folder = _folder()
    for record in folder.rglob("*.pid"):
        Process(record.parent, record.stem).kill9()
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def _shown(progress: Progress) -> Callable[[Fault, int], Callable[[], None]]:
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
