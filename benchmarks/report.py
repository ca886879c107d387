"""The result of a run: as JSON for machines, as a table for people."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from .measured_system import MeasuredSystem
from .rows import Row, Sense

PACKAGES = ("faststream", "aio-pika", "asyncpg", "sqlalchemy", "celery", "dramatiq", "psycopg")


@dataclass
class Report:
    """Everything that a run found."""

    rows: list[Row] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    environment: dict[str, Any] = field(default_factory=dict)
    growth: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    statements: dict[str, str] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """As JSON, for machines."""
        path.parent.mkdir(parents=True, exist_ok=True)
        data = {
            "rows": [row.as_data() for row in self.rows],
            "left_out": self.left_out,
            **self.environment,
            "statements": self.statements,
            "growth": self.growth,
        }
        path.write_bytes(orjson.dumps(data, option=orjson.OPT_INDENT_2))

    def show(self, console: Console) -> None:
        """As a table with the note of each row, for people."""
        for name, statement in self.statements.items():
            console.print(f"\nthe bare statement of the {name} call:\n[dim]{statement}[/dim]")
        table = Table("measure", "ours", "beside it", "unit", "ratio", "budget", "holds")
        for row in self.rows:
            verdict = {None: "", True: "[green]yes[/green]", False: "[red]no[/red]"}[row.holds]
            table.add_row(*cells(row)[:-1], verdict)
        console.print(table)
        for row in self.rows:
            console.print(f"[dim]{row.name}: {row.note}[/dim]")
        if self.left_out:
            console.print(f"left out: {', '.join(self.left_out)}")


def cells(row: Row) -> tuple[str, ...]:
    """The columns of a row as text; the last says whether the budget holds."""
    sign = "≤" if row.sense is Sense.AT_MOST else "≥"
    budget = "" if row.budget is None else f"{sign} {row.budget:g}"
    holds = {None: "", True: "yes", False: "**no**"}[row.holds]
    return (
        row.name,
        number(row.ours),
        number(row.reference),
        row.unit,
        f"{row.ratio:.2f}" if row.ratio < 20 else f"{row.ratio:.0f}",
        budget,
        holds,
    )


def number(value: float) -> str:
    """The number with at least two digits that matter; four decimals below 1."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.4f}"


async def surroundings(system: MeasuredSystem) -> dict[str, Any]:
    """Machine, servers and versions: without them a number means nothing."""
    async with system.database("notifications") as database:
        postgres = await database.fetchval("SHOW server_version")
    return {
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "memory_gib": round(
                os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1
            ),
            "system": f"{platform.system()} {platform.release()}",
            "load_before": round(os.getloadavg()[0], 1),
        },
        "versions": {
            "python": platform.python_version(),
            "postgresql": postgres.split()[0],
            "rabbitmq": system.stack.broker.management.get("overview")["rabbitmq_version"],
            **{name: found for name in PACKAGES if (found := _version(name))},
        },
        "rounds": system.sizes.rounds,
        "cooperatives": system.sizes.cooperatives,
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
