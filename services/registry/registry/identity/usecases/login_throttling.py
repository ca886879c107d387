"""Limits of failed sign-ins, counted by the e-mail or subject and by the address they came from.

A low limit for one address ends guessing from there; a much higher one for all addresses together
ends guessing from many. Whoever guesses from another address locks the owner out only by reaching
the second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.base import now
from shared.errors import TooManyRequests
from shared.kernel.data.advisory_locks import wait_for_lock

from .. import models

FAILURES_COUNT_FOR: Final = timedelta(minutes=15)
PROVEN: Final = "proven"
"""The place of attempts with a genuine token of the person, from whatever address."""

_failures = models.sign_in_failure


class TooManyFailures(TooManyRequests):
    """Too many failed sign-ins: wait, or ask an operator."""

    def __init__(self, free_at: datetime) -> None:
        seconds = math.ceil((free_at - now()).total_seconds())
        super().__init__(
            f"too many failed sign-ins: try again in {max(seconds, 1)} s, or ask an operator",
            seconds=seconds,
        )


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """Whom somebody claims to be and from where, each as one mark per key, the newest first.

    `limit_here` failures may come from this place in 15 minutes, `limit_everywhere` from all places
    together; None sets no limit for all.
    """

    marks: Sequence[str]
    places: Sequence[str] = (PROVEN,)
    limit_here: int
    limit_everywhere: int | None = None


async def wait_for_turn(session: AsyncSession, marks: Sequence[str]) -> None:
    """Wait until guesses that came before are judged and noted; until the transaction ends.

    Without it, guesses that come together would all be judged before the first one counts.
    """
    for mark in sorted(marks):
        await wait_for_lock(session, func.hashtextextended(mark, 0))


async def refuse_guessing(session: AsyncSession, attempt: Attempt) -> None:
    """Raise TooManyFailures if a limit is reached.

    It counts for e-mails that no account has as well, for else a refusal would show which exist.
    """
    recent = select(_failures.c.at).where(
        _failures.c.email_mark.in_(attempt.marks), _failures.c.at > now() - FAILURES_COUNT_FOR
    )
    here = recent.where(_failures.c.place.in_(attempt.places))
    for failures, limit in ((here, attempt.limit_here), (recent, attempt.limit_everywhere)):
        if limit is None:
            continue
        latest = failures.order_by(_failures.c.at.desc())
        # The one that has to grow old before there is room for another.
        decisive = await session.scalar(latest.offset(limit - 1).limit(1))
        if decisive is not None:
            raise TooManyFailures(decisive + FAILURES_COUNT_FOR)


async def note_failure(session: AsyncSession, attempt: Attempt) -> None:
    """Count one more failure of these marks from this place, under the newest key."""
    row = {"email_mark": attempt.marks[0], "place": attempt.places[0]}
    await session.execute(insert(_failures).values(row))


async def delete_failures_here(session: AsyncSession, attempt: Attempt) -> None:
    """Delete the failures from this place after a success; those from elsewhere still count."""
    theirs = _failures.c.email_mark.in_(attempt.marks) & _failures.c.place.in_(attempt.places)
    await session.execute(delete(_failures).where(theirs))


async def delete_failures(session: AsyncSession, marks: Sequence[str]) -> None:
    """Delete all failures of these marks, from any place; a lock-out ends."""
    await session.execute(delete(_failures).where(_failures.c.email_mark.in_(marks)))


async def delete_old_failures(session: AsyncSession) -> None:
    """Delete failures that are older than 15 minutes and count no more, whoever they were for."""
    await session.execute(delete(_failures).where(_failures.c.at < now() - FAILURES_COUNT_FOR))
