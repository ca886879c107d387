"""How many rows each statement of some code touches, as the database counts them while it runs.

A duration depends on the machine; this does not. A join of two large parts by nested loops shows as
the product of their rows, whatever the planner thought of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.engine.interfaces import DBAPICursor, ExecutionContext
from sqlalchemy.ext.asyncio import AsyncEngine

PLANNED = ("SELECT", "WITH", "INSERT", "UPDATE", "DELETE")
"""What EXPLAIN takes; everything else is left alone."""
REMOVED = ("Rows Removed by Filter", "Rows Removed by Join Filter", "Rows Removed by Index Recheck")


@dataclass(frozen=True)
class Touched:
    """A statement as it was sent, the rows that all steps of its plan touched, and that plan."""

    statement: str
    rows: float
    plan: str


@contextmanager
def touched_rows(engine: AsyncEngine) -> Iterator[list[Touched]]:
    """The statements that are sent meanwhile, each with the rows that it touches.

    Each runs twice: under EXPLAIN ANALYZE in a savepoint that is taken back, and then for real.
    """
    found: list[Touched] = []
    is_explaining = False

    def explain(
        connection: Connection,
        cursor: DBAPICursor,
        statement: str,
        parameters: Any,
        context: ExecutionContext | None,
        is_many: bool,
    ) -> None:
        nonlocal is_explaining
        if is_explaining or is_many or not statement.lstrip().upper().startswith(PLANNED):
            return
        is_explaining = True
        try:
            found.append(_touched(connection, statement, parameters))
        finally:
            is_explaining = False

    event.listen(engine.sync_engine, "before_cursor_execute", explain)
    try:
        yield found
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", explain)


def _touched(connection: Connection, statement: str, parameters: Any) -> Touched:
    taken_back = connection.begin_nested()
    try:
        explained = connection.exec_driver_sql(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters
        ).scalar_one()
    finally:
        taken_back.rollback()
    (whole,) = json.loads(explained) if isinstance(explained, str) else explained
    return Touched(statement, _rows(whole["Plan"]), json.dumps(whole["Plan"], indent=1))


def _rows(step: Mapping[str, Any]) -> float:
    """Rows that a step and those below it gave or threw away, over all its loops."""
    per_loop = step["Actual Rows"] + sum(step.get(name, 0) for name in REMOVED)
    return float(per_loop * step["Actual Loops"] + sum(map(_rows, step.get("Plans", ()))))
