"""`taawon register`: generate a made-up register, import a register file."""

from __future__ import annotations

import asyncio
import csv
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import aclosing
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from registry.cli_connection import connected
from shared.kernel.auth.local_operator import LOCAL_OPERATOR

from .domain.imports import ImportState, RegisterImport
from .generator.figures import COOPERATIVES
from .generator.register import write_register
from .past_day import past_day
from .register_file.decoding import lines_of
from .register_file.findings import Finding, WrongCell
from .usecases import imports

app = typer.Typer(
    help="The register of cooperatives: generate a made-up one, import a file.",
    no_args_is_help=True,
)

PROBLEMS_SHOWN: Final = 20
_COLUMNS: Final = ("line", "column", "severity", "reason", "suggestion")


@app.command()
def generate(
    count: Annotated[int, typer.Option(min=1, max=10_000_000)] = COOPERATIVES,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 1,
    output: Annotated[
        Path | None, typer.Option(help="Where to write; standard output if not given.")
    ] = None,
) -> None:
    """Generate a register that adds up to the published figures. Each row is marked as test data.

    Example: taawon register generate --output register.csv

    Example: taawon register generate --count 1000 --seed 7 > small.csv
    """
    if output is None:
        write_register(sys.stdout, count=count, seed=seed)
        return
    with output.open("w", encoding="utf-8", newline="") as stream:
        write_register(stream, count=count, seed=seed)
    typer.echo(f"{count} cooperatives in {output}", err=True)


@app.command("import")
def import_file(
    file: Annotated[
        typer.FileBinaryRead, typer.Argument(help="The register file; - is standard input.")
    ],
    report: Annotated[
        Path | None, typer.Option(help="Write every problem to this CSV file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    as_of: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The day as of which the file is true."),
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="What to call the file in reports; its name if not given.")
    ] = None,
) -> None:
    """Import a register file (CSV, UTF-8). Good rows go in, wrong ones are listed.

    Importing the same file again changes nothing. Exit code 2 when rows were refused.

    Example: taawon register import register.csv

    Example: taawon register import register.csv --report problems.csv --json

    Example: docker compose exec -T registry taawon register import - < register.csv
    """
    findings: list[Finding] = []
    day = _past_day(as_of) if as_of else None
    result = asyncio.run(
        _import(file, source or Path(file.name).name, findings, day, quiet=as_json)
    )
    if report is not None:
        _write_problems(report, findings)
    if as_json:
        typer.echo(orjson.dumps(_as_data(result), option=orjson.OPT_INDENT_2).decode())
    else:
        _show(result, findings, report)
    if result.state is ImportState.REFUSED or result.rows_refused:
        raise typer.Exit(2)


def _past_day(as_of: datetime) -> date:
    try:
        return past_day(as_of.date())
    except WrongCell as error:
        raise typer.BadParameter(f"--as-of: {error}") from None


async def _import(
    stream: BinaryIO, source: str, findings: list[Finding], day: date | None, *, quiet: bool
) -> RegisterImport:
    result: RegisterImport | None = None
    with _progress(quiet) as progress:
        # A pipe has no size: then the number of rows is shown, and no percentage.
        size = os.fstat(stream.fileno()).st_size or None
        task = progress.add_task("reading", total=size, rows=0, refused=0)
        async with connected() as (sessions, sealer):
            lines = _advancing(lines_of(stream), progress, task)
            steps = imports.import_register(
                sessions, sealer, LOCAL_OPERATOR, lines, source=source, as_of_on=day
            )
            async with aclosing(steps):
                async for step in steps:
                    result = step.report
                    findings.extend(step.findings)
                    progress.update(task, rows=result.rows_read, refused=result.rows_refused)
    assert result is not None
    return result


def _progress(quiet: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %  {task.fields[rows]} rows"),
        TextColumn("{task.fields[refused]} refused"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=quiet,
    )


def _advancing(lines: Iterable[bytes], progress: Progress, task: TaskID) -> Iterator[bytes]:
    for line in lines:
        progress.advance(task, len(line))
        yield line


def _write_problems(path: Path, findings: list[Finding]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, _COLUMNS)
        writer.writeheader()
        writer.writerows(finding.as_data() for finding in findings)


def _as_data(result: RegisterImport) -> dict[str, object]:
    return {
        "import_id": result.id,
        "source": result.source,
        "state": result.state,
        "rows_read": result.rows_read,
        "rows_added": result.rows_added,
        "rows_changed": result.rows_changed,
        "rows_unchanged": result.rows_unchanged,
        "rows_refused": result.rows_refused,
        "events": result.events,
        "refusal": result.refusal,
        "problems": result.problems,
    }


def _show(result: RegisterImport, findings: list[Finding], report: Path | None) -> None:
    console = Console()
    if findings:
        table = Table(*_COLUMNS, title=f"{len(findings)} problems")
        for finding in findings[:PROBLEMS_SHOWN]:
            data = finding.as_data()
            table.add_row(*(str(data[name] or "") for name in _COLUMNS))
        console.print(table)
        if len(findings) > PROBLEMS_SHOWN and report is None:
            console.print(f"{len(findings) - PROBLEMS_SHOWN} more: see them with --report FILE")
    if result.refusal:
        console.print(f"[red]stopped:[/red] {result.refusal}")
    console.print(
        f"{result.rows_read} rows read: {result.rows_added} new, {result.rows_changed} changed,"
        f" {result.rows_unchanged} as before, {result.rows_refused} refused;"
        f" {result.events} events published"
    )
