"""A partner who polls while many write: every event, in the order of its number, without a hole."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

from .request_bodies import a_track
from .stories import Partner, Story

WRITERS = 20
CALLS_EACH = 3
SMALL_TRACK = a_track(provinces=["MA-AOU"], sectors=["FISHERIES"])


async def write(story: Story) -> list[UUID]:
    return [await story.open_call(SMALL_TRACK) for _ in range(CALLS_EACH)]


async def poll(story: Story, partner: Partner, many: int) -> list[dict[str, Any]]:
    """Page after page from the last position seen, as fast as the answers come."""
    seen: list[dict[str, Any]] = []
    after = "0"

    async def all_seen() -> bool:
        nonlocal after
        page = await story.get("notifications", "/feed", who=partner, after=after, limit=7)
        seen.extend(page["items"])
        after = page["next"]
        return len(seen) >= many

    await story.eventually(all_seen)
    return seen


async def test_twenty_writers_leave_no_hole_for_a_partner_who_polls(story: Story) -> None:
    partner = await story.register_partner()
    await story.subscribe(partner, topics=["funding.call.opened"], provinces=["MA-AOU"])

    seen, *written = await asyncio.gather(
        poll(story, partner, WRITERS * CALLS_EACH), *(write(story) for _ in range(WRITERS))
    )

    assert [int(item["sequence"]) for item in seen] == list(range(1, WRITERS * CALLS_EACH + 1))
    calls = {str(call_id) for part in written for call_id in part}
    assert {item["data"]["call_id"] for item in seen} == calls
