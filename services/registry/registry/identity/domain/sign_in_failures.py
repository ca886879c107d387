"""How long the next sign-in waits after failed ones, and what the owner is shown of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

FAILURES_COUNT_FOR: Final = timedelta(hours=1)
SHOWN_FOR: Final = timedelta(days=30)
"""How long the owner of an account is shown what strangers failed at."""
_MOST_DOUBLINGS: Final = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class FailureCount:
    """How many failures count, and when the latest of them was."""

    failures: int = 0
    latest_at: datetime | None = None

    def free_at(self, *, free: int, longest: timedelta) -> datetime | None:
        """When the next attempt is judged; None: at once.

        `free` failures cost nothing. The next attempts wait 1, 2, 4, 8 … seconds after the latest
        failure, and never more than `longest`.
        """
        beyond = self.failures - free
        if beyond < 0 or self.latest_at is None:
            return None
        wait = timedelta(seconds=2 ** min(beyond, _MOST_DOUBLINGS))
        return self.latest_at + min(wait, longest)


@dataclass(frozen=True, kw_only=True, slots=True)
class FailedSignIns:
    """What unknown devices failed at in the last 30 days, since the first of these failures.

    It ends with a new password.
    """

    failures: int
    networks: int
    since: datetime
