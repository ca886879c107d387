"""The steps of an idea over HTTP: status codes, problems, events in the outbox, audit rows."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from sqlalchemy import select

from devkit import pytest_plugin
from devkit.pytest_plugin import Api, Tokens
from ideas.app import create_app
from shared.kernel.data.database import make_engine, make_sessions
from shared.kernel.data.tables import AuditRow, OutboxRow

from .api_steps import Json, People, drafted, events, fields_of, published, submitted
from .builders import AUTHOR, MODERATOR, a_payload


async def test_a_published_idea_leaves_one_event_with_the_whole_idea(api: Api, people: People):
    idea = await published(api, people)

    [(topic, event)] = await events(api)

    assert topic == "ideas.idea.published.v1"
    assert (event["aggregate_version"], event["idea"]["version"], idea["version"]) == (3, 3, 3)
    assert event["idea"]["title"] == a_payload()["title"]
    assert event["idea"]["author_id"] == str(AUTHOR)


async def test_a_confirmed_audience_is_audited_and_stays_with_every_event(api: Api, people: People):
    idea = await submitted(api, people.author)
    path = f"/ideas/{idea['idea_id']}"

    answer = await api.http.post(
        f"{path}/publish", json={"confirmed_audience": 7}, headers=people.operator
    )
    await api.http.post(f"{path}/withdraw", headers=people.author)

    assert answer.status_code == 200, answer.text
    assert [event["idea"]["confirmed_audience"] for _, event in await events(api)] == [7, 7]
    async with api.sessions() as session:
        row = await session.scalar(select(AuditRow).where(AuditRow.action == "idea published"))
    assert row.after["confirmed_audience"] == 7


async def test_drafting_and_submitting_publish_nothing(api: Api, people: People):
    await submitted(api, people.author)

    assert await events(api) == []


async def test_a_new_draft_comes_with_its_address_and_version(api: Api, people: People):
    answer = await api.http.post("/ideas", json=a_payload(), headers=people.author)

    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/ideas/{answer.json()['idea_id']}"
    assert answer.headers["ETag"] == '"1"'


async def test_an_operator_cannot_publish_their_own_idea(api: Api, people: People):
    idea = await submitted(api, people.operator)

    answer = await api.http.post(f"/ideas/{idea['idea_id']}/publish", headers=people.operator)

    assert (answer.status_code, answer.json()["code"]) == (409, "own-idea")


async def test_publishing_a_draft_is_a_conflict(api: Api, people: People):
    idea = await drafted(api, people.author)

    answer = await api.http.post(f"/ideas/{idea['idea_id']}/publish", headers=people.operator)

    assert (answer.status_code, answer.json()["code"]) == (409, "illegal-move")


async def test_a_delegate_publishes_an_idea_of_the_delegation(api: Api, people: People):
    idea = await submitted(api, people.author)

    answer = await api.http.post(f"/ideas/{idea['idea_id']}/publish", headers=people.delegate)

    assert answer.json()["state"] == "published"


@pytest.mark.parametrize(
    "places", [{"regions": ["MA-07"]}, {"regions": [], "provinces": []}, {"provinces": ["MA-MAR"]}]
)
async def test_a_delegate_does_not_publish_an_idea_that_reaches_beyond_the_delegation(
    api: Api, people: People, places: Json
):
    idea = await submitted(api, people.author, **places)

    answer = await api.http.post(f"/ideas/{idea['idea_id']}/publish", headers=people.delegate)

    assert (answer.status_code, answer.json()["code"]) == (403, "outside-territory")


async def test_returning_without_a_reason_names_the_field(api: Api, people: People):
    idea = await submitted(api, people.author)

    answer = await api.http.post(
        f"/ideas/{idea['idea_id']}/return", json={}, headers=people.operator
    )

    assert (answer.status_code, fields_of(answer)) == (422, ["reason"])


async def test_withdrawing_a_published_idea_publishes_the_withdrawal(api: Api, people: People):
    idea = await published(api, people)

    answer = await api.http.post(
        f"/ideas/{idea['idea_id']}/withdraw", json={"reason": "abandon"}, headers=people.author
    )

    topic, event = (await events(api))[-1]
    assert (answer.json()["state"], topic) == ("withdrawn", "ideas.idea.withdrawn.v1")
    assert (event["reason"], event["idea"]["state"], event["idea"]["version"]) == (
        "abandon",
        "withdrawn",
        4,
    )


async def test_withdrawing_a_draft_needs_no_body_and_publishes_nothing(api: Api, people: People):
    idea = await drafted(api, people.author)

    answer = await api.http.post(f"/ideas/{idea['idea_id']}/withdraw", headers=people.author)

    assert answer.json()["state"] == "withdrawn"
    assert await events(api) == []


async def test_a_published_idea_is_not_rewritten(api: Api, people: People):
    idea = await published(api, people)

    answer = await api.http.put(
        f"/ideas/{idea['idea_id']}", json=a_payload(jobs=1), headers=people.author
    )

    assert (answer.status_code, answer.json()["code"]) == (409, "not-a-draft")


async def test_a_stranger_may_read_a_published_idea_but_not_withdraw_it(api: Api, people: People):
    idea = await published(api, people)
    path = f"/ideas/{idea['idea_id']}"

    seen = await api.http.get(path, headers=people.reader)
    answer = await api.http.post(f"{path}/withdraw", headers=people.reader)

    assert (seen.status_code, seen.json()["author_id"]) == (200, None)
    assert (answer.status_code, answer.json()["code"]) == (403, "not-author")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"provinces": ["MA-AGD", "MA-TZ"]}, "provinces.1"),
        ({"sectors": ["ARGANE"]}, "sectors.0"),
        ({"sdgs": [18]}, "sdgs.0"),
        ({"budget": 5}, "budget"),
        ({"budget_centimes": 10**30}, "budget_centimes"),
        ({"title": {}}, "title"),
        ({"title": {"fr": "", "ar": "أركان"}}, "title.fr"),
        ({"summary": {"fr": "x" * 8001, "ar": "ملخص"}}, "summary.fr"),
        ({"regions": ["MA-09"] * 13}, "regions"),
        ({"title": {"fr": "Argane\0", "ar": "أركان"}}, "title.fr"),
    ],
)
async def test_a_malformed_idea_is_refused_naming_the_field(
    api: Api, people: People, wrong: Json, field: str
):
    answer = await api.http.post("/ideas", json=a_payload(**wrong), headers=people.author)

    assert (answer.status_code, fields_of(answer)) == (422, [field])


async def test_the_nearest_code_is_suggested_for_a_misspelt_one(api: Api, people: People):
    answer = await api.http.post(
        "/ideas", json=a_payload(sectors=["ARGANE"]), headers=people.author
    )

    assert "did you mean ARGAN" in answer.json()["errors"][0]["message"]


async def test_an_oversized_body_is_refused(api: Api, people: People):
    summary = {"fr": "x" * 300_000, "ar": "ملخص"}

    answer = await api.http.post("/ideas", json=a_payload(summary=summary), headers=people.author)

    assert answer.status_code == 413


async def test_a_repeat_shows_the_idea_as_it_was_made_whatever_became_of_it(
    api: Api, people: People
):
    headers = {**people.author, "Idempotency-Key": str(uuid.uuid4())}

    first = await api.http.post("/ideas", json=a_payload(), headers=headers)
    await api.http.post(f"{first.headers['location']}/submit", headers=people.author)
    second = await api.http.post("/ideas", json=a_payload(), headers=headers)

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert second.headers["etag"] == '"1"'


async def test_a_key_belongs_to_its_caller(api: Api, people: People):
    key = {"Idempotency-Key": str(uuid.uuid4())}

    first = await api.http.post("/ideas", json=a_payload(), headers={**people.author, **key})
    second = await api.http.post("/ideas", json=a_payload(), headers={**people.reader, **key})

    assert second.status_code == 201
    assert first.json()["idea_id"] != second.json()["idea_id"]


async def test_the_audit_of_a_draft_shows_that_its_texts_changed_and_holds_none(
    api: Api, tokens: Tokens
):
    """An erasure deletes drafts, and audit rows are never deleted."""
    author = tokens.headers("holder")
    idea = await drafted(api, author)
    newer = a_payload() | {"title": {"fr": "Tout autre chose", "ar": "شيء آخر"}}
    revised = await api.http.put(f"/ideas/{idea['idea_id']}", json=newer, headers=author)
    assert revised.status_code == 200, revised.text

    async with api.sessions() as session:
        _, row = (await session.scalars(select(AuditRow).order_by(AuditRow.id))).all()
    changed = {name for name, value in row.after.items() if row.before[name] != value}
    assert changed == {"title"}
    assert "Tout autre chose" not in str(row.after)
    assert row.after["sectors"] == newer["sectors"]


async def test_a_step_decided_on_an_older_version_is_a_conflict(api: Api, people: People):
    idea = await submitted(api, people.author)
    headers = {**people.operator, "If-Match": '"1"'}

    answer = await api.http.post(f"/ideas/{idea['idea_id']}/publish", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (409, "changed-meanwhile")


async def test_a_malformed_version_is_refused(api: Api, people: People):
    idea = await drafted(api, people.author)
    headers = {**people.author, "If-Match": "three"}

    answer = await api.http.post(f"/ideas/{idea['idea_id']}/submit", headers=headers)

    assert (answer.status_code, fields_of(answer)) == (422, ["If-Match"])


async def test_every_change_leaves_an_audit_row(api: Api, people: People):
    idea = await published(api, people)
    await api.http.post(f"/ideas/{idea['idea_id']}/withdraw", headers=people.author)

    async with api.sessions() as session:
        rows = (await session.scalars(select(AuditRow).order_by(AuditRow.id))).all()

    actions = ["idea drafted", "idea submitted", "idea published", "idea withdrawn"]
    assert [row.action for row in rows] == actions
    assert [row.actor_id for row in rows] == [AUTHOR, AUTHOR, MODERATOR, AUTHOR]
    assert rows[2].before == {"state": "submitted", "version": 2, "returned_because": None}


async def test_of_two_moderators_who_publish_at_once_one_gets_a_conflict(
    databases: pytest_plugin.TestDatabases, tokens: Tokens, people: People
):
    url = databases.fresh("ideas")
    engine = make_engine(url)
    async with pytest_plugin.api(create_app, "ideas", url, tokens) as api:
        api.runtime.sessions = make_sessions(engine)
        idea = await submitted(api, people.author)
        path = f"/ideas/{idea['idea_id']}/publish"

        answers = await asyncio.gather(
            api.http.post(path, headers=people.operator),
            api.http.post(path, headers=people.delegate),
        )

        async with api.runtime.sessions() as session:
            rows = (await session.scalars(select(OutboxRow))).all()
    await engine.dispose()
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert len(rows) == 1


async def test_a_token_without_any_role_drafts_nothing(api: Api, tokens: Tokens):
    answer = await api.http.post("/ideas", json=a_payload(), headers=tokens.headers())

    assert (answer.status_code, answer.json()["code"]) == (403, "missing-role")


async def test_a_draft_is_deleted_by_its_author_and_publishes_nothing(api: Api, people: People):
    idea = await drafted(api, people.author)
    path = f"/ideas/{idea['idea_id']}"

    deleted = await api.http.delete(path, headers={**people.author, "If-Match": '"1"'})
    gone = await api.http.get(path, headers=people.author)

    assert (deleted.status_code, deleted.content, gone.status_code) == (204, b"", 404)
    assert await events(api) == []


async def test_the_audit_of_a_deleted_draft_holds_none_of_its_texts(api: Api, people: People):
    idea = await drafted(api, people.author)
    await api.http.delete(f"/ideas/{idea['idea_id']}", headers=people.author)

    async with api.sessions() as session:
        rows = (await session.scalars(select(AuditRow).order_by(AuditRow.id))).all()

    assert [row.action for row in rows] == ["idea drafted", "idea deleted"]
    assert rows[-1].after is None
    assert idea["title"]["fr"] not in str(rows[-1].before)


async def test_what_was_submitted_is_withdrawn_and_not_deleted(api: Api, people: People):
    idea = await submitted(api, people.author)

    answer = await api.http.delete(f"/ideas/{idea['idea_id']}", headers=people.author)

    assert (answer.status_code, answer.json()["code"]) == (409, "not-a-draft")
    assert "withdraw it instead" in answer.json()["detail"]
