"""Events in every order, more than once, and at the same time as others: the end is the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import permutations
from uuid import UUID, uuid4

import pytest

from shared.contracts.base import Event
from shared.contracts.deadline import Deadline
from shared.contracts.funding import CallCancelled, CallDeadlineExtended, CallOpened, CallSnapshot

from .request_bodies import a_call, a_track
from .stories import Partner, Story

OPENED = datetime(2026, 11, 24, 9, tzinfo=UTC)
SEPTEMBER = Deadline(at=datetime(2090, 9, 1, 15, tzinfo=UTC), shown="1er septembre 2090 à 16 h")
OCTOBER = Deadline(at=datetime(2090, 10, 1, 15, tzinfo=UTC), shown="1er octobre 2090 à 16 h")
ORDERS = list(permutations(["opened", "extended", "cancelled"]))
ALERTED: dict[tuple[str, ...], list[str]] = {
    ("opened", "extended", "cancelled"): ["cancelled", "deadline_extended", "opened"],
    ("opened", "cancelled", "extended"): ["cancelled", "opened"],
    ("extended", "opened", "cancelled"): ["cancelled", "opened"],
    ("extended", "cancelled", "opened"): ["cancelled", "opened"],
}
"""The alerts of an inbox in the end, newest first. Where notifications receives the cancellation
first, it alerts nobody."""


def events_of(call_id: UUID) -> dict[str, Event]:
    """One call, opened, extended and cancelled; each event carries the whole call."""
    terms = {name: value for name, value in a_call().items() if name != "deadline"}
    known = {**terms, "call_id": call_id, "reference_on": "2026-11-24", "opened_at": OPENED}

    def version(number: int, state: str, deadline: Deadline) -> dict[str, object]:
        call = CallSnapshot.model_validate(
            {**known, "version": number, "state": state, "deadline": deadline}
        )
        return {"call_id": call_id, "call": call, "aggregate_version": number}

    return {
        "opened": CallOpened(**version(2, "open", SEPTEMBER)),
        "extended": CallDeadlineExtended(
            **version(3, "open", OCTOBER), previous_deadline=SEPTEMBER, reason="à la demande"
        ),
        "cancelled": CallCancelled(**version(4, "cancelled", OCTOBER), reason="budget retiré"),
    }


@pytest.fixture(scope="module")
async def partner(story: Story) -> Partner:
    """An institution that subscribes to all calls."""
    partner = await story.register_partner()
    await story.subscribe(partner, topics=["funding.call.*"])
    return partner


@pytest.mark.parametrize("order", ORDERS, ids=" ".join)
async def test_whatever_the_order_of_events_the_last_alert_is_true_and_comes_once(
    story: Story, partner: Partner, order: tuple[str, ...]
) -> None:
    call_id = uuid4()
    events = events_of(call_id)

    for name in (*order, order[0], order[1], order[0], order[2]):
        await story.publish_event(events[name])
    await handled_until_now(story, partner)

    totals = await story.totals(call_id)
    alerted = await story.recipients(call_id)
    assert totals is not None
    assert (totals["state"], totals["version"], totals["repeated"]) == ("void", 4, 0)
    assert (len(alerted) > 0) == (order in ALERTED)
    for someone in alerted:
        alerts = await story.alerts_of(someone, about=call_id)
        assert [alert["kind"] for alert in alerts] == ALERTED[order]
    assert totals["alerted"] == totals["matched"] == len(alerted)
    feed = [i["id"] for i in await story.feed(partner) if i["data"]["call_id"] == str(call_id)]
    assert feed == [str(events[name].event_id) for name in order]


async def handled_until_now(story: Story, partner: Partner) -> None:
    """Wait for a call behind all others: each consumer of calls processes one at a time."""
    seen = len(await story.feed(partner))
    last = await story.open_call(a_track(provinces=["MA-AOU"]))
    await story.until_alerted(last)

    async def look() -> bool:
        feed = await story.feed(partner)
        return any(item["data"]["call_id"] == str(last) for item in feed[seen:])

    await story.eventually(look)


async def test_calls_opened_in_the_middle_of_an_import_alert_everybody_once(story: Story) -> None:
    tracks = [
        a_track(sectors=["AGRICULTURE"], min_members=7),
        a_track(regions=["MA-04", "MA-09"], min_share_women={"percent": 20}),
        a_track(sectors=["CRAFTS", "ARGAN"]),
    ]
    file = await story.more_cooperatives(1500)

    started = await story.start_import(file)
    calls = [await story.open_call(track) for track in tracks]
    report = await story.import_ended(started)
    await arrived(story)

    assert (report["state"], report["rows_read"]) == ("finished", 1500)
    for call_id in calls:
        totals = await story.until_alerted(call_id)
        assert await story.recipients(call_id) == await story.expected(call_id)
        assert totals["alerted"] == totals["matched"] == len(await story.expected(call_id))
        assert totals["repeated"] == 0


async def arrived(story: Story) -> None:
    """Wait until the audience is the whole register."""
    register = await story.get("registry", "/cooperatives/totals")
    await story.audience_counts(register["items"][0]["cooperatives"])


async def test_notifications_that_start_last_alert_the_same(story: Story) -> None:
    standing = await story.open_call(a_track(sectors=["AGRICULTURE"]))
    await story.until_alerted(standing)

    register_before = await story.register()

    async with away(story, "notifications"):
        await story.import_register(await story.more_cooperatives(300))
        early = await story.open_call(a_track(regions=["MA-03", "MA-06"], max_members=20))
        gone = await story.open_call(a_track(sectors=["CRAFTS"]))
        await story.cancel(gone)
        idea = await story.publish_idea(regions=[], sectors=["ARGAN", "CRAFTS"])

    await arrived(story)
    for subject, version in ((standing, 2), (early, 2), (idea, 1)):
        totals = await story.until_alerted(subject, version=version)
        assert await story.recipients(subject) == await story.expected(subject)
        assert totals["repeated"] == 0
    ended = await story.until_alerted(gone, version=3)
    alerted = await story.recipients(gone)
    # The calls and the import wait in two queues. Imported rows are one transaction: either all who
    # match among them were alerted before the cancellation came, or none of them.
    assert alerted in (await story.expected(gone, register_before), await story.expected(gone))
    assert [(each["kind"], each["alerts"]) for each in ended["corrections"]] == (
        [("cancelled", len(alerted))] if alerted else []
    )


@asynccontextmanager
async def away(story: Story, service: str) -> AsyncIterator[None]:
    """Meanwhile the service does not run."""
    await asyncio.to_thread(story.stack.process(service).stop)
    try:
        yield
    finally:
        await asyncio.to_thread(story.stack.start_service, service)
