"""The outcome of a run: a table for people, a file for programs, and the table of the page."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.table import Table

from .matrix import MATRIX, Result
from .processes import TARGETS

PAGE = Path("docs/reliability.md")
BEGIN, END = "<!-- written by make chaos: begin -->", "<!-- written by make chaos: end -->"
KILLS = 20
"""The page must show at least so many kills of each service."""
CHANGED = "-changed"
"""Ends a revision to which something was done that is not committed."""
NO_RUN = "No full run has been written down yet."
COLUMNS = (
    "fault",
    "target",
    "times",
    "open at that moment",
    "alerts",
    "lost",
    "doubled",
    "partner events",
    "repeats",
    "alerted again after, s",
    "settled after, s",
)


@dataclass(frozen=True)
class Circumstances:
    """The settings and versions of a run; rows of two runs may be joined where all are the same."""

    seed: int
    kills: int
    outages: int
    freezes: int
    cuts: int
    cooperatives: int
    replicas: int
    postgresql: str
    rabbitmq: str
    revision: str
    """Of the code, without the pages about it."""
    python: str = platform.python_version()

    @property
    def is_known(self) -> bool:
        """Code that was not committed is the same as no other."""
        return bool(self.revision) and not self.revision.endswith(CHANGED)


@dataclass(frozen=True)
class Run:
    """One command, and when it began."""

    command: str
    began: str
    seconds: float = 0.0


Row = dict[str, Any]
"""The outcome of a row of the matrix, as it stands in the file; times are seconds."""


def cells(row: Row) -> tuple[str, ...]:
    """A row of the table, in words."""
    return (
        row["fault"],
        row["target"],
        str(row["times"]),
        opened(row),
        f"{row['alerts'] + row['corrections']:,}",
        str(row["lost"]),
        str(row["doubled"]),
        f"{row['partner_events']:,}",
        str(row["partner_repeats"]),
        _span(row["recovered"]),
        _span(row["settled"]),
    )


def opened(row: Row) -> str:
    """How often something was open, and what."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(row["open"].items()))
    return f"{row['hits']} ({kinds})" if kinds else "0"


def table(rows: Iterable[Row]) -> Table:
    shown = Table(title="kill matrix", title_justify="left")
    for number, name in enumerate(COLUMNS):
        shown.add_column(name, justify="left" if number in (0, 1, 3) else "right")
    for row in rows:
        shown.add_row(*cells(row), style="red" if row["wrong"] else None)
    return shown


def as_data(rows: list[Row], made: Circumstances, run: Run) -> dict[str, Any]:
    """What goes into `.run/chaos.json`."""
    return {**asdict(run), "made": asdict(made), "holds": all_hold(rows), "rows": rows}


def all_hold(rows: Iterable[Row]) -> bool:
    return not any(row["wrong"] for row in rows)


def row_of(result: Result, run: Run) -> Row:
    """The outcome of a row, and the run that it is of."""
    verdict = result.verdict
    return {
        "run": {"command": run.command, "began": run.began},
        "fault": result.fault,
        "target": result.target,
        "times": len(result.injections),
        "hits": sum(result.hits.values()),
        "open": dict(result.hits),
        "alerts": verdict.alerts,
        "corrections": verdict.corrections,
        "never_open": verdict.never_open,
        "torn": result.torn,
        "lost": verdict.lost,
        "doubled": verdict.doubled,
        "partner_events": verdict.partner_events,
        "partner_repeats": verdict.repeats,
        "recovered": _times(result, "recovered"),
        "settled": _times(result, "settled"),
        "taken_over": _times(result, "taken_over"),
        "wrong": result.faults(),
    }


def _times(result: Result, name: str) -> dict[str, float] | None:
    found = result.times_of(name)
    return {"median": round(found[0], 2), "max": round(found[1], 2)} if found else None


def _span(found: dict[str, float] | None) -> str:
    return f"{found['median']:.1f} / {found['max']:.1f}" if found else "–"


def write_json(path: Path, rows: list[Row], made: Circumstances, run: Run) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = as_data(rows, made, run)
    path.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def rows_that_passed(path: Path, made: Circumstances) -> list[Row]:
    """The rows that held in the last run, if it was made under just these circumstances."""
    before = json.loads(path.read_text()) if path.exists() else {}
    if not made.is_known or before.get("made") != asdict(made):
        return []
    return [row for row in before["rows"] if not row["wrong"]]


def why_not_shown(rows: list[Row]) -> str:
    """What keeps these rows from the page, which shows a whole matrix that holds; or nothing."""
    if [(row["fault"], row["target"]) for row in rows] != [(f.fault, f.target) for f in MATRIX]:
        return "not every row of the matrix was tried"
    if not all_hold(rows):
        return "not every row of the matrix holds"
    if any(row["times"] < KILLS for row in rows if is_kill_of_service(row["fault"], row["target"])):
        return f"each service must be killed at least {KILLS} times"
    return ""


def is_kill_of_service(fault: str, target: str) -> bool:
    return fault == "kill -9" and target in TARGETS


def write_page(path: Path, rows: list[Row], made: Circumstances, run: Run) -> None:
    """Put the table of this run in place of the one before."""
    text = path.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n{section(rows, made, run)}\n{END}{after}", "utf-8")


def section(rows: list[Row], made: Circumstances, run: Run) -> str:
    """The part of the page that a run writes."""
    lines = [
        f"`{run.command}`, {_day(run.began)}: {made.cooperatives:,} cooperatives,"
        f" {made.replicas} processes of every service, PostgreSQL {made.postgresql},"
        f" RabbitMQ {made.rabbitmq}, Python {made.python}; revision {made.revision};"
        f" {run.seconds / 60:.0f} min.",
        *_of_other_runs(rows, run),
        "",
        "| " + " | ".join(COLUMNS) + " |",
        "|" + "---|" * len(COLUMNS),
        *("| " + " | ".join(cells(row)) + " |" for row in rows),
        "",
        "Times are median / maximum. While a process was frozen or its line was dead, the other one"
        " had taken over after:",
        "",
        *(f"- {_name(row)}: {_span(row['taken_over'])} s" for row in rows if row["taken_over"]),
        "",
        "Connections torn in mid-frame: "
        + "; ".join(f"{row['target']} {row['torn']}" for row in rows if row["torn"] is not None)
        + ".",
        "",
        "Calls and ideas of which nobody was to be alerted, for notifications received their end"
        f" first: {sum(row['never_open'] for row in rows)}.",
    ]
    return "\n".join(lines)


def _of_other_runs(rows: list[Row], run: Run) -> list[str]:
    """Which rows were made by which other command: same code, same circumstances, another time."""
    others: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row["run"]["began"] != run.began:
            of = row["run"]["command"], row["run"]["began"]
            others.setdefault(of, []).append(_name(row))
    return [
        f"\nMade before by `{command}`, {_day(began)}, {began[11:16]} UTC, of the same revision:"
        f" {'; '.join(names)}."
        for (command, began), names in others.items()
    ]


def _name(row: Row) -> str:
    return f"{row['fault']}, {row['target']}"


def _day(moment: str) -> str:
    return f"{datetime.fromisoformat(moment):%d %B %Y}"
