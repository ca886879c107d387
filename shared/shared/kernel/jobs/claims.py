"""Claims on a table of work: no row is worked on twice, and no key keeps the others waiting.

A row is due from `due_at` on; NULL, or no row, means that nothing is to be done. The table needs an
index on `(key, due_at, id)`, best a partial one `WHERE due_at IS NOT NULL`: it leads to the next
rows of each key, however many wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    CTE,
    Column,
    ColumnElement,
    CursorResult,
    DateTime,
    FromClause,
    Row,
    Select,
    Table,
    func,
    select,
    true,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

NOW: ColumnElement[datetime] = func.statement_timestamp(type_=DateTime(timezone=True))
"""The start of the statement: stable within it, so that an index can be searched by it."""


@dataclass(frozen=True)
class WorkQueue:
    """A table of work, one row per unit, and the names of its columns.

    `key` is for whom the work is done; keys take fair turns. `due_at` is when the row is to be
    worked on; it is also the token of a lease, so no further column is needed.
    """

    table: Table
    id: str
    key: str
    due_at: str = "due_at"

    @property
    def id_column(self) -> Column[Any]:
        """The column that `id` names."""
        return self.table.c[self.id]

    @property
    def due_column(self) -> Column[Any]:
        """The column that `due_at` names."""
        return self.table.c[self.due_at]


async def claim(
    session: AsyncSession, queue: WorkQueue, *, limit: int, per_key: int
) -> Sequence[Row[Any]]:
    """Lock the next due rows until the transaction ends, the longest due first.

    At most `limit` rows, and at most `per_key` of one key: while these are locked nobody else gets
    more of that key. For work inside the database: mark the rows done in the same transaction. A
    worker that dies leaves them as they were.
    """
    first = _first_of_each_key(queue, per_key)
    query = (
        select(queue.table)
        .join(first, first.c.id == queue.id_column)
        # Checked again on the row itself: it may have been done since the ids were looked up.
        .where(queue.due_column <= NOW)
        .order_by(first.c.due_at, first.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True, of=queue.table)
    )
    return (await session.execute(query)).all()


def _first_of_each_key(queue: WorkQueue, per_key: int) -> CTE:
    """The ids of the rows that are due longest, so many of each key."""
    rows = queue.table.alias()
    keys = _keys_with_work(queue)
    of_one_key = (
        select(rows.c[queue.id].label("id"), rows.c[queue.due_at].label("due_at"))
        .where(rows.c[queue.key] == keys.c.key, rows.c[queue.due_at] <= NOW)
        .order_by(rows.c[queue.due_at], rows.c[queue.id])
        .limit(per_key)
        .lateral()
    )
    return (
        select(of_one_key.c.id, of_one_key.c.due_at)
        .select_from(keys.join(of_one_key, true()))
        .cte("first_of_each_key")
    )


def _keys_with_work(queue: WorkQueue) -> CTE:
    """Every key with a due row, found by steps from key to key through the index."""
    rows, after = queue.table.alias(), queue.table.alias()

    def next_key(table: FromClause, *more: ColumnElement[bool]) -> Select[Any]:
        key = table.c[queue.key]
        return (
            select(key.label("key"))
            .where(table.c[queue.due_at] <= NOW, *more)
            .order_by(key)
            .limit(1)
        )

    keys = next_key(rows).cte("keys", recursive=True)
    following = next_key(after, after.c[queue.key] > keys.c.key).scalar_subquery()
    return keys.union_all(select(following).where(keys.c.key.is_not(None)))


async def lease(
    session: AsyncSession, queue: WorkQueue, *, limit: int, per_key: int, seconds: float
) -> Sequence[Row[Any]]:
    """Take the next due rows for so many seconds: commit, do the work, then `settle` each.

    For work outside the database (an e-mail, a webhook), which must not hold a transaction open.
    The rows have their new `due_at`, the end of the lease, by which `settle` recognises its holder.
    A row of a worker that died is due again when its lease ends; so the work may be done twice but
    is never lost. `per_key` limits this call; rows that are leased already do not count.
    """
    found = await claim(session, queue, limit=limit, per_key=per_key)
    if not found:
        return []
    ids = [row._mapping[queue.id] for row in found]
    leased = (
        update(queue.table)
        .where(queue.id_column.in_(ids))
        .values({queue.due_at: NOW + timedelta(seconds=seconds)})
        .returning(queue.table)
    )
    rows = {row._mapping[queue.id]: row for row in await session.execute(leased)}
    return [rows[each] for each in ids]


async def settle(session: AsyncSession, queue: WorkQueue, row: Row[Any], **values: Any) -> bool:
    """Write the result of a leased row; False, and nothing is written, where the lease was lost.

    `values` contain the next `due_at`: None where the work is done, a moment where it is to be
    tried again. Raises ValueError without it.
    """
    if queue.due_at not in values:
        raise ValueError(f"settle needs the next {queue.due_at}: None where the work is done")
    mapping = row._mapping
    held = (queue.id_column == mapping[queue.id]) & (queue.due_column == mapping[queue.due_at])
    result = await session.execute(update(queue.table).where(held).values(values))
    assert isinstance(result, CursorResult)
    return result.rowcount == 1
