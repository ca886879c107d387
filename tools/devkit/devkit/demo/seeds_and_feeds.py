"""What several chapters read: seeds of services, the feed of a partner, totals of a subject."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

from devkit.client import Client, Refused
from shared.kernel.waiting import wait_until

from .results import PATIENCE, NotInTime


def seeds_of(service: str) -> Any:
    """The function that gives the demonstration data of a service."""
    (entry,) = entry_points(group="taawon.seeds", name=service)
    return entry.load()


def read_feed(client: Client) -> list[dict[str, Any]]:
    """The whole feed of a partner, page by page."""
    items: list[dict[str, Any]] = []
    after = "0"
    while True:
        page = client.get("notifications", "/feed", after=after)
        if not page["items"]:
            return items
        items += page["items"]
        after = page["next"]


def totals_once_notified(operator: Client, subject_id: str, *, version: int = 1) -> dict[str, Any]:
    """The totals of a subject, once recipients were alerted of this version or a later one.

    Raises NotInTime after `PATIENCE` seconds.
    """
    seen: dict[str, Any] = {}

    def is_notified() -> bool:
        nonlocal seen
        try:
            seen = operator.get("notifications", f"/subjects/{subject_id}/totals")
        except Refused as refusal:
            if refusal.status != 404:
                raise
            return False
        return (seen["notified_version"] or 0) >= version

    if not wait_until(is_notified, within=PATIENCE, every=0.01):
        raise NotInTime(
            f"nobody was alerted of version {version} of {subject_id} within {PATIENCE:.0f} s"
        )
    return seen
