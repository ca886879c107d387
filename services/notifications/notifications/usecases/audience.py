"""The audience: the register as notifications needs it, with every version it ever had."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import orjson
import structlog
from sqlalchemy import text
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.registry import CooperativeRecord

from ..models import FACT_COLUMNS, audience
from .fanout import lock_audience, tell_late_matches

log = structlog.get_logger()

_FACTS = [name for name, _ in FACT_COLUMNS]
_COLUMNS = [
    "cooperative_id",
    "version",
    "name_fr",
    "name_ar",
    "language",
    *_FACTS,
    "contact_sealed",
]
_POSTGRESQL = postgresql.dialect()  # type: ignore[no-untyped-call]  # untyped there
_TYPED = ", ".join(f"{name} {audience.c[name].type.compile(_POSTGRESQL)}" for name in _COLUMNS)

# Rows go in by key, so that two batches that share cooperatives never wait for each other in a
# circle. Only a newer version replaces what is there; the history gets the same rows.
_UPSERT = text(
    f"""
WITH fresh AS (
    INSERT INTO audience ({", ".join(_COLUMNS)})
    SELECT {", ".join(_COLUMNS)} FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r({_TYPED})
    ORDER BY cooperative_id
    ON CONFLICT (cooperative_id) DO UPDATE SET
        {", ".join(f"{name} = excluded.{name}" for name in _COLUMNS[1:])}, updated_at = now()
    WHERE audience.version < excluded.version
    RETURNING cooperative_id, version, {", ".join(_FACTS)}
), ended AS (
    UPDATE audience_history h SET valid_to = statement_timestamp() FROM fresh f
    WHERE h.cooperative_id = f.cooperative_id AND h.version < f.version AND h.valid_to IS NULL
)
INSERT INTO audience_history (cooperative_id, version, valid_from, {", ".join(_FACTS)})
SELECT cooperative_id, version, statement_timestamp(), {", ".join(_FACTS)} FROM fresh
ON CONFLICT DO NOTHING
RETURNING cooperative_id
"""
)


async def keep_cooperatives(session: AsyncSession, records: Sequence[CooperativeRecord]) -> None:
    """Keep the newest version of each record, and tell those who match an open subject only now.

    What arrives late or twice changes nothing.
    """
    await lock_audience(session, shared=True)
    newest = {record.cooperative_id: record for record in sorted(records, key=lambda r: r.version)}
    changed = await _upsert(session, list(newest.values()))
    if changed:
        told = await tell_late_matches(session, changed)
        log.info("audience kept", cooperatives=len(changed), told_late=told)


async def _upsert(session: AsyncSession, records: Sequence[CooperativeRecord]) -> list[UUID]:
    rows = orjson.dumps([record.model_dump(mode="json") for record in records]).decode()
    return list(await session.scalars(_UPSERT, {"rows": rows}))
