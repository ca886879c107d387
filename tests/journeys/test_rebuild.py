"""A projection that was lost is built again, while everything goes on; nobody is alerted twice."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from notifications.audience.models import audience
from shared.contracts.base import now
from shared.contracts.funding import CallOpened
from shared.contracts.registry import PartnerRegistered
from shared.kernel.messaging import topology
from shared.kernel.messaging.addresses import VHOST
from shared.kernel.messaging.publisher import Outgoing, Publisher, Unroutable
from shared.kernel.messaging.wire import message

from .outages import A_TRACK, FOLLOW_CALL, STORE_IMPORTED, Breaker
from .request_bodies import a_track, unique
from .stories import Story

STORE_PARTNER = "notifications.store_partner"
COLUMNS = [column.name for column in audience.columns if column.name != "updated_at"]
Rows = dict[UUID, tuple[Any, ...]]


async def the_audience(story: Story, *more: str) -> Rows:
    """Every row of the audience."""
    async with story.database("notifications") as connection:
        rows = await connection.fetch(f"SELECT {', '.join([*COLUMNS, *more])} FROM audience")
    return {row["cooperative_id"]: tuple(row.values()) for row in rows}


async def the_register(story: Story) -> Rows:
    """The same, as the registry itself has it."""
    columns = ", ".join("id" if name == "cooperative_id" else name for name in COLUMNS)
    async with story.database("registry") as connection:
        rows = await connection.fetch(f"SELECT {columns} FROM cooperative")
    return {row["id"]: tuple(row.values()) for row in rows}


async def the_history(story: Story) -> dict[tuple[UUID, int], Any]:
    async with story.database("notifications") as connection:
        rows = await connection.fetch("SELECT * FROM audience_history")
    return {(row["cooperative_id"], row["version"]): tuple(row.values()) for row in rows}


async def the_alerts(story: Story) -> set[tuple[Any, ...]]:
    async with story.database("notifications") as connection:
        return {tuple(row.values()) for row in await connection.fetch("SELECT * FROM alert")}


async def execute(story: Story, statement: str, *values: Any) -> None:
    async with story.database("notifications") as connection:
        await connection.execute(statement, *values)


async def begin(story: Story, queue: str, *, service: str = "registry", **more: Any) -> Any:
    body = {"kind": "snapshot", "queue": queue, "reason": "the copy was lost", **more}
    return await story.post(service, "/replays", body)


async def ended(story: Story, run: dict[str, Any], *, service: str = "registry") -> Any:
    """Wait until the run has ended and its queue has dealt with all of it: the run then."""

    async def look() -> Any:
        found = await story.get(service, f"/replays/{run['run']}")
        if found["state"] == "running":
            return None
        async with story.database("notifications") as connection:
            handled = await connection.fetchval(
                "SELECT count(*) FROM inbox WHERE run = $1", run["run"]
            )
        return found if handled == found["sent"] else None

    return await story.eventually(look)


async def equals_the_register(story: Story) -> None:
    async def look() -> bool:
        return await the_audience(story) == await the_register(story)

    await story.eventually(look)
    await story.audience_counts(len(await the_register(story)))


async def taawon(story: Story, *arguments: str) -> tuple[int, str, str]:
    """A command of an operator who has nothing but the APIs and a token."""
    address = ("--url", f"registry={story.stack.url('registry')}")
    login = {"TAAWON_OPERATOR_TOKEN": story.operator.token}
    return await story.run(*arguments, *address, env={**_environment(), **login})


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("TAAWON_")}


async def test_an_emptied_audience_is_built_again_while_everything_goes_on(story: Story) -> None:
    standing = await story.open_call(a_track(sectors=["CRAFTS"]))
    await story.until_alerted(standing)
    await equals_the_register(story)
    before, history, alerts = (
        await the_audience(story),
        await the_history(story),
        await the_alerts(story),
    )
    file = await story.more_cooperatives(120)
    renamed = next(iter(before))

    await execute(story, "DELETE FROM audience")
    run = await begin(story, STORE_IMPORTED)
    opened, _, _ = await asyncio.gather(
        story.open_call(a_track(regions=["MA-04", "MA-09"], min_members=7)),
        story.import_register(file),
        story.ask(
            "registry", "PATCH", f"/cooperatives/{renamed}", json={"name_fr": unique("Nouvelle")}
        ),
    )
    finished = await ended(story, run)
    await equals_the_register(story)

    assert finished["state"] == "finished"
    assert finished["done"] >= len(before)
    now = await the_audience(story)
    assert len(now) == len(before) + 120
    assert {who for who, row in before.items() if now[who] != row} == {renamed}
    kept = await the_history(story)
    assert {key: kept[key] for key in history if key[0] != renamed} == {
        key: row for key, row in history.items() if key[0] != renamed
    }
    assert len(kept) == len(history) + 121
    assert alerts <= await the_alerts(story)
    for call_id in (standing, opened):
        totals = await story.until_alerted(call_id)
        assert await story.recipients(call_id) == await story.expected(call_id)
        assert totals["repeated"] == 0


def with_long_names(count: int, court: str) -> str:
    """A register file: one event of so many cooperatives would be larger than consumers take."""
    names = f"{'é' * 480},{'ت' * 480}"
    rows = [f"{number}/2024,{court},MA-TIZ,{names}" for number in range(1, count + 1)]
    return "\n".join(["local_register_no,court,province,name_fr,name_ar", *rows])


async def test_names_that_are_too_long_for_one_event_reach_the_audience_all_the_same(
    story: Story, tmp_path: Path
) -> None:
    await equals_the_register(story)
    before, dead = await the_audience(story), await story.dead_letters()
    file = tmp_path / "long.csv"
    await asyncio.to_thread(file.write_text, with_long_names(500, unique("TPI")), "utf-8")
    story.files.append(file)  # these stay in the register of all journeys

    report = await story.import_register(file)
    await equals_the_register(story)
    added = (await the_audience(story)).keys() - before.keys()
    await execute(story, "DELETE FROM audience")
    run = await ended(story, await begin(story, STORE_IMPORTED))

    assert (report["rows_added"], report["events"], len(added)) == (500, 2, 500)
    assert run["state"] == "finished"
    await equals_the_register(story)
    assert await story.dead_letters() == dead


async def test_the_same_snapshot_twice_changes_nothing(story: Story) -> None:
    await equals_the_register(story)
    before = await the_audience(story, "updated_at"), await the_history(story)
    alerts = await the_alerts(story)

    for _ in range(2):
        run = await ended(story, await begin(story, STORE_IMPORTED))
        assert (run["state"], run["done"]) == ("finished", len(before[0]))

    assert (await the_audience(story, "updated_at"), await the_history(story)) == before
    assert await the_alerts(story) == alerts


async def test_a_replay_of_the_log_brings_back_what_was_deleted_by_hand(story: Story) -> None:
    await equals_the_register(story)
    async with story.database("registry") as connection:
        since = await connection.fetchval("SELECT clock_timestamp()")
    await story.import_register(await story.more_cooperatives(30))
    await equals_the_register(story)
    await execute(story, "DELETE FROM audience WHERE updated_at > $1", since)
    assert len(await the_audience(story)) == len(await the_register(story)) - 30

    code, out, messages = await taawon(
        *(story, "replay", "registry", "--to", STORE_IMPORTED, "--json"),
        *("--since", since.strftime("%Y-%m-%dT%H:%M:%S"), "--reason", "deleted by hand"),
    )

    assert code == 0, messages
    run = json.loads(out)
    assert (run["state"], run["incomplete"], run["reason"]) == ("finished", None, "deleted by hand")
    assert run["sent"] >= 1
    await equals_the_register(story)


async def test_partners_are_known_again(story: Story) -> None:
    partner = await story.register_partner()

    async def name() -> str | None:
        async with story.database("notifications") as connection:
            query = "SELECT name FROM partner WHERE slug = $1"
            found = await connection.fetchval(query, partner.slug)
        return json.loads(found)["fr"] if found else None

    known = await story.eventually(name)
    await execute(story, "UPDATE partner SET name = NULL, version = 0")

    code, out, messages = await taawon(
        story, "snapshot", "registry", "--to", STORE_PARTNER, "--reason", "names were lost"
    )

    assert code == 0, messages
    assert f"to {STORE_PARTNER}: finished" in out
    assert await story.eventually(name) == known


@pytest.mark.parametrize(
    ("service", "queue", "status", "code"),
    [
        ("funding", FOLLOW_CALL, 409, "not-replayable"),
        ("registry", "notifications.feed_partners", 409, "not-replayable"),
        ("registry", "notifications.no_such", 404, "no-such-queue"),
        ("ideas", STORE_PARTNER, 409, "not-replayable"),
        ("notifications", STORE_PARTNER, 409, "no-snapshot"),
    ],
)
async def test_what_may_not_be_sent_again_is_refused_by_the_api(
    story: Story, service: str, queue: str, status: int, code: str
) -> None:
    await asyncio.gather(story.open_call(A_TRACK), story.publish_idea())  # what could be sent
    body = {"kind": "snapshot", "queue": queue, "reason": "curiosity"}

    answer = await story.ask(service, "POST", "/replays", json=body)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_replay_that_is_requested_again_with_its_key_is_begun_once(story: Story) -> None:
    await story.register_partner()  # what could be sent
    body = {"kind": "snapshot", "queue": STORE_PARTNER, "reason": "the answer was lost"}
    headers = {"Idempotency-Key": str(uuid4())}

    first, again = [
        await story.ask("registry", "POST", "/replays", json=body, headers=headers)
        for _ in range(2)
    ]

    assert (first.status_code, again.status_code) == (201, 201), first.text
    assert again.json()["run"] == first.json()["run"]
    assert again.headers["location"] == f"/replays/{first.json()['run']}"


async def test_what_may_not_be_sent_again_is_refused_by_the_command(story: Story) -> None:
    code, _, messages = await taawon(
        story, "snapshot", "registry", "--to", FOLLOW_CALL, "--reason", "curiosity"
    )

    assert code == 1
    assert "taawon dead-letters list notifications" in messages


@pytest.mark.parametrize("service", ["registry", "funding", "ideas"])
async def test_the_broker_takes_nothing_for_a_queue_that_alerts_people(
    story: Story, service: str
) -> None:
    outgoing = a_message(service)
    key = topology.replay_key(FOLLOW_CALL, outgoing.type)
    publisher = Publisher(story.stack.broker.url_of(service, vhost=VHOST), name="journey")
    try:
        with pytest.raises(Unroutable):
            await publisher.publish_one(Outgoing(outgoing, topology.REPLAY, key))
    finally:
        await publisher.close()


def a_message(service: str) -> Any:
    topic = PartnerRegistered.topic if service == "registry" else CallOpened.topic
    return message(
        event_id=uuid4(),
        topic=topic,
        occurred_at=now(),
        body=b"{}",
        headers={},
        service=service,
        user=service,
    )


async def test_a_service_killed_in_the_middle_of_a_snapshot_goes_on_with_it(
    breakable: Story, breaker: Breaker
) -> None:
    call_id = await breakable.open_call(A_TRACK)
    await breakable.until_alerted(call_id)
    await equals_the_register(breakable)
    alerts, history = await the_alerts(breakable), await the_history(breakable)
    trap = await breaker.arm("registry", "replay.between-confirm-and-mark")

    await execute(breakable, "DELETE FROM audience")
    run = await begin(breakable, STORE_IMPORTED)
    await breakable.eventually(trap.has_sprung)
    await breaker.put_right()

    finished = await ended(breakable, run)
    await breaker.settled()
    assert (finished["state"], finished["done"]) == ("finished", finished["total"])
    await equals_the_register(breakable)
    assert await the_history(breakable) == history
    assert await the_alerts(breakable) == alerts
    assert await breaker.counted("repeated") >= 1


async def test_a_consumer_killed_in_the_middle_of_a_rebuild_loses_nobody(
    breakable: Story, breaker: Breaker
) -> None:
    """The call is opened over an empty audience: backfill alerts everybody, and once."""
    trap = await breaker.arm("notifications", "audience.backfill.before-commit")

    await execute(breakable, "DELETE FROM audience")
    call_id = await breakable.open_call(A_TRACK)
    await breakable.until_alerted(call_id)
    run = await begin(breakable, STORE_IMPORTED)
    await breakable.eventually(trap.has_sprung)
    await breaker.put_right()

    await ended(breakable, run)
    await breaker.settled()
    await equals_the_register(breakable)
    assert await breaker.alerts(call_id) == await breaker.one_each()
