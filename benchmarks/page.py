"""Writes what a run found into docs/performance.md and docs/scaling.md, draws docs/growth.svg."""

from __future__ import annotations

import re
from pathlib import Path

from . import plot
from .report import Report, cells

BEGIN, END = "<!-- written by make bench -->", "<!-- until here -->"
DOCS = Path(__file__).parents[1] / "docs"
QUOTED = re.compile(r'\[(?P<value>[^\]]+)\]\(performance\.md "(?P<row>[^"]+)"\)')
"""A number on another page: its text is our measure of the row that the title names."""


def write(report: Report, docs: Path = DOCS) -> None:
    """The part between the marks is made anew; the words around it are people's."""
    page = docs / "performance.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"{page} lacks the line {BEGIN} or {END}: put both back")
    page.write_text(f"{before}{BEGIN}\n\n{_body(report)}\n\n{END}{after}", encoding="utf-8")
    _quote(report, docs / "scaling.md")
    if "narrow" in report.growth:
        (docs / "growth.svg").write_text(growth(report), encoding="utf-8")


def _quote(report: Report, page: Path) -> None:
    """What another page quotes of these rows is written anew; other rows keep their numbers."""
    measured = {row.name: cells(row) for row in report.rows}

    def newest(quoted: re.Match[str]) -> str:
        if quoted["row"] not in measured:
            return quoted[0]
        _, ours, _, unit, *_ = measured[quoted["row"]]
        return f'[{ours} {unit}](performance.md "{quoted["row"]}")'

    page.write_text(QUOTED.sub(newest, page.read_text(encoding="utf-8")), encoding="utf-8")


def growth(report: Report) -> str:
    """Time against size for the narrow call, against matches for the wide one."""
    narrow = [(size, 1000 * seconds) for size, seconds in report.growth["narrow"]]
    alerted = dict(report.growth["alerted"])
    wide = [(alerted[size], seconds) for size, seconds in report.growth["wide"]]
    return plot.svg(
        plot.Panel(
            "A narrow call, equally many matches", "cooperatives in the audience", "ms", narrow
        ),
        plot.Panel("A wide call, ever more matches", "alerts written", "s", wide),
    )


def _body(report: Report) -> str:
    machine, versions = report.environment["machine"], report.environment["versions"]
    packages = ", ".join(f"{name} {found}" for name, found in versions.items())
    table = ["| Measure | Ours | Beside it | Unit | Ratio | Budget | Holds |"]
    table.append("|---|--:|--:|---|--:|--:|---|")
    table += [f"| {' | '.join(cells(row))} |" for row in report.rows]
    notes: dict[str, list[str]] = {}
    for row in report.rows:
        notes.setdefault(row.note, []).append(row.name)
    statements = [
        f"The bare statement of the {name} call:\n\n```sql\n{sql}\n```"
        for name, sql in report.statements.items()
    ]
    left_out = [f"Left out in this run: {', '.join(report.left_out)}."] if report.left_out else []
    return "\n\n".join(
        [
            f"`{report.environment['command']}`, {report.environment['began_at'][:10]}, took"
            f" {report.environment['minutes']} minutes on {machine['cores']} cores"
            f" ({machine['processor']}, {machine['memory_gib']} GiB, {machine['system']});"
            f" load {machine['load_before']} before and {machine['load_after']} at the end;"
            f" {report.environment['rounds']} rounds. {packages}.",
            "\n".join(table),
            *left_out,
            "\n".join(f"- {'; '.join(names)}: {note}." for note, names in notes.items()),
            *statements,
        ]
    )
