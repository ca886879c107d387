"""The whole story: a register, a partner, a call, an idea, and everybody who is alerted of them."""

from __future__ import annotations

import re
from collections import Counter
from uuid import UUID

import orjson
import pytest

from .request_bodies import a_call, a_track, unique
from .stories import Story

pytestmark = pytest.mark.servers

ARABIC = re.compile(r"[\u0600-\u06ff]")

WOMEN_OF_ARGAN = a_track(
    regions=["MA-09", "MA-07", "MA-10"],
    sectors=["ARGAN", "AGRICULTURE"],
    min_share_women={"percent": 50, "strict": True},
)
YOUNG_AND_SMALL = a_track(
    regions=["MA-04", "MA-06"],
    min_share_youth={"percent": 10},
    max_members=12,
    max_age_months=84,
    activity_statuses=["active"],
)
SOMEWHERE_IN_CRAFTS = a_track(
    provinces=["MA-FES", "MA-MAR"],
    communes=["06.141.01.0"],
    sectors=["CRAFTS", "AGRICULTURE"],
    applicant_types=["cooperative", "cooperative_union"],
    min_members=7,
    min_age_months=36,
)
IN_LIQUIDATION = a_track(legal_statuses=["in_liquidation"], min_share_women_or_youth={"percent": 1})


@pytest.mark.parametrize(
    "tracks",
    [
        [WOMEN_OF_ARGAN],
        [YOUNG_AND_SMALL],
        [SOMEWHERE_IN_CRAFTS],
        [IN_LIQUIDATION],
        [WOMEN_OF_ARGAN, YOUNG_AND_SMALL, SOMEWHERE_IN_CRAFTS],
    ],
    ids=[
        "women of argan and fields",
        "young and small",
        "three places",
        "in liquidation",
        "three tracks",
    ],
)
async def test_a_call_reaches_exactly_those_whom_the_evaluator_finds_in_the_file(
    story: Story, tracks: list[dict[str, object]]
) -> None:
    call_id = await story.open_call(*tracks, reference_on="2026-06-30")

    totals = await story.until_alerted(call_id)

    alerted = await story.recipients(call_id)
    assert alerted == await story.expected(call_id)
    counts = Counter(alerted.values())
    assert min(counts["eligible"], counts["unknown"]) > 0
    assert (totals["eligible"], totals["unknown"]) == (counts["eligible"], counts["unknown"])
    assert totals["matched"] == totals["alerted"] == len(alerted)
    assert totals["repeated"] == 0


async def test_the_totals_by_region_and_sector_add_up_to_the_recipients(story: Story) -> None:
    call_id = await story.open_call(SOMEWHERE_IN_CRAFTS, WOMEN_OF_ARGAN)

    totals = await story.until_alerted(call_id)

    register = await story.register()
    alerted = (await story.expected(call_id)).items()
    assert rows(totals["by_region"]) == Counter((register[who].region, v) for who, v in alerted)
    assert rows(totals["by_sector"]) == Counter((register[who].sector, v) for who, v in alerted)


def rows(totals: list[dict[str, object]]) -> Counter[tuple[object, str]]:
    counts = {(t["code"], v): t[v] for t in totals for v in ("eligible", "unknown") if t[v]}
    return Counter(counts)


async def test_a_published_idea_reaches_its_territory_and_sectors(story: Story) -> None:
    idea_id = await story.publish_idea(regions=["MA-09"], sectors=["ARGAN", "CRAFTS"])

    totals = await story.until_alerted(idea_id, version=1)

    alerted = await story.recipients(idea_id)
    assert alerted == await story.expected(idea_id)
    assert (totals["kind"], totals["state"], totals["matched"]) == (
        "idea",
        "open",
        len(alerted),
    )
    assert len(alerted) > 10


async def test_an_alert_says_why_in_arabic_and_in_french(story: Story) -> None:
    call_id = await story.open_call(WOMEN_OF_ARGAN)
    await story.until_alerted(call_id)
    someone = eligible_one(await story.recipients(call_id))

    (arabic,) = await story.alerts_of(someone, about=call_id, language="ar")
    (french,) = await story.alerts_of(someone, about=call_id, language="fr")

    assert (arabic["title"], arabic["dir"]) == ("طلب مشاريع", "rtl")
    assert (french["title"], french["dir"]) == ("Appel à projets", "ltr")
    assert arabic["number"] == french["number"]
    reasons = arabic["why"][0]["reasons"], french["why"][0]["reasons"]
    assert len(reasons[0]) == len(reasons[1]) >= 3
    assert all(ARABIC.search(reason) for reason in reasons[0])
    assert not any(ARABIC.search(reason) for reason in reasons[1])


async def test_an_alert_that_is_not_sure_names_what_the_register_lacks(story: Story) -> None:
    call_id = await story.open_call(YOUNG_AND_SMALL)
    await story.until_alerted(call_id)
    alerted = await story.recipients(call_id)
    someone = next(who for who, verdict in alerted.items() if verdict == "unknown")

    (alert,) = await story.alerts_of(someone, about=call_id)

    (reason,) = alert["why"]
    profile = (await story.register())[someone]
    assert alert["verdict"] == reason["verdict"] == "unknown"
    assert reason["to_complete"]
    assert all(getattr(profile, name) is None for name in reason["to_complete"])


async def test_a_cooperative_reads_its_own_inbox_and_no_other(story: Story) -> None:
    call_id = await story.open_call(WOMEN_OF_ARGAN)
    await story.until_alerted(call_id)
    own, other = list(await story.recipients(call_id))[:2]
    someone = await story.someone("cooperative", cooperatives=[str(own)])

    inbox = await story.get("notifications", f"/cooperatives/{own}/alerts", who=someone)
    refusal = await story.ask("notifications", "GET", f"/cooperatives/{other}/alerts", who=someone)

    assert inbox["items"][0]["subject_id"] == str(call_id)
    assert (refusal.status_code, refusal.json()["code"]) == (403, "not-your-inbox")


async def test_a_partner_receives_on_its_queue_what_its_feed_holds(story: Story) -> None:
    partner = await story.register_partner()
    await story.subscribe(partner, topics=["funding.call.*", "ideas.idea.published"])
    partner_queue = await story.request_partner_queue(partner)

    call_id = await story.open_call(WOMEN_OF_ARGAN)
    await story.extend(call_id)
    await story.cancel(call_id)
    await story.fed(partner, 3)
    idea_id = await story.publish_idea()

    feed = await story.fed(partner, 4)
    received = await story.listen(partner_queue, 4)
    compared = ("id", "type", "sequence", "data")
    assert [[m[name] for name in compared] for m in received] == [
        [item[name] for name in compared] for item in feed
    ]
    assert [item["sequence"] for item in feed] == ["1", "2", "3", "4"]
    assert [item["type"].rpartition(".v")[0] for item in feed] == [
        "funding.call.opened",
        "funding.call.deadline_extended",
        "funding.call.cancelled",
        "ideas.idea.published",
    ]
    assert {item["data"].get("call_id") for item in feed} == {str(call_id), None}
    assert feed[3]["data"]["idea"]["idea_id"] == str(idea_id)
    assert "author_id" not in feed[3]["data"]["idea"]


async def test_a_partner_receives_only_what_it_subscribed_to(story: Story) -> None:
    partner = await story.register_partner()
    await story.subscribe(partner, topics=["funding.call.opened"], provinces=["MA-TIZ"])

    await story.until_alerted(await story.open_call(a_track(provinces=["MA-FES"])))
    wanted = await story.open_call(a_track(provinces=["MA-TIZ"]))
    await story.extend(wanted)
    last = await story.open_call(a_track(regions=["MA-09"]))

    feed = await story.fed(partner, 2)
    assert [item["data"]["call_id"] for item in feed] == [str(wanted), str(last)]


async def test_one_correlation_id_runs_from_the_request_to_the_last_consumer(story: Story) -> None:
    partner = await story.register_partner()
    await story.subscribe(partner)
    partner_queue = await story.request_partner_queue(partner)
    call_id = await story.draft_call(a_call())
    named = unique("journey")

    answer = await story.ask(
        "funding", "POST", f"/calls/{call_id}/open", headers={"X-Correlation-ID": named}
    )

    assert answer.headers["X-Correlation-ID"] == named
    assert await correlations_in_outbox(story, call_id) == [named]
    (received,) = await story.received(partner_queue, 1)
    assert received.headers["cloudEvents_correlationid"] == named
    await story.until_alerted(call_id)
    lines = story.log_lines("notifications", event="fan-out completed", subject_id=str(call_id))
    assert [line["correlation_id"] for line in lines] == [named]
    (asked,) = story.log_lines("funding", path=f"/calls/{call_id}/open")
    assert asked["correlation_id"] == named


async def correlations_in_outbox(story: Story, call_id: UUID) -> list[str]:
    async with story.database("funding") as connection:
        rows = await connection.fetch("SELECT headers FROM outbox WHERE aggregate_id = $1", call_id)
    return [orjson.loads(row["headers"])["cloudEvents_correlationid"] for row in rows]


REFUSE_COMMIT = """
CREATE FUNCTION journey_refuses() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'this transaction will not commit'; END $$;
CREATE CONSTRAINT TRIGGER journey_refuses AFTER INSERT ON outbox
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION journey_refuses();
"""


async def test_no_answer_promises_what_was_not_committed(story: Story) -> None:
    call_id = await story.draft_call(a_call())

    async with story.database("funding") as connection:
        await connection.execute(REFUSE_COMMIT)
        try:
            answer = await story.ask("funding", "POST", f"/calls/{call_id}/open")
        finally:
            await connection.execute("DROP FUNCTION journey_refuses CASCADE")

    assert (answer.status_code, answer.json()["code"]) == (500, "our-fault")
    assert (await story.get("funding", f"/calls/{call_id}"))["state"] == "draft"
    assert await correlations_in_outbox(story, call_id) == []


async def test_the_same_file_again_publishes_nothing(story: Story) -> None:
    # A file of its own: other journeys change single cooperatives of the first one.
    file = await story.more_cooperatives(60)
    await story.import_register(file)
    published = await published_events(story)

    report = await story.import_register(file)

    assert (report["rows_unchanged"], report["rows_refused"]) == (60, 0)
    assert (report["rows_added"], report["rows_changed"], report["events"]) == (0, 0, 0)
    assert await published_events(story) == published


async def published_events(story: Story) -> int:
    async with story.database("registry") as connection:
        return int(await connection.fetchval("SELECT count(*) FROM outbox"))


async def test_the_same_event_twice_alerts_nobody_twice(story: Story) -> None:
    partner = await story.register_partner()
    await story.subscribe(partner)
    call_id = await story.open_call(WOMEN_OF_ARGAN)
    before = await story.until_alerted(call_id)
    feed = await story.fed(partner, 1)
    someone = eligible_one(await story.recipients(call_id))
    async with story.database("funding") as connection:
        event = await connection.fetchrow("SELECT * FROM outbox WHERE aggregate_id = $1", call_id)
    repeats = await repeated(story)

    await story.publish("funding", event["topic"], event["event_id"], event["body"])

    await story.eventually(lambda: came_again(story, repeats))
    assert await story.totals(call_id) == before
    assert len(await story.alerts_of(someone, about=call_id)) == 1
    assert await story.feed(partner) == feed


async def repeated(story: Story) -> list[float]:
    """How often each consumer of calls met an event that it had processed before."""
    queues = ("notifications.follow_call", "notifications.feed_partners")
    return [
        await story.metric("notifications", "taawon_messages_total", queue=q, outcome="repeated")
        for q in queues
    ]


async def came_again(story: Story, before: list[float]) -> bool:
    return await repeated(story) == [count + 1 for count in before]


def eligible_one(alerted: dict[UUID, str]) -> UUID:
    return next(who for who, verdict in alerted.items() if verdict == "eligible")
