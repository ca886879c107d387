"""What a run came to: a table for people, a file for programs, and the table of the page."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.table import Table

from .matrix import Result

PAGE = Path("docs/reliability.md")
BEGIN, END = "<!-- written by make chaos: begin -->", "<!-- written by make chaos: end -->"
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
    "told again after, s",
    "settled after, s",
)


@dataclass(frozen=True)
class Circumstances:
    """What a run was made of."""

    command: str
    seed: int
    cooperatives: int
    replicas: int
    postgresql: str
    rabbitmq: str
    seconds: float
    again: str = ""
    """Which rows are of a second run, in a sentence."""

    @property
    def python(self) -> str:
        return platform.python_version()


Row = dict[str, Any]
"""What a row of the matrix came to, as it stands in the file; times are seconds."""


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


def as_data(rows: list[Row], made: Circumstances) -> dict[str, Any]:
    """What goes into `.run/chaos.json`."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": made.command,
        "seed": made.seed,
        "cooperatives": made.cooperatives,
        "replicas": made.replicas,
        "postgresql": made.postgresql,
        "rabbitmq": made.rabbitmq,
        "python": made.python,
        "seconds": round(made.seconds, 1),
        "holds": all_hold(rows),
        "rows": rows,
    }


def all_hold(rows: Iterable[Row]) -> bool:
    return not any(row["wrong"] for row in rows)


def row_of(result: Result) -> Row:
    """The facts of a row."""
    verdict = result.verdict
    return {
        "fault": result.fault,
        "target": result.target,
        "times": len(result.blows),
        "hits": sum(result.hits.values()),
        "open": dict(result.hits),
        "alerts": verdict.alerts,
        "corrections": verdict.corrections,
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


def write_json(path: Path, rows: list[Row], made: Circumstances) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(as_data(rows, made), indent=2, ensure_ascii=False) + "\n")


def rows_that_held(path: Path, seed: int) -> tuple[list[Row], float]:
    """Of the run before, if it was drawn from the same seed; and how long it took, in seconds."""
    before = json.loads(path.read_text()) if path.exists() else {"seed": None}
    if before["seed"] != seed:
        return [], 0.0
    return [row for row in before["rows"] if not row["wrong"]], before["seconds"]


def write_page(path: Path, rows: list[Row], made: Circumstances) -> None:
    """Put the table of this run in place of the one before."""
    text = path.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n{section(rows, made)}\n{END}{after}", "utf-8")


def section(rows: list[Row], made: Circumstances) -> str:
    """The part of the page that a run writes."""
    lines = [
        f"`{made.command}`, {datetime.now(UTC):%d %B %Y}: {made.cooperatives:,} cooperatives,"
        f" {made.replicas} processes of every service, PostgreSQL {made.postgresql},"
        f" RabbitMQ {made.rabbitmq}, Python {made.python}; {made.seconds / 60:.0f} min."
        + (f" {made.again}" if made.again else ""),
        "",
        "| " + " | ".join(COLUMNS) + " |",
        "|" + "---|" * len(COLUMNS),
        *("| " + " | ".join(cells(row)) + " |" for row in rows),
        "",
        "Times are median / maximum. While a process was frozen or its line was dead, the other one"
        " had taken over after:",
        "",
        *(
            f"- {row['fault']}, {row['target']}: {_span(row['taken_over'])} s"
            for row in rows
            if row["taken_over"]
        ),
    ]
    return "\n".join(lines)
