"""Disk: what one row of the tables that grow takes, beside the bytes of its columns."""

from __future__ import annotations

from .calls import WIDE
from .fanout import FanoutRuns
from .measured_system import MeasuredSystem
from .rows import Row, compared

_BYTES = """
SELECT pg_total_relation_size($1::regclass)::float8 / count(*) AS taken,
       avg(pg_column_size(t.*))::float8 AS columns
FROM {table} AS t
"""
TABLES = {"alert": "an alert", "audience": "a cooperative of the audience"}


async def measure(system: MeasuredSystem) -> list[Row]:
    """With keys, indexes and what is not filled, after a wide call and a VACUUM."""
    rows = []
    async with FanoutRuns.begun(system) as fanout_runs:
        await fanout_runs.ours(WIDE)
        for table, name in TABLES.items():
            await fanout_runs.database.execute(f"VACUUM ANALYZE {table}")
            found = await fanout_runs.database.fetchrow(_BYTES.format(table=table), table)
            rows.append(
                compared(
                    f"disk: {name}",
                    [found["taken"]],
                    [found["columns"]],
                    unit="bytes",
                    note="with keys and indexes ÷ the bytes of its columns",
                )
            )
    return rows
