"""What the services and a partner's feed say of a demonstration, read over their APIs."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from devkit.client import Client
from notifications.fanout.domain.subjects import audience_tracks
from notifications.fanout.handlers import announcement_of_call, announcement_of_idea
from shared.business_days import business_day
from shared.contracts.criteria import Criteria
from shared.contracts.funding import CallSnapshot
from shared.contracts.ideas import IdeaSnapshot

from .register_files import Identity


def identities(client: Client) -> dict[UUID, Identity]:
    """Every cooperative's id with what the file knows it by."""
    found: dict[UUID, Identity] = {}
    after: str | None = None
    while True:
        parameters = {"limit": 200, **({"after": after} if after else {})}
        page = client.get("registry", "/cooperatives", **parameters)
        for item in page["items"]:
            found[UUID(item["cooperative_id"])] = (item["court"], item["local_register_no"])
        after = page["next"]
        if after is None:
            return found


def recipients(client: Client, subject_id: str) -> dict[UUID, str]:
    found: dict[UUID, str] = {}
    after: str | None = None
    while True:
        parameters = {"limit": 5000, **({"after": after} if after else {})}
        page = client.get("notifications", f"/subjects/{subject_id}/recipients", **parameters)
        found |= {UUID(item["cooperative_id"]): item["verdict"] for item in page["items"]}
        after = page["next"]
        if after is None:
            return found


def audiences_of(feed: list[dict[str, Any]]) -> dict[str, tuple[tuple[Criteria, ...], date]]:
    """Whom each subject is for, by what partners read, which names no author."""
    found = {}
    for item in feed:
        content = item["data"].get("call") or item["data"].get("idea")
        if "call_id" in content:
            call = CallSnapshot.model_validate(content)
            found[content["call_id"]] = (
                audience_tracks(announcement_of_call(call)),
                call.reference_on,
            )
        else:
            author = "00000000-0000-4000-8000-000000000000"
            idea = IdeaSnapshot.model_validate({**content, "author_id": author})
            assert idea.published_at is not None
            found[content["idea_id"]] = (
                audience_tracks(announcement_of_idea(idea, occurred_at=idea.published_at)),
                business_day(idea.published_at),
            )
    return found
