"""`taawon register`: generate a made-up register, import a register file."""

from __future__ import annotations

import asyncio
import csv
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

import orjson
import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from registry.cli_connection import connected
from shared.kernel.auth.local_operator import LOCAL_OPERATOR
from shared.kernel.commands.numbers import whole_number
from shared.kernel.commands.screen import Screen
from shared.kernel.commands.terminal import in_language, say, say_json

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
SCREEN_SECONDS: Final = 0.1
_COLUMNS: Final = ("line", "column", "header", "severity", "reason", "suggestion")
_SHOWN: Final = ("line", "column", "severity", "reason", "suggestion")


@app.command()
def generate(
    count: Annotated[int, typer.Option(parser=whole_number(1, 10_000_000))] = COOPERATIVES,
    seed: Annotated[
        int, typer.Option(parser=whole_number(), help="The same seed gives the same bytes.")
    ] = 1,
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
    say(f"{count} cooperatives in {output}", err=True)


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

    Importing the same file again changes nothing. Exit code 2 when rows were refused, 1 when the
    import failed.

    Example: taawon register import register.csv

    Example: taawon register import register.csv --report problems.csv --json

    Example: docker compose exec -T registry taawon register import - < register.csv
    """
    run = _Run()
    day = _past_day(as_of) if as_of else None
    result = asyncio.run(_import(file, source or Path(file.name).name, run, day, quiet=as_json))
    if report is not None:
        _write_problems(report, run.findings)
    if as_json:
        say_json(orjson.dumps(_as_data(result), option=orjson.OPT_INDENT_2).decode())
    else:
        _show(result, run.findings, report)
    if result.state is ImportState.FAILED:
        raise typer.Exit(1)
    if result.state is ImportState.REFUSED or result.rows_refused:
        raise typer.Exit(2)


def _past_day(as_of: datetime) -> date:
    try:
        return past_day(as_of.date())
    except WrongCell as error:
        raise typer.BadParameter(f"--as-of: {in_language(error.sentence)}") from None


@dataclass
class _Run:
    """How far an import is. A screen looks at it now and then; the import waits for no screen."""

    bytes_read: int = 0
    report: RegisterImport | None = None
    findings: list[Finding] = field(default_factory=list)

    @property
    def shown(self) -> dict[str, Any]:
        rows, refused = (self.report.rows_read, self.report.rows_refused) if self.report else (0, 0)
        return {"completed": self.bytes_read, "rows": rows, "refused": refused}


async def _import(
    file: BinaryIO, source: str, run: _Run, day: date | None, *, quiet: bool
) -> RegisterImport:
    with _received_whole(file) as stream, _progress(quiet) as progress:
        size = os.fstat(stream.fileno()).st_size
        shown = progress.add_task("reading", total=size or None, **run.shown)
        async with connected() as (sessions, sealer):
            steps = imports.import_register(
                sessions,
                sealer,
                LOCAL_OPERATOR,
                _counted(lines_of(stream), run),
                source=source,
                as_of_on=day,
            )
            importing = asyncio.create_task(_run_to_end(steps, run))
            try:
                while not importing.done():
                    await asyncio.wait([importing], timeout=SCREEN_SECONDS)
                    await asyncio.to_thread(progress.update, shown, **run.shown)
            finally:
                importing.cancel()
                await asyncio.wait([importing])
            return importing.result()


async def _run_to_end(steps: AsyncGenerator[imports.Progress], run: _Run) -> RegisterImport:
    async with aclosing(steps):
        async for step in steps:
            run.report = step.report
            run.findings.extend(step.findings)
    assert run.report is not None
    return run.report


@contextmanager
def _received_whole(file: BinaryIO) -> Iterator[BinaryIO]:
    """The file itself; what comes through a pipe is received whole before the import begins."""
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        yield file
        return
    with tempfile.TemporaryFile() as received:
        shutil.copyfileobj(file, received)
        received.seek(0)
        yield received


def _progress(quiet: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %  {task.fields[rows]} rows"),
        TextColumn("{task.fields[refused]} refused"),
        TimeElapsedColumn(),
        console=Screen(stderr=True),
        disable=quiet,
    )


def _counted(lines: Iterable[bytes], run: _Run) -> Iterator[bytes]:
    for line in lines:
        run.bytes_read += len(line)
        yield line


def _write_problems(path: Path, findings: list[Finding]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, _COLUMNS)
        writer.writeheader()
        writer.writerows(in_language(finding.as_data()) for finding in findings)


def _as_data(result: RegisterImport) -> dict[str, object]:
    data = {
        "import_id": str(result.id),
        "source": result.source,
        "state": result.state,
        "rows_read": result.rows_read,
        "rows_added": result.rows_added,
        "rows_changed": result.rows_changed,
        "rows_unchanged": result.rows_unchanged,
        "rows_refused": result.rows_refused,
        "events": result.events,
        "refusal": result.refusal,
        "problems_total": result.problems_total,
        "problems": result.problems,
    }
    said: dict[str, object] = in_language(data)
    return said


def _show(result: RegisterImport, findings: list[Finding], report: Path | None) -> None:
    console = Screen()
    if findings:
        table = Table(*_SHOWN, title=f"{len(findings)} problems")
        for finding in findings[:PROBLEMS_SHOWN]:
            data = in_language(finding.as_data())
            data["column"] = data["header"] or data["column"]
            table.add_row(*(str(data[name] or "") for name in _SHOWN))
        console.print(table)
        if len(findings) > PROBLEMS_SHOWN and report is None:
            console.print(f"{len(findings) - PROBLEMS_SHOWN} more: see them with --report FILE")
    if result.refusal:
        console.print(Text("stopped:", "red"), in_language(result.refusal))
    console.print(
        f"{result.rows_read} rows read: {result.rows_added} new, {result.rows_changed} changed,"
        f" {result.rows_unchanged} as before, {result.rows_refused} refused;"
        f" {result.events} events published"
    )
