"""The audience: the register as notifications needs it, with every version it ever had."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import orjson
import structlog
from sqlalchemy import func, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.base import LARGEST_VERSION_GAP, refuse_version_gap
from shared.contracts.registry import CooperativeRecord
from shared.kernel.data.advisory_locks import wait_for_lock
from shared.kernel.messaging import erasure

from .models import AUDIENCE_LOCK, PROFILE_COLUMNS, audience

log = structlog.get_logger()

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

# Rows go in by key, so that two batches that share cooperatives never wait for each other in a
# circle. Only a newer version replaces what is there; the history gets the same rows, and whoever
# is in them is noted, to be matched against what is open.
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


async def store_cooperatives(session: AsyncSession, records: Sequence[CooperativeRecord]) -> None:
    """Keep the newest version of each record, and note whom the audience changed for.

    What arrives late or twice changes nothing. Nothing but this projection is written: who matches
    an open subject only now is alerted by `backfill_alerts`, so the audience can be built again.
    """
    # The moments of the history come after those of a fan-out that is under way.
    await wait_for_lock(session, AUDIENCE_LOCK, shared=True)
    await _refuse_version_gaps(session, records)
    newest = {record.cooperative_id: record for record in sorted(records, key=lambda r: r.version)}
    newest |= await _without_erased(session, newest)
    changed = await _upsert(session, list(newest.values()))
    if changed:
        log.info("audience kept", cooperatives=len(changed))


async def _without_erased(
    session: AsyncSession, records: dict[UUID, CooperativeRecord]
) -> dict[UUID, CooperativeRecord]:
    """Records from before a person was erased bring no contact back, however late they come."""
    below = (await erasure.recall(session, records)).below
    return {
        each: records[each].model_copy(update={"contact_sealed": None})
        for each, version in below.items()
        if records[each].version < version
    }


async def _refuse_version_gaps(session: AsyncSession, records: Sequence[CooperativeRecord]) -> None:
    """Refuse a batch that would silence the true records of any cooperative in it."""
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
