"""Failed sign-ins are counted by a mark of whom they were for, so that guessing ends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from registry import models
from shared.contracts.base import now
from shared.errors import TooManyRequests

MOST_FAILURES = 10
FAILURES_COUNT_FOR = timedelta(minutes=15)

_failures = models.sign_in_failure


class TooManyFailures(TooManyRequests):
    """Too many failed sign-ins: wait 15 minutes, then try again."""


async def take_turn(session: AsyncSession, marks: Sequence[str]) -> None:
    """Whoever is about to judge a guess waits until those before it are judged and noted.

    Without it, guesses that come together would all be judged before the first one counts.
    """
    turn = text("SELECT pg_advisory_xact_lock(hashtextextended(:mark, 0))")
    for mark in sorted(marks):
        await session.execute(turn, {"mark": mark})


async def refuse_guessing(session: AsyncSession, marks: Sequence[str]) -> None:
    """The same for e-mails that nobody has: otherwise the refusal would tell which exist."""
    recent = select(func.count()).where(
        _failures.c.email_mark.in_(marks), _failures.c.at > now() - FAILURES_COUNT_FOR
    )
    if (await session.scalar(recent) or 0) >= MOST_FAILURES:
        raise TooManyFailures


async def note_failure(session: AsyncSession, mark: str) -> None:
    await session.execute(insert(_failures).values(email_mark=mark))


async def forget_failures(session: AsyncSession, marks: Sequence[str]) -> None:
    await session.execute(delete(_failures).where(_failures.c.email_mark.in_(marks)))
