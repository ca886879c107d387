"""No date is derived from an instant but by `shared.business_days`.

Its day in UTC is another than that in Morocco for an hour of each night, and the day of a process
or of a database session depends on how it was started.
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CALENDAR = "shared/shared/business_days.py"

NO_INSTANT = {
    "services/funding/funding/calls/domain/deadlines.py": "what a clock shows at a deadline",
    "services/funding/funding/calls/seeds/editions.py": "what the clock showed at a deadline",
    "services/registry/registry/register/cli.py": "a day that was typed",
    "services/registry/registry/register/models/statements.py": "a day that is stored as text",
    "tests/architecture/test_business_days.py": "examples of what is refused",
}
"""Files that take a date from something that is no instant, and from what."""

OF_A_CLOCK = {"date.today", "datetime.today", "date.fromtimestamp"}
"""Days of a process. Moments without a zone are refused by the linter (DTZ)."""
IN_SQL = re.compile(
    r"\b(current_date|localtimestamp|date_trunc|to_char)\b|::\s*date\b|\bAS\s+date\b", re.IGNORECASE
)
SQL_FUNCTIONS = {"current_date", "localtimestamp", "date", "date_trunc", "to_char"}


def dates_in(source: str) -> list[tuple[int, str]]:
    """Line and text of each place that may derive a date from an instant."""
    tree = ast.parse(source)
    return sorted(
        (node.lineno, ast.unparse(node)) for node in ast.walk(tree) if _derives_a_date(node)
    )


def _derives_a_date(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return bool(IN_SQL.search(node.value))
    if isinstance(node, ast.Subscript):
        return _is_start_of_iso(node)
    return isinstance(node, ast.Call) and _is_call_for_a_date(node)


def _is_call_for_a_date(node: ast.Call) -> bool:
    if isinstance(node.func, ast.Name):
        return node.func.id == "cast" and any(_is_date_type(each) for each in node.args[1:])
    if not isinstance(node.func, ast.Attribute):
        return False
    owner, name = ast.unparse(node.func.value), node.func.attr
    return (
        (name == "date" and not node.args and not node.keywords)
        or f"{owner}.{name}" in OF_A_CLOCK
        or (name in SQL_FUNCTIONS and owner == "func")
    )


def _is_date_type(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "Date"


def _is_start_of_iso(node: ast.Subscript) -> bool:
    """`at.isoformat()[:10]`"""
    return ast.unparse(node).endswith(".isoformat()[:10]")


def python_files() -> Iterator[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return (name for name in listed.stdout.splitlines() if (ROOT / name).exists())


def test_only_one_module_derives_a_date_from_an_instant():
    found = {
        f"{name}:{line}: {text}"
        for name in python_files()
        if name != CALENDAR and name not in NO_INSTANT
        for line, text in dates_in((ROOT / name).read_text(encoding="utf-8"))
    }

    assert found == set(), "use business_day() or today() of shared.business_days"


def test_every_exception_is_needed():
    needless = [name for name in NO_INSTANT if not dates_in((ROOT / name).read_text("utf-8"))]

    assert needless == []


@pytest.mark.parametrize(
    "source",
    [
        "now().date()",
        "at.astimezone(UTC).date()",
        "date.today()",
        "date.fromtimestamp(1)",
        "func.current_date()",
        "func.date(table.c.at)",
        "cast(table.c.at, Date)",
        "text('SELECT now()::date')",
        "text('WHERE day < CURRENT_DATE')",
        "text('SELECT CAST(at AS date)')",
        "func.date_trunc('day', at)",
        "at.isoformat()[:10]",
    ],
)
def test_a_derived_date_is_found(source: str):
    assert dates_in(source) != []


@pytest.mark.parametrize(
    "source", ["date(2026, 1, 1)", "date.fromisoformat(day)", "business_day(at)", "'a birth date'"]
)
def test_a_date_that_is_given_is_none(source: str):
    assert dates_in(source) == []
