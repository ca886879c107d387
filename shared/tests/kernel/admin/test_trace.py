"""What a service reports about the way of an event."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from devkit.pytest_plugin import Api
from shared.contracts.base import now
from shared.kernel.admin.trace import MOST
from shared.kernel.data.tables import InboxRow

from .rows import QUEUE, an_event, dead_letter, store


async def trace(client: Api, name: object, **query: Any) -> dict[str, Any]:
    answer = await client.http.get(f"/trace/{name}", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_an_event_is_traced_through_outbox_inbox_and_dead_letters(client: Api):
    event, caused, other = uuid4(), uuid4(), uuid4()
    await store(
        client,
        an_event(event, correlation="wall-7", published_at=now(), attempts=1),
        an_event(caused, correlation="wall-7", causation=event),
        an_event(other, correlation="wall-8"),
        InboxRow(queue=QUEUE, event_id=event),
        InboxRow(queue="carpentry.saw", event_id=event),
        InboxRow(queue=QUEUE, event_id=other),
        dead_letter(event, attempts=6),
        dead_letter(other),
    )

    found = await trace(client, event)

    assert {row["event_id"] for row in found["events"]} == {str(event), str(caused)}
    assert [(row["queue"], row["event_id"]) for row in found["processed"]] == [(QUEUE, str(event))]
    assert [(d["error"], d["attempts"], d["state"]) for d in found["dead_letters"]] == [
        ("StoneTooHeavy", 6, "dead")
    ]
    assert "somebody" not in str(found)


async def test_a_correlation_id_leads_to_its_events(client: Api):
    event = uuid4()
    await store(client, an_event(event, correlation="wall-9"), an_event(correlation="wall-10"))

    found = await trace(client, "wall-9")

    (row,) = found["events"]
    assert (row["event_id"], row["correlation_id"]) == (str(event), "wall-9")
    assert row["published_at"] is None


async def test_the_id_of_a_subject_leads_to_its_events(client: Api):
    call, first, second = uuid4(), uuid4(), uuid4()
    await store(
        client,
        an_event(first, aggregate_id=call),
        an_event(second, aggregate_id=call),
        an_event(aggregate_id=uuid4()),
    )

    found = await trace(client, call)

    assert [row["event_id"] for row in found["events"]] == [str(first), str(second)]


async def test_events_that_other_services_named_are_looked_up(client: Api):
    event, caused = uuid4(), uuid4()
    await store(client, InboxRow(queue=QUEUE, event_id=event), an_event(caused, causation=event))

    found = await trace(client, "wall-11", event=[str(event)])

    assert [row["event_id"] for row in found["processed"]] == [str(event)]
    assert [row["event_id"] for row in found["events"]] == [str(caused)]


async def test_a_trace_that_was_cut_off_says_so(client: Api):
    await store(client, *(an_event(correlation="wall-12") for _ in range(MOST + 1)))

    found = await trace(client, "wall-12")

    assert (len(found["events"]), found["cut"]) == (MOST, True)
    assert (await trace(client, "wall-13"))["cut"] is False


async def test_a_malformed_id_is_refused(client: Api):
    answer = await client.http.get("/trace/no%20id")

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "id")
