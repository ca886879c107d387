"""What several chapters read: the seeds of services, the feed of a partner."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

from devkit.client import Client


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
