"""What goes wrong in one place stays there, says so, and is put right exactly once."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest

from .request_bodies import a_call, a_track, an_idea, unique
from .stories import Person, Story

OPENED = "funding.call.opened.v1"
IMAGINED = "funding.call.imagined.v1"
FOLLOW_CALL = "notifications.follow_call"
FOLLOW_IDEA = "notifications.follow_idea"
FEED = "notifications.feed_partners"

# The sequence outlives the rollback of each attempt, so it counts them.
OBSTACLE = """
CREATE SEQUENCE {name};
CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('{name}') <= {times} THEN
        RAISE EXCEPTION 'not yet';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER {name} BEFORE INSERT ON alert FOR EACH ROW
    WHEN (NEW.subject_id = '{subject}') EXECUTE FUNCTION {name}();
"""
ALWAYS = 1_000_000


@asynccontextmanager
async def obstacle(story: Story, subject_id: UUID, *, times: int) -> AsyncIterator[None]:
    """The database refuses alerts of this subject so many times."""
    name = f"journey_{secrets.token_hex(4)}"
    async with story.database("notifications") as connection:
        script = OBSTACLE.format(name=name, times=times, subject=subject_id)
        await connection.execute(script)
        try:
            yield
        finally:
            await connection.execute(f"DROP FUNCTION {name} CASCADE; DROP SEQUENCE {name}")


async def failures(story: Story, queue: str) -> float:
    """How many deliveries of a queue were put off or given up."""
    counts = [
        await story.metric("notifications", "taawon_messages_total", queue=queue, outcome=outcome)
        for outcome in ("retried", "dead")
    ]
    return sum(counts)


async def kept(story: Story, message_ids: set[str], count: int) -> list[Any]:
    """The dead letters of these messages, once there are so many."""

    async def look() -> list[Any] | None:
        async with story.database("notifications") as connection:
            query = "SELECT * FROM dead_letter WHERE message_id = ANY($1)"
            found = await connection.fetch(query, list(message_ids))
        return found if len(found) == count else None

    found: list[Any] = await story.eventually(look)
    return found


async def test_poisonous_messages_are_dead_at_once_and_nothing_else_is_touched(
    story: Story,
) -> None:
    no_json, no_call, no_type, forged = (str(uuid4()) for _ in range(4))
    no_id = unique("first")

    await story.publish("funding", OPENED, no_json, b"{")
    await story.publish("funding", OPENED, no_call, b'{"call_id": "none"}')
    await story.publish("funding", IMAGINED, no_type, b"{}", routing_key=OPENED)
    await story.publish("ideas", OPENED, forged, b"{}", routing_key="ideas.idea.published.v1")
    await story.publish("funding", OPENED, no_id, await an_event(story))
    call_id = await story.open_call()
    idea_id = await story.publish_idea()

    await story.until_alerted(call_id)
    await story.until_alerted(idea_id, version=1)
    poison = {no_json, no_call, no_type, forged, no_id}
    await kept(story, poison, 10)
    found = [each for each in await story.dead_letters() if each["message_id"] in poison]
    errors = {(each["message_id"], each["queue"]): each["error"] for each in found}
    wanted = {
        **both(no_json, FOLLOW_CALL, "json_invalid"),
        **both(no_call, FOLLOW_CALL, "call_id: uuid_parsing"),
        **both(no_type, FOLLOW_CALL, f"this queue does not take type '{IMAGINED}'"),
        **both(forged, FOLLOW_IDEA, "the sender is not the owner of this event"),
        **both(no_id, FOLLOW_CALL, "the message id is not a UUID"),
    }
    assert errors.keys() == wanted.keys()
    assert [key for key, reason in wanted.items() if reason not in errors[key]] == []
    assert {(each["attempts"], each["state"]) for each in found} == {(1, "dead")}


def both(message_id: str, queue: str, error: str) -> dict[tuple[str, str], str]:
    """The same error in the queue that follows the subject and in the one that feeds partners."""
    return {(message_id, queue): error, (message_id, FEED): error}


async def test_a_consumer_that_fails_twice_works_the_third_time_and_others_go_on(
    story: Story,
) -> None:
    partner = await story.register_partner()
    await story.subscribe(partner)
    call_id = await story.draft_call(a_call())
    before = await failures(story, FEED), await failures(story, FOLLOW_IDEA)

    async with obstacle(story, call_id, times=2):
        opened = await story.ask("funding", "POST", f"/calls/{call_id}/open")
        idea_id = await story.publish_idea()
        await story.until_alerted(idea_id, version=1)
        totals = await story.until_alerted(call_id)

    correlation = opened.headers["X-Correlation-ID"]
    assert attempts(story, correlation) == [1, 2]
    assert totals["alerted"] == len(await story.expected(call_id))
    assert await story.recipients(call_id) == await story.expected(call_id)
    assert [item["type"] for item in await story.fed(partner, 2)].count(OPENED) == 1
    assert (await failures(story, FEED), await failures(story, FOLLOW_IDEA)) == before


def attempts(story: Story, correlation_id: str) -> list[int]:
    """The failed attempts at an event that the log of notifications names."""
    again = "message to be tried again"
    lines = story.log_lines("notifications", event=again, correlation_id=correlation_id)
    assert {line["queue"] for line in lines} == {FOLLOW_CALL}
    return [line["attempts"] for line in lines]


async def test_a_dead_letter_that_is_redriven_has_its_effect_exactly_once(story: Story) -> None:
    call_id = await story.draft_call(a_call())
    async with obstacle(story, call_id, times=ALWAYS):
        await story.post("funding", f"/calls/{call_id}/open")
        event = await opening_of(story, call_id)
        (dead_letter,) = await kept(story, {str(event["event_id"])}, 1)
    assert (dead_letter["queue"], dead_letter["attempts"]) == (FOLLOW_CALL, 4)
    assert await story.totals(call_id) is None

    decided = await asyncio.gather(
        *(redrive(story, dead_letter["id"], who) for who in ("amina", "omar"))
    )
    totals = await story.until_alerted(call_id)
    await story.publish("funding", event["topic"], event["event_id"], event["body"])
    await story.until_alerted(await story.open_call())

    assert sorted(code for code, _ in decided) == [0, 1]
    assert any("was redriven at" in message for _, message in decided)
    assert await story.recipients(call_id) == await story.expected(call_id)
    assert await story.totals(call_id) == totals
    assert totals["alerted"] == totals["matched"] > 0


async def redrive(story: Story, number: int, who: str) -> tuple[int, str]:
    """The exit code and the message of one person's decision."""
    decision = (str(number), "--who", who, "--reason", "the obstacle is gone")
    code, _, message = await story.run(
        "dead-letters", "redrive", "notifications", *decision, service="notifications"
    )
    return code, message


async def opening_of(story: Story, call_id: UUID) -> Any:
    """The event as funding keeps it."""
    async with story.database("funding") as connection:
        return await connection.fetchrow("SELECT * FROM outbox WHERE aggregate_id = $1", call_id)


async def an_event(story: Story) -> bytes:
    """The body of an opening that was published before."""
    body: bytes = (await opening_of(story, await story.open_call()))["body"]
    return body


@pytest.mark.parametrize(
    ("wrong", "fields"),
    [
        ({"title": {"fr": "Appel"}}, {"title.ar"}),
        ({"tracks": []}, {"tracks"}),
        ({"deadline": {"local": "2090-09-01"}}, {"deadline.local"}),
        ({"tracks": [a_track(min_members=9, max_members=3)]}, {"tracks.0.criteria"}),
        ({"tracks": [a_track(regoins=["MA-09"])]}, {"tracks.0.criteria.regoins"}),
        ({"titre": "Appel", "funder": ""}, {"titre", "funder"}),
    ],
    ids=["no Arabic", "no track", "no hour", "bounds", "misspelt", "two at once"],
)
async def test_a_malformed_call_is_refused_by_the_names_of_its_fields(
    story: Story, wrong: dict[str, Any], fields: set[str]
) -> None:
    answer = await story.ask("funding", "POST", "/calls", json=a_call(**wrong))

    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert {error["field"] for error in answer.json()["errors"]} == fields
    assert all(error["message"] for error in answer.json()["errors"])


async def test_an_unknown_code_is_refused_with_the_nearest_one(story: Story) -> None:
    call = a_call(a_track(provinces=["MA-TIZN"], sectors=["ARGANE"]))
    author = await story.someone("holder")

    of_call = await story.ask("funding", "POST", "/calls", json=call)
    of_idea = await story.ask("ideas", "POST", "/ideas", who=author, json=an_idea(regions=["MA-9"]))

    places = {error["field"]: error["message"] for error in of_call.json()["errors"]}
    assert "MA-TIZ" in places["tracks.0.criteria.provinces.0"]
    assert "ARGAN" in places["tracks.0.criteria.sectors.0"]
    (problem,) = of_idea.json()["errors"]
    assert (of_idea.status_code, problem["field"]) == (422, "regions.0")
    assert "MA-09" in problem["message"]


async def test_what_is_no_json_or_too_large_is_refused(story: Story) -> None:
    headers = {"Content-Type": "application/json"}

    broken = await story.ask("funding", "POST", "/calls", content=b'{"funder": ', headers=headers)
    large = await story.ask("funding", "POST", "/calls", content=b" " * 300_000, headers=headers)

    assert (broken.status_code, broken.json()["errors"][0]["field"]) == (422, "body")
    assert (large.status_code, large.json()["code"]) == (413, "body-too-large")
    assert large.json()["correlation_id"] == large.headers["X-Correlation-ID"]


async def test_nobody_gets_in_without_a_token(story: Story) -> None:
    stranger = Person("no-token")

    answer = await story.ask("notifications", "GET", "/audience", who=stranger)

    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
