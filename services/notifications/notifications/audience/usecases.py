"""Storing the register's records in the audience, and noting whom each change concerns."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import orjson
import structlog
from sqlalchemy import delete, exists, func, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.base import LARGEST_VERSION_GAP, refuse_version_gap
from shared.contracts.registry import CooperativeRecord
from shared.errors import Away
from shared.kernel.data.advisory_locks import wait_for_lock
from shared.kernel.messaging import erasure

from .models import AUDIENCE_LOCK, PROFILE_COLUMNS, audience, audience_rebuild

log = structlog.get_logger()

SNAPSHOT_LOCK = 0x736E_6170  # "snap" in ASCII

_PROFILE = [name for name, _ in PROFILE_COLUMNS]
_COLUMNS = [
    "cooperative_id",
    "version",
    "name_fr",
    "name_ar",
    "language",
    *_PROFILE,
    "contact_sealed",
]
_POSTGRESQL = postgresql.dialect()  # type: ignore[no-untyped-call]  # untyped there
_TYPED = ", ".join(f"{name} {audience.c[name].type.compile(_POSTGRESQL)}" for name in _COLUMNS)

# Rows are inserted in the order of their key, so that two batches that share cooperatives never
# deadlock. Only a newer version replaces a row; the history gets the same rows, and their
# cooperatives are noted, to be matched against open subjects.
_UPSERT = text(
    f"""
WITH fresh AS (
    INSERT INTO audience ({", ".join(_COLUMNS)})
    SELECT {", ".join(_COLUMNS)} FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r({_TYPED})
    ORDER BY cooperative_id
    ON CONFLICT (cooperative_id) DO UPDATE SET
        {", ".join(f"{name} = excluded.{name}" for name in _COLUMNS[1:])}, updated_at = now()
    WHERE audience.version < excluded.version
    RETURNING cooperative_id, version, {", ".join(_PROFILE)}
), ended AS (
    UPDATE audience_history h SET valid_to = statement_timestamp() FROM fresh f
    WHERE h.cooperative_id = f.cooperative_id AND h.version < f.version AND h.valid_to IS NULL
), noted AS (
    INSERT INTO audience_change (cooperatives)
    SELECT array_agg(cooperative_id) FROM fresh HAVING count(*) > 0
)
INSERT INTO audience_history (cooperative_id, version, valid_from, {", ".join(_PROFILE)})
SELECT cooperative_id, version, statement_timestamp(), {", ".join(_PROFILE)} FROM fresh
ON CONFLICT DO NOTHING
RETURNING cooperative_id
"""
)


class AudienceIncomplete(Away):
    """The audience is being built anew from the register, so counts would be too small: try again
    when all of it has arrived, as GET /audience shows.
    """


async def note_snapshot(session: AsyncSession, remaining: int) -> None:
    """Note that the audience is incomplete while a snapshot fills it anew, until its last batch.

    It does where more cooperatives are still to come than there are. Batches take turns here, for
    one that is overtaken by the last must not begin what that has ended.
    """
    await wait_for_lock(session, SNAPSHOT_LOCK)
    if remaining == 0:
        await session.execute(delete(audience_rebuild))
        return
    known = select(audience.c.cooperative_id).limit(remaining).subquery()
    if int(await session.scalar(select(func.count()).select_from(known)) or 0) < remaining:
        await session.execute(insert(audience_rebuild).on_conflict_do_nothing())


async def require_complete(session: AsyncSession) -> None:
    """Raise AudienceIncomplete while a snapshot fills the audience anew."""
    if await session.scalar(select(exists().where(audience_rebuild.c.is_running))):
        raise AudienceIncomplete


async def store_cooperatives(session: AsyncSession, records: Sequence[CooperativeRecord]) -> None:
    """Keep the newest version of each record, and note which cooperatives changed.

    A record that arrives late or twice changes nothing. Nothing but this projection is written:
    `backfill_alerts` alerts those who match an open subject only now, so the audience can be
    rebuilt. An implausible version (`ImplausibleVersion`) refuses the whole batch.
    """
    # So that the history is dated after any fan-out that is under way.
    await wait_for_lock(session, AUDIENCE_LOCK, shared=True)
    await _refuse_version_gaps(session, records)
    newest = {record.cooperative_id: record for record in sorted(records, key=lambda r: r.version)}
    newest |= await _without_erased(session, newest)
    changed = await _upsert(session, list(newest.values()))
    if changed:
        log.info("audience stored", cooperatives=len(changed))


async def _without_erased(
    session: AsyncSession, records: dict[UUID, CooperativeRecord]
) -> dict[UUID, CooperativeRecord]:
    """Those records that are older than an erasure, without their contact.

    However late such a record arrives, it brings no contact back.
    """
    below = (await erasure.recall(session, records)).below
    return {
        each: records[each].model_copy(update={"contact_sealed": None})
        for each, version in below.items()
        if records[each].version < version
    }


async def _refuse_version_gaps(session: AsyncSession, records: Sequence[CooperativeRecord]) -> None:
    """Refuse a batch with a version so high that true later records would count as old."""
    far = {
        r.cooperative_id: r.version
        for r in sorted(records, key=lambda r: r.version)
        if r.version > LARGEST_VERSION_GAP
    }
    if not far:
        return
    known = await session.execute(
        select(audience.c.cooperative_id, audience.c.version).where(
            audience.c.cooperative_id == func.any(list(far))
        )
    )
    for cooperative_id, version in known:
        refuse_version_gap(version, far[cooperative_id])


async def _upsert(session: AsyncSession, records: Sequence[CooperativeRecord]) -> list[UUID]:
    rows = orjson.dumps([record.model_dump(mode="json") for record in records]).decode()
    return list(await session.scalars(_UPSERT, {"rows": rows}))
