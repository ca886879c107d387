"""Backfill: first alerts for those who match an open subject only since the audience changed.

It goes in short steps, for a fan-out waits while one holds the audience lock, and must not wait for
long: a step ends after `STEP_SECONDS`, and notes in its row how far it has come.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog
from sqlalchemy import delete, func, insert, select, update
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
from .subject_conditions import is_held_back, still_addressed, still_open

log = structlog.get_logger()

NOTES_AT_ONCE = 20
"""Most notes that become one; a note names the cooperatives of up to one batch."""
MOST_COOPERATIVES = 500
"""Most cooperatives that one statement matches; notes of fewer are put together up to so many."""
STEP_SECONDS = 0.2
"""A step matches no further subject after so long; its last statement may take longer."""
SUBJECTS_AT_ONCE = 200
"""Subjects that a step reads at most."""
MOST_PREFILTERED = 100
"""Up to so many changed cooperatives are compared with each open subject in Python first: most
changes concern few subjects, and a statement for each other subject costs more than that."""


@dataclass(frozen=True)
class Noted:
    """Cooperatives that changed together, and the last subject that they were matched with."""

    seq: int
    cooperatives: list[UUID]
    after: UUID | None = None


async def backfill_alerts(session: AsyncSession, *, most: int = MOST_COOPERATIVES) -> bool:
    """One step: match the next noted changes with open subjects; whether anything was noted.

    The transaction that alerts notes how far it came, or deletes the note. Several processes may do
    this at once: each takes a note of its own. No cooperative is missed when a fan-out runs at the
    same time: a note is visible once its change is committed, and the lock is taken after that. So
    a fan-out that could not see the change has committed, and its subject is seen; one that comes
    later sees the change itself. `most` is how many cooperatives a statement matches at most.
    """
    noted = await _next(session, most)
    if noted is None:
        return False
    await wait_for_lock(session, AUDIENCE_LOCK, shared=True)
    last, alerted = await backfill_matches(session, noted.cooperatives, after=noted.after)
    row = audience_change.c.seq == noted.seq
    if last is None:
        await session.execute(delete(audience_change).where(row))
    else:
        await session.execute(update(audience_change).where(row).values(after_subject=last))
    failpoints.reach("audience.backfill.before-commit")
    log.info("backfill step completed", cooperatives=len(noted.cooperatives), alerted=alerted)
    return True


async def _next(session: AsyncSession, most: int) -> Noted | None:
    """The note to work on now, locked, and of at most so many cooperatives.

    The smallest comes first, so that a change by hand does not wait behind an import. Notes that
    nobody has begun are put together, for a statement costs about as much for one as for many.
    """
    table = audience_change.c
    found = await session.execute(
        select(table.seq, table.cooperatives, table.after_subject)
        .order_by(table.size, table.seq)
        .limit(NOTES_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    notes = [Noted(*row) for row in found]
    if not notes:
        return None
    noted = notes[0] if notes[0].after else await _joined(session, notes, most)
    return await _part(session, noted, most)


async def _joined(session: AsyncSession, notes: Sequence[Noted], most: int) -> Noted:
    """The first note with the cooperatives of as many others as fit, which are deleted."""
    together = dict.fromkeys(notes[0].cooperatives)
    others: list[int] = []
    for note in notes[1:]:
        if note.after is None and len(together) + len(note.cooperatives) <= most:
            together |= dict.fromkeys(note.cooperatives)
            others.append(note.seq)
    if others:
        await session.execute(delete(audience_change).where(audience_change.c.seq.in_(others)))
        await _keep(session, notes[0].seq, list(together))
    return Noted(notes[0].seq, list(together))


async def _part(session: AsyncSession, noted: Noted, most: int) -> Noted:
    """As much of the note as one statement may match; the rest has a note of its own."""
    first, rest = noted.cooperatives[:most], noted.cooperatives[most:]
    if not rest:
        return noted
    await _keep(session, noted.seq, first)
    await session.execute(
        insert(audience_change).values(cooperatives=rest, after_subject=noted.after)
    )
    return Noted(noted.seq, first, noted.after)


async def _keep(session: AsyncSession, seq: int, cooperatives: Sequence[UUID]) -> None:
    row = update(audience_change).where(audience_change.c.seq == seq)
    await session.execute(row.values(cooperatives=list(cooperatives)))


async def backfill_matches(
    session: AsyncSession, changed: Sequence[UUID], *, after: UUID | None = None
) -> tuple[UUID | None, int]:
    """Match changed cooperatives with open subjects that were fanned out, by the ids of these.

    Answers the last subject that was looked at, or None where it was the last of all, and how many
    were alerted. The caller has taken the shared audience lock after the changes were committed:
    every fan-out has either committed, so this sees its subject, or will see the changed rows
    itself.
    """
    until = time.monotonic() + STEP_SECONDS
    await _note_missed_matches(session)
    profiles = await _profiles_of(session, changed) if len(changed) <= MOST_PREFILTERED else None
    found = await _subjects_after(session, after)
    alerted = 0
    for subject in found:
        await asyncio.sleep(0)  # requests and consumers of this process go on between subjects
        only = changed if profiles is None else _possibly_concerned(subject, profiles)
        if only:
            alerted += await backfill_subject(session, subject, only=only)
        if time.monotonic() > until:
            return subject.subject_id, alerted
    return found[-1].subject_id if len(found) == SUBJECTS_AT_ONCE else None, alerted


async def _subjects_after(session: AsyncSession, after: UUID | None) -> Sequence[Subject]:
    table = subject_table.c
    query = select(Subject).where(
        table.notified_version.is_not(None), still_open(), ~is_held_back(), still_addressed()
    )
    if after is not None:
        query = query.where(table.subject_id > after)
    return (await session.scalars(query.order_by(table.subject_id).limit(SUBJECTS_AT_ONCE))).all()


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
    content = subject.announcement()
    tracks = audience_tracks(content)
    return [
        cooperative_id
        for cooperative_id, profile in profiles.items()
        if content.concerns(cooperative_id)
        and may_concern(tracks, profile, reference_on=subject.reference_on)
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
