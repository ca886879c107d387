"""`make bench`: measure, compare with the budgets, and write the result down."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from devkit.stack import Stack
from devkit.stack_layout import SERVICES

from . import page
from .measured_system import QUICK, MeasuredSystem, Sizes
from .run import GROUPS, run, services_of

OVERRIDES = {
    "TAAWON_TOKEN_SECONDS": "3600",
    "TAAWON_RATE_LIMIT": "0",
    "TAAWON_RATE_LIMIT_ADDRESS": "0",
}
"""Of all services of a run: its one caller stands for many."""


def bench(
    only: Annotated[
        list[str] | None, typer.Option(help=f"These alone: {', '.join(GROUPS)}.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Little data, few rounds.")] = False,
    rounds: Annotated[int | None, typer.Option(min=1, help="How often each is measured.")] = None,
    minutes: Annotated[float, typer.Option(min=0.1, help="Begin nothing after so long.")] = 10,
    write_docs: Annotated[
        bool, typer.Option("--write-docs", help="Put the result into docs/performance.md.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit code 1 when a budget does not hold.")
    ] = False,
) -> None:
    """Measure what Taawon costs beside the limit of this machine and beside other libraries.

    Servers are started for the run and removed after it. The result is also in .run/bench.json.

    Example: python -m benchmarks --quick --only fanout --only hop
    """
    names = _chosen(only)
    console = Console()
    sizes = QUICK if quick else Sizes()
    if rounds is not None:
        sizes = replace(sizes, rounds=rounds)
    runs = Path(os.environ.get("TAAWON_RUN", ".run"))
    began_at = datetime.now(UTC).isoformat(timespec="seconds")
    with _stack(runs / "bench") as stack:
        deadline = time.monotonic() + 60 * minutes
        system = MeasuredSystem(
            stack, sizes, deadline, say=lambda words: console.print(words, style="dim")
        )
        system.open(services_of(names))
        report = asyncio.run(run(system, names))
    arguments = shlex.join(sys.argv[1:])
    command = f'make bench ARGS="{arguments}"' if arguments else "make bench"
    report.environment |= {"command": command, "began_at": began_at}
    report.write(runs / "bench.json")
    report.show(console)
    if write_docs:
        page.write(report)
    missed = [row.name for row in report.rows if row.holds is False]
    console.print(f"{len(report.rows)} rows, {len(missed)} over budget; {runs / 'bench.json'}")
    if strict and missed:
        raise typer.Exit(1)


def _chosen(only: list[str] | None) -> list[str]:
    unknown = [name for name in only or () if name not in GROUPS]
    if unknown:
        raise typer.BadParameter(
            f"{', '.join(unknown)} is none of {', '.join(GROUPS)}", param_hint="--only"
        )
    return [name for name in GROUPS if not only or name in only]


@contextmanager
def _stack(folder: Path) -> Iterator[Stack]:
    """Servers and services of this run alone; what a killed run left is removed first."""
    stack = Stack(folder, overrides=OVERRIDES)
    _end(stack)
    try:
        yield stack
    finally:
        _end(stack)


def _end(stack: Stack) -> None:
    for name in SERVICES:
        stack.process(name).kill9()
    stack.stop()
    shutil.rmtree(stack.folder, ignore_errors=True)


if __name__ == "__main__":
    typer.run(bench)
