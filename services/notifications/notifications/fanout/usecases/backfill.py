"""Backfill: first alerts for those who match an open subject only since the audience changed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

import structlog
from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from notifications import metrics
from notifications.audience.models import (
    AUDIENCE_LOCK,
    PROFILE_COLUMNS,
    audience,
    audience_change,
)
from shared.contracts.criteria import Profile
from shared.kernel import failpoints
from shared.kernel.data.advisory_locks import wait_for_lock

from ..domain.subjects import Subject, audience_tracks, may_concern
from ..models import subject as subject_table
from .alerts import Counts, insert_alerts
from .subject_conditions import is_held_back, still_open

log = structlog.get_logger()

CHANGES_AT_ONCE = 20
"""Most notes that one transaction works on; a note names the cooperatives of up to one batch."""
MOST_PREFILTERED = 100
"""Up to so many changed cooperatives are compared with each open subject in Python first: most
changes concern few subjects, and a statement for each other subject costs more than that."""


async def backfill_alerts(session: AsyncSession) -> bool:
    """Alert those who match an open subject since a noted change; whether anything was noted.

    The transaction that alerts deletes the notes. Several processes may do this at once: each takes
    notes of its own. No cooperative is missed when a fan-out runs at the same time: a note is
    visible once its change is committed, and the lock is taken after that. So a fan-out that could
    not see the change still holds the lock; this waits for it and then sees its subject.
    """
    notes = (
        select(audience_change.c.seq)
        .order_by(audience_change.c.seq)
        .limit(CHANGES_AT_ONCE)
        .with_for_update(skip_locked=True)
        .cte("notes")
    )
    taken = await session.scalars(
        delete(audience_change)
        .where(audience_change.c.seq.in_(select(notes.c.seq)))
        .returning(audience_change.c.cooperatives)
    )
    changed = {cooperative_id for note in taken for cooperative_id in note}
    if not changed:
        return False
    await wait_for_lock(session, AUDIENCE_LOCK, shared=True)
    alerted = await backfill_matches(session, list(changed))
    failpoints.reach("audience.backfill.before-commit")
    log.info("backfill completed", cooperatives=len(changed), alerted=alerted)
    return True


async def backfill_matches(session: AsyncSession, changed: Sequence[UUID]) -> int:
    """Match changed cooperatives against open subjects that were fanned out; how many alerts.

    The caller has taken the shared audience lock after the changes were committed: every fan-out
    has either committed, so this sees its subject, or will see the changed rows itself.
    """
    table = subject_table.c
    found = await session.scalars(
        select(Subject)
        .where(table.notified_version.is_not(None), still_open(), ~is_held_back())
        .order_by(table.subject_id)
    )
    await _note_missed_matches(session)
    profiles = await _profiles_of(session, changed) if len(changed) <= MOST_PREFILTERED else None
    alerted = 0
    for subject in found:
        await asyncio.sleep(0)  # requests and consumers of this process go on between subjects
        only = changed if profiles is None else _possibly_concerned(subject, profiles)
        if only:
            alerted += await backfill_subject(session, subject, only=only)
    return alerted


async def _profiles_of(session: AsyncSession, changed: Sequence[UUID]) -> dict[UUID, Profile]:
    """The profiles of these cooperatives now. A change that comes meanwhile has a note of its
    own."""
    names = [name for name, _ in PROFILE_COLUMNS]
    rows = await session.execute(
        select(audience.c.cooperative_id, *(audience.c[name] for name in names)).where(
            audience.c.cooperative_id == func.any(list(changed))
        )
    )
    return {
        cooperative_id: Profile.model_validate(dict(zip(names, profile, strict=True)))
        for cooperative_id, *profile in rows
    }


def _possibly_concerned(subject: Subject, profiles: dict[UUID, Profile]) -> list[UUID]:
    """Those that some track may be for; the statement that inserts the alerts decides."""
    tracks = audience_tracks(subject.announcement())
    return [
        cooperative_id
        for cooperative_id, profile in profiles.items()
        if may_concern(tracks, profile, reference_on=subject.reference_on)
    ]


async def backfill_subject(
    session: AsyncSession, subject: Subject, *, only: Sequence[UUID] | None = None
) -> int:
    """Write the first alerts of those who match the subject only now; how many.

    `only` narrows them to some cooperatives.
    """
    counts = await insert_alerts(session, subject, subject.first_kind(), only=only)
    if counts.alerted:
        await _add_counts(session, subject.subject_id, counts)
        metrics.count_backfilled(session, subject.kind, counts.eligible, counts.unknown)
    return counts.alerted


async def _note_missed_matches(session: AsyncSession) -> None:
    """Mark subjects that are held back: they must be matched again once they are released."""
    table = subject_table.c
    held = (
        select(table.subject_id)
        .where(
            table.notified_version.is_not(None),
            still_open(),
            is_held_back(),
            table.missed_matches.is_(False),
        )
        .order_by(table.subject_id)
        .with_for_update(of=subject_table)
    )
    await session.execute(
        update(subject_table).where(table.subject_id.in_(held)).values(missed_matches=True)
    )


async def _add_counts(session: AsyncSession, subject_id: UUID, counts: Counts) -> None:
    """Add the counts in the database: several processes may add to one subject at a time."""
    table = subject_table.c
    await session.execute(
        update(subject_table)
        .where(table.subject_id == subject_id)
        .values(
            eligible=table.eligible + counts.eligible,
            unknown=table.unknown + counts.unknown,
            alerted=table.alerted + counts.alerted,
        )
    )
