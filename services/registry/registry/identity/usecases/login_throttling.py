"""Failed sign-ins make the next ones wait, for whoever failed and for nobody else.

Failures are counted by the e-mail or subject and by the place they came from: a network, or a
device that has signed in to the account before. Nothing counts for the e-mail alone, or strangers
could lock its owner out. Where many networks fail at one e-mail, each unknown device waits after
its first failure there instead of after the fifth; its first attempt is always judged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from registry.settings import RegistrySettings
from shared.errors import TooManyRequests
from shared.kernel.data.advisory_locks import wait_for_lock
from shared.kernel.data.database import moment
from shared.kernel.encryption.sealer import Sealer
from shared.sentences import Sentence

from .. import models
from ..domain.sign_in_failures import FAILURES_COUNT_FOR, SHOWN_FOR, FailureCount

PROVEN: Final = "proven"
"""The place of attempts with a genuine token of the person, from whatever network."""
_FREE_UNDER_ATTACK: Final = 1

_failures = models.sign_in_failure


class TooManyFailures(TooManyRequests):
    """Too many failed sign-ins: wait, or ask an operator."""

    def __init__(self, wait: timedelta) -> None:
        seconds = max(math.ceil(wait.total_seconds()), 1)
        super().__init__(
            Sentence(
                "too many failed sign-ins: try again in {seconds} s, or ask an operator",
                seconds=seconds,
            ),
            seconds=seconds,
        )


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """Whom somebody claims to be and from where, each as one mark per key, the newest first.

    A stranger is a device that has not signed in to the account before.
    """

    marks: Sequence[str]
    places: Sequence[str] = (PROVEN,)
    by_stranger: bool = False

    @classmethod
    def of_password(
        cls, sealer: Sealer, marks: Sequence[str], *, network: str, device: UUID | None
    ) -> Attempt:
        """A sign-in by password: of a known device, wherever it is, or else from a network."""
        if device is not None:
            return cls(marks=marks, places=[f"device {device}"])
        return cls(marks=marks, places=sealer.marks(f"network\0{network}"), by_stranger=True)


async def wait_for_turn(session: AsyncSession, marks: Sequence[str]) -> None:
    """Wait until guesses that came before are judged and noted; until the transaction ends.

    Without it, guesses that come together would all be judged before the first one counts.
    """
    for mark in sorted(marks):
        await wait_for_lock(session, func.hashtextextended(mark, 0))


async def refuse_guessing(
    session: AsyncSession, settings: RegistrySettings, attempt: Attempt
) -> int:
    """Raise TooManyFailures while this place has to wait; else how many failures of strangers
    count for the e-mail.

    It counts for e-mails that no account has as well, for else a refusal would show which exist.
    """
    at = await moment(session)
    here, by_strangers = await _failures_of(session, attempt, at)
    is_attacked = by_strangers >= settings.sign_in_failures_everywhere
    free = _FREE_UNDER_ATTACK if attempt.by_stranger and is_attacked else settings.sign_in_failures
    longest = timedelta(seconds=settings.sign_in_wait_seconds)
    waits = [here.free_at(free=free, longest=longest)]
    if attempt.by_stranger:
        network = await _failures_from(session, attempt.places, at)
        waits.append(network.free_at(free=settings.sign_in_failures_network, longest=longest))
    for free_at in waits:
        if free_at is not None and free_at > at:
            raise TooManyFailures(free_at - at)
    return by_strangers


async def _failures_of(
    session: AsyncSession, attempt: Attempt, at: datetime
) -> tuple[FailureCount, int]:
    """The failures of the e-mail from this place, and how many of strangers from all places."""
    columns = _failures.c
    here = columns.place.in_(attempt.places)
    query = select(
        func.count().filter(here),
        func.max(columns.at).filter(here),
        func.count().filter(columns.by_stranger),
    ).where(
        columns.email_mark.in_(attempt.marks), columns.at > at - FAILURES_COUNT_FOR, columns.counts
    )
    failures, latest_at, by_strangers = (await session.execute(query)).one()
    return FailureCount(failures=failures, latest_at=latest_at), by_strangers


async def _failures_from(
    session: AsyncSession, places: Sequence[str], at: datetime
) -> FailureCount:
    columns = _failures.c
    query = select(func.count(), func.max(columns.at)).where(
        columns.place.in_(places), columns.at > at - FAILURES_COUNT_FOR, columns.counts
    )
    failures, latest_at = (await session.execute(query)).one()
    return FailureCount(failures=failures, latest_at=latest_at)


async def note_failure(session: AsyncSession, attempt: Attempt) -> None:
    """Count one more failure of these marks from this place, under the newest key."""
    row = {
        "email_mark": attempt.marks[0],
        "place": attempt.places[0],
        "by_stranger": attempt.by_stranger,
    }
    await session.execute(insert(_failures).values(row))


async def forgive_failures_here(session: AsyncSession, attempt: Attempt) -> None:
    """After a success the failures from this place count no more; those from elsewhere still do.

    The owner is still shown those of strangers: the one who succeeded may be one.
    """
    theirs = _failures.c.email_mark.in_(attempt.marks) & _failures.c.place.in_(attempt.places)
    await session.execute(update(_failures).where(theirs).values(counts=False))


async def delete_failures(session: AsyncSession, marks: Sequence[str]) -> None:
    """Delete all failures of these marks, from any place: nobody waits, and no notice is left."""
    await session.execute(delete(_failures).where(_failures.c.email_mark.in_(marks)))


async def delete_old_failures(session: AsyncSession) -> None:
    """Delete failures that count no more and that no owner of an account is shown."""
    at, columns = await moment(session), _failures.c
    is_shown = columns.by_stranger & columns.email_mark.in_(select(models.account.c.email_mark))
    count_no_more = (columns.at < at - FAILURES_COUNT_FOR) & ~is_shown
    await session.execute(delete(_failures).where(or_(count_no_more, columns.at < at - SHOWN_FOR)))
