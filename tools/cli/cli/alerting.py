"""What has become of the alerts of a call or an idea, as notifications says it, in a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from shared.errors import DomainError
from shared.kernel.waiting import wait_until

from .client import OperatorClient
from .steps import step

SECONDS = 10.0
"""How long a command waits for notifications, where events arrive after they were sent."""
HOLDS = ("held", "stopped")


def alerting_of(
    client: OperatorClient, subject_id: str, version: int, *, within: float = SECONDS
) -> dict[str, Any] | None:
    """The totals of a subject once notifications has dealt with this version, else None."""
    seen: dict[str, Any] = {}

    def is_dealt_with() -> bool:
        seen.update(_answer(client, f"/subjects/{subject_id}/totals") or {})
        is_decided = seen.get("notified_version") or seen.get("approval")
        return bool(is_decided) and seen["version"] >= version

    return seen if wait_until(is_dealt_with, within=within, every=0.2) else None


def in_words(subject_id: str, totals: dict[str, Any] | None) -> str:
    """Whether people are alerted, or who holds it back, why, and what to do."""
    if totals is None:
        return f"notifications has not dealt with it yet: taawon trace {subject_id}"
    held = totals["approval"]
    if held is None:
        return f"{totals['alerted']} cooperatives alerted"
    return (
        f"{held['state']} by {held['by']}: {held['reason']}. {totals['not_alerted']} cooperatives"
        f" are not alerted, and partners wait with them: taawon approvals release {subject_id}"
    )


def holds_on(client: OperatorClient, subject_id: str) -> Iterator[str]:
    """What holds the alerts of a subject back now, a line for each decision."""
    if not _is_id(subject_id):
        return
    for path, what in ((f"/subjects/{subject_id}/approval", "this"), ("/approval", "everything")):
        decision = _answer(client, path) or {}
        if decision.get("state") in HOLDS:
            yield f"{what} is {decision['state']}: {decision['reason']}"


def _is_id(name: str) -> bool:
    try:
        return UUID(name).int != 0
    except ValueError:
        return False


def _answer(client: OperatorClient, path: str) -> dict[str, Any] | None:
    """What notifications answers; None where it refuses, as it does before a subject arrives."""
    try:
        found: dict[str, Any] = step(client, "notifications", "GET", path)
    except DomainError:
        return None
    return found
