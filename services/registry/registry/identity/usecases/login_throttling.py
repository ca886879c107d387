"""Failed sign-ins are counted by whom they were for and by where they came from.

Few may come from one place, so that guessing ends; many more from all places together, so that
whoever guesses elsewhere does not keep the owner out before that many.
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
"""The place of those who hold a genuine token of the person: where they are does not matter."""

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
    """Whom somebody claims to be and from where, each by one mark per key, the newest first.

    So many may fail here, and so many everywhere; None: what happens elsewhere does not count.
    """

    marks: Sequence[str]
    places: Sequence[str] = (PROVEN,)
    most_here: int
    most_everywhere: int | None = None


async def wait_for_turn(session: AsyncSession, marks: Sequence[str]) -> None:
    """Whoever is about to judge a guess waits until those before it are judged and noted.

    Without it, guesses that come together would all be judged before the first one counts.
    """
    for mark in sorted(marks):
        await wait_for_lock(session, func.hashtextextended(mark, 0))


async def refuse_guessing(session: AsyncSession, attempt: Attempt) -> None:
    """The same for e-mails that nobody has: otherwise the refusal would show which exist."""
    recent = select(_failures.c.at).where(
        _failures.c.email_mark.in_(attempt.marks), _failures.c.at > now() - FAILURES_COUNT_FOR
    )
    here = recent.where(_failures.c.place.in_(attempt.places))
    for failures, most in ((here, attempt.most_here), (recent, attempt.most_everywhere)):
        if most is None:
            continue
        latest = failures.order_by(_failures.c.at.desc())
        # The one that has to grow old before there is room for another.
        decisive = await session.scalar(latest.offset(most - 1).limit(1))
        if decisive is not None:
            raise TooManyFailures(decisive + FAILURES_COUNT_FOR)


async def note_failure(session: AsyncSession, attempt: Attempt) -> None:
    """One more, here."""
    row = {"email_mark": attempt.marks[0], "place": attempt.places[0]}
    await session.execute(insert(_failures).values(row))


async def delete_failures_here(session: AsyncSession, attempt: Attempt) -> None:
    """Whoever signs in was the one who mistyped here; what came from elsewhere counts on."""
    theirs = _failures.c.email_mark.in_(attempt.marks) & _failures.c.place.in_(attempt.places)
    await session.execute(delete(_failures).where(theirs))


async def delete_failures(session: AsyncSession, marks: Sequence[str]) -> None:
    """A lock-out ends, wherever its failures came from."""
    await session.execute(delete(_failures).where(_failures.c.email_mark.in_(marks)))


async def delete_old_failures(session: AsyncSession) -> None:
    """Those that count no more, whoever they were for: nobody else comes back to them."""
    await session.execute(delete(_failures).where(_failures.c.at < now() - FAILURES_COUNT_FOR))
