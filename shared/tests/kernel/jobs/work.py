"""A table of work, a table of what was done, and a worker that may run as a process of its own."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    MetaData,
    Table,
    Text,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from shared.kernel.data.database import Sessions, make_engine
from shared.kernel.jobs.claims import WorkQueue, claim
from shared.kernel.jobs.job import Job
from shared.kernel.jobs.runner import Runner

CHANNEL = "work"
metadata = MetaData()
work = Table(
    "work",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("key", Text, nullable=False),
    Column("due_at", DateTime(timezone=True)),
)
HAS_WORK = work.c.due_at.is_not(None)
Index("ix_work_due", work.c.key, work.c.due_at, work.c.id, postgresql_where=HAS_WORK)
# No key of its own: a row that was worked on twice is here twice.
done = Table("done", metadata, Column("work_id", BigInteger), Column("key", Text))
QUEUE = WorkQueue(work, id="id", key="key")


@dataclass
class Workshop:
    """A database of its own with the two tables."""

    url: str
    engine: AsyncEngine
    sessions: Sessions

    async def add(self, count: int, key: str = "a", *, in_seconds: float = 0.0) -> None:
        """Add rows that are due in so many seconds, or since so many where it is negative."""
        statement = text(
            "INSERT INTO work (key, due_at)"
            " SELECT :key, clock_timestamp() + make_interval(secs => :secs)"
            " FROM generate_series(1, :count)"
        )
        async with self.sessions.begin() as session:
            await session.execute(statement, {"key": key, "secs": in_seconds, "count": count})
            await session.execute(select(func.pg_notify(CHANNEL, "")))

    async def done(self) -> list[int]:
        """The ids of the rows that were worked on, once for each time."""
        async with self.sessions() as session:
            return list(await session.scalars(select(done.c.work_id).order_by(done.c.work_id)))

    async def waiting(self) -> int:
        async with self.sessions() as session:
            query = select(func.count()).where(work.c.due_at.is_not(None))
            return int(await session.scalar(query) or 0)


async def work_once(session: AsyncSession, *, limit: int = 5, per_key: int = 5) -> int:
    """Claim, work and mark as done in the one transaction; how many rows."""
    rows = await claim(session, QUEUE, limit=limit, per_key=per_key)
    if rows:
        await session.execute(insert(done), [{"work_id": row.id, "key": row.key} for row in rows])
        ids = [row.id for row in rows]
        await session.execute(update(work).where(work.c.id.in_(ids)).values(due_at=None))
    return len(rows)


async def _until_killed(url: str) -> None:
    engine = make_engine(url)

    async def step() -> bool:
        async with AsyncSession(engine) as session, session.begin():
            found = await work_once(session, limit=2, per_key=2)
            sys.stdout.write(f"holds {found}\n")
            sys.stdout.flush()
            await session.execute(text("SELECT pg_sleep(0.01)"))
            return found > 0

    await Runner(url, [Job(name="child", step=step, poll_seconds=0.05)]).run()


if __name__ == "__main__":
    asyncio.run(_until_killed(sys.argv[1]))
