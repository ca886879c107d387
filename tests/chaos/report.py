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

    @property
    def python(self) -> str:
        return platform.python_version()


def cells(result: Result) -> tuple[str, ...]:
    """A row of the table, in words."""
    verdict = result.verdict
    return (
        result.fault,
        result.target,
        str(len(result.blows)),
        opened(result),
        f"{verdict.alerts + verdict.corrections:,}",
        str(verdict.lost),
        str(verdict.doubled),
        f"{verdict.partner_events:,}",
        str(verdict.repeats),
        _span(result.times_of("recovered")),
        _span(result.times_of("settled")),
    )


def opened(result: Result) -> str:
    """How often something was open, and what."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(result.hits.items()))
    return f"{sum(result.hits.values())} ({kinds})" if kinds else "0"


def table(results: Iterable[Result]) -> Table:
    shown = Table(title="kill matrix", title_justify="left")
    for number, name in enumerate(COLUMNS):
        shown.add_column(name, justify="left" if number in (0, 1, 3) else "right")
    for result in results:
        shown.add_row(*cells(result), style=None if result.holds else "red")
    return shown


def as_data(results: list[Result], made: Circumstances) -> dict[str, Any]:
    """What goes into `.run/chaos.json`; times are seconds."""
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
        "holds": all(result.holds for result in results),
        "rows": [_row(result) for result in results],
    }


def _row(result: Result) -> dict[str, Any]:
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


def _span(found: tuple[float, float] | None) -> str:
    return f"{found[0]:.1f} / {found[1]:.1f}" if found else "–"


def write_json(path: Path, results: list[Result], made: Circumstances) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(as_data(results, made), indent=2, ensure_ascii=False) + "\n")


def write_page(path: Path, results: list[Result], made: Circumstances) -> None:
    """Put the table of this run in place of the one before."""
    text = path.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n{section(results, made)}\n{END}{after}", "utf-8")


def section(results: list[Result], made: Circumstances) -> str:
    """The part of the page that a run writes."""
    lines = [
        f"`{made.command}`, {datetime.now(UTC):%d %B %Y}: {made.cooperatives:,} cooperatives,"
        f" {made.replicas} processes of every service, PostgreSQL {made.postgresql},"
        f" RabbitMQ {made.rabbitmq}, Python {made.python}; {made.seconds / 60:.0f} minutes.",
        "",
        "| " + " | ".join(COLUMNS) + " |",
        "|" + "---|" * len(COLUMNS),
        *("| " + " | ".join(cells(result)) + " |" for result in results),
        "",
        "Times are median / maximum. While a process was frozen or its line was dead, the other one"
        " had taken over after:",
        "",
        *(
            f"- {result.fault}, {result.target}: {_span(found)} s"
            for result in results
            if (found := result.times_of("taken_over"))
        ),
    ]
    return "\n".join(lines)
