"""The HTTP API of the idea bank: status codes, who may what, problems, events in the outbox."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from devkit import pytest_plugin
from devkit.pytest_plugin import Api, Tokens
from ideas.app import create_app
from shared.kernel.data.database import make_engine, make_sessions
from shared.kernel.data.tables import AuditRow, OutboxRow

from .builders import AUTHOR, COOPERATIVE, MODERATOR, a_payload

SOUSS = ["MA-AGD", "MA-CHT", "MA-INE", "MA-TAR", "MA-TAT", "MA-TIZ"]
Json = dict[str, Any]


class People:
    """Headers of callers by what they do."""

    def __init__(self, tokens: Tokens) -> None:
        self.author = tokens.headers("cooperative", subject=AUTHOR, cooperatives=[COOPERATIVE])
        self.operator = tokens.headers("operator", subject=MODERATOR)
        self.delegate = tokens.headers("delegate", provinces=SOUSS)
        self.reader = tokens.headers("holder")


@pytest.fixture
def people(tokens: Tokens) -> People:
    return People(tokens)


async def drafted(api: Api, headers: dict[str, str], **changes: Any) -> Json:
    answer = await api.http.post("/ideas", json=a_payload(**changes), headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def submitted(api: Api, headers: dict[str, str], **changes: Any) -> Json:
    idea = await drafted(api, headers, **changes)
    return (await api.http.post(f"/ideas/{idea['idea_id']}/submit", headers=headers)).json()


async def published(api: Api, people: People, **changes: Any) -> Json:
    idea = await submitted(api, people.author, **changes)
    answer = await api.http.post(f"/ideas/{idea['idea_id']}/publish", headers=people.operator)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def events(api: Api) -> list[tuple[str, Json]]:
    async with api.sessions() as session:
        rows = (await session.scalars(select(OutboxRow).order_by(OutboxRow.seq))).all()
    return [(row.topic, json.loads(row.body)) for row in rows]


def fields_of(answer: httpx.Response) -> list[str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return [error["field"] for error in answer.json()["errors"]]


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


async def test_a_returned_idea_shows_the_reason_to_its_author(api: Api, people: People):
    idea = await submitted(api, people.author)
    path = f"/ideas/{idea['idea_id']}"

    await api.http.post(f"{path}/return", json={"reason": "chiffrez"}, headers=people.operator)
    seen = (await api.http.get(path, headers=people.author)).json()

    assert (seen["state"], seen["returned_because"], seen["version"]) == ("draft", "chiffrez", 3)


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
    ("provinces", "sees"),
    [(SOUSS, True), (SOUSS[1:], False), (["MA-TNG"], False)],
)
async def test_a_delegate_learns_who_wrote_an_idea_only_if_it_lies_in_the_delegation(
    api: Api, people: People, tokens: Tokens, provinces: list[str], sees: bool
):
    idea = await published(api, people)
    delegate = tokens.headers("delegate", provinces=provinces)

    one = (await api.http.get(f"/ideas/{idea['idea_id']}", headers=delegate)).json()
    (listed,) = (await api.http.get("/ideas", headers=delegate)).json()["items"]

    shown = (str(AUTHOR), str(COOPERATIVE)) if sees else (None, None)
    for seen in (one, listed):
        assert (seen["author_id"], seen["on_behalf_of"]) == shown


async def test_a_delegate_does_not_learn_who_wrote_a_nationwide_idea(api: Api, people: People):
    idea = await published(api, people, regions=[])

    seen = await api.http.get(f"/ideas/{idea['idea_id']}", headers=people.delegate)

    assert (seen.status_code, seen.json()["author_id"]) == (200, None)


@pytest.mark.parametrize("was_submitted", [False, True])
async def test_moderators_see_a_withdrawn_draft_only_if_it_was_ever_submitted(
    api: Api, people: People, was_submitted: bool
):
    make = submitted if was_submitted else drafted
    idea_id = (await make(api, people.author))["idea_id"]
    if was_submitted:
        request = {"reason": "chiffrez"}
        await api.http.post(f"/ideas/{idea_id}/return", json=request, headers=people.operator)
    gone = await api.http.post(f"/ideas/{idea_id}/withdraw", headers=people.author)

    shown = await api.http.get(f"/ideas/{idea_id}", headers=people.operator)
    listed = (await api.http.get("/ideas", headers=people.operator)).json()["items"]
    audit = await api.http.get(f"/audit/{idea_id}", headers=people.delegate)

    assert gone.json()["state"] == "withdrawn"
    assert (shown.status_code, len(listed), audit.status_code) == (
        (200, 1, 200) if was_submitted else (404, 0, 403)
    )


async def test_another_persons_draft_does_not_exist_for_a_stranger(api: Api, people: People):
    idea = await drafted(api, people.author)

    answer = await api.http.get(f"/ideas/{idea['idea_id']}", headers=people.reader)

    assert (answer.status_code, answer.json()["code"]) == (404, "unknown-idea")


async def test_a_list_shows_each_reader_only_what_they_may_see(api: Api, people: People):
    draft = await drafted(api, people.author)
    here = await submitted(api, people.author)
    elsewhere = await submitted(api, people.author, regions=["MA-01"])
    public = await published(api, people)

    async def seen_by(headers: dict[str, str]) -> set[str]:
        answer = await api.http.get("/ideas", headers=headers)
        return {idea["idea_id"] for idea in answer.json()["items"]}

    assert await seen_by(people.reader) == {public["idea_id"]}
    assert await seen_by(people.delegate) == {public["idea_id"], here["idea_id"]}
    assert await seen_by(people.operator) == {
        public["idea_id"],
        here["idea_id"],
        elsewhere["idea_id"],
    }
    assert await seen_by(people.author) == {i["idea_id"] for i in (draft, here, elsewhere, public)}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("region=MA-09", {"souss", "tiznit", "national"}),
        ("region=MA-07", {"national"}),
        ("province=MA-TIZ", {"souss", "tiznit", "national"}),
        ("province=MA-AGD", {"souss", "national"}),
        ("sector=CRAFTS", {"tiznit", "national"}),
        ("state=published", {"souss", "tiznit", "national"}),
        ("state=draft", set()),
        ("q=tracable+huile", {"souss"}),
        ("q=أركان", {"souss"}),
        ("q=100%25", {"tiznit"}),
        ("q=%00", {"souss", "tiznit", "national"}),
    ],
)
async def test_a_search_finds_ideas_by_place_sector_state_and_words(
    api: Api, people: People, query: str, found: set[str]
):
    other = {"title": {"fr": "Laine 100% locale", "ar": "صوف محلي"}}
    ideas = {
        "souss": await published(api, people),
        "tiznit": await published(
            api, people, regions=[], provinces=["MA-TIZ"], sectors=["CRAFTS"], **other
        ),
        "national": await published(
            api, people, regions=[], sectors=[], title={"fr": "Formation", "ar": "تكوين"}
        ),
    }

    answer = await api.http.get(f"/ideas?{query}", headers=people.reader)

    names = {idea["idea_id"]: name for name, idea in ideas.items()}
    assert {names[idea["idea_id"]] for idea in answer.json()["items"]} == found


async def test_an_unknown_place_in_a_search_names_the_nearest_one(api: Api, people: People):
    answer = await api.http.get("/ideas?province=MA-TZ", headers=people.reader)

    assert (answer.status_code, fields_of(answer)) == (422, ["province"])
    assert "did you mean" in answer.json()["detail"]


async def test_pages_show_every_idea_once(api: Api, people: People):
    made = [(await drafted(api, people.author))["idea_id"] for _ in range(5)]
    seen: list[str] = []
    after = ""

    while after is not None:
        page = await api.http.get(f"/ideas?limit=2{after}", headers=people.author)
        seen += [idea["idea_id"] for idea in page.json()["items"]]
        after = f"&after={page.json()['next']}" if page.json()["next"] else None

    assert seen == made[::-1]


async def test_a_cursor_of_another_list_is_refused(api: Api, people: People):
    answer = await api.http.get("/ideas?after=nonsense", headers=people.reader)

    assert (answer.status_code, fields_of(answer)) == (422, ["after"])


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"provinces": ["MA-AGD", "MA-TZ"]}, "provinces.1"),
        ({"sectors": ["ARGANE"]}, "sectors.0"),
        ({"sdgs": [18]}, "sdgs.0"),
        ({"budget": 5}, "budget"),
        ({"budget_centimes": 10**30}, "budget_centimes"),
        ({"title": {"fr": "Sans arabe"}}, "title.ar"),
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


async def test_the_same_key_finds_the_idea_made_before(api: Api, people: People):
    headers = {**people.author, "Idempotency-Key": str(uuid.uuid4())}

    first = await api.http.post("/ideas", json=a_payload(), headers=headers)
    second = await api.http.post("/ideas", json=a_payload(), headers=headers)

    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["idea_id"] == second.json()["idea_id"]


async def test_a_key_belongs_to_its_caller(api: Api, people: People):
    key = {"Idempotency-Key": str(uuid.uuid4())}

    first = await api.http.post("/ideas", json=a_payload(), headers={**people.author, **key})
    second = await api.http.post("/ideas", json=a_payload(), headers={**people.reader, **key})

    assert second.status_code == 201
    assert first.json()["idea_id"] != second.json()["idea_id"]


async def test_a_delegate_files_only_for_the_cooperative_that_its_token_acts_for(
    api: Api, people: People
):
    body = a_payload(on_behalf_of=str(COOPERATIVE))

    answer = await api.http.post("/ideas", json=body, headers=people.delegate)

    assert (answer.status_code, answer.json()["code"]) == (403, "not-acting-for-them")
    assert "POST /token" in answer.json()["detail"]


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


@pytest.mark.parametrize("named", [{}, {"on_behalf_of": str(COOPERATIVE)}])
async def test_an_idea_filed_for_a_cooperative_says_so_and_is_audited(
    api: Api, tokens: Tokens, named: Json
):
    acting = tokens.headers("delegate", provinces=SOUSS, on_behalf_of=str(COOPERATIVE))
    idea = await drafted(api, acting, **named)

    async with api.sessions() as session:
        [row] = (await session.scalars(select(AuditRow))).all()
    assert (idea["on_behalf_of"], row.on_behalf_of) == (str(COOPERATIVE), COOPERATIVE)
    assert (row.action, row.subject_id) == ("idea drafted", uuid.UUID(idea["idea_id"]))


@pytest.mark.parametrize(
    ("claim", "code"),
    [
        ({"on_behalf_of": str(MODERATOR)}, "not-an-intermediary"),
        ({"readiness": "jury_selected"}, "claim-for-staff"),
        ({"origin": "ideathon"}, "claim-for-staff"),
    ],
)
async def test_what_only_staff_may_claim_is_refused_to_others(
    api: Api, people: People, claim: Json, code: str
):
    answer = await api.http.post("/ideas", json=a_payload(**claim), headers=people.author)

    assert (answer.status_code, answer.json()["code"]) == (403, code)


def acting_for(tokens: Tokens, cooperative: uuid.UUID, **who: Any) -> dict[str, str]:
    """A delegate of Souss-Massa with a token that acts for this cooperative."""
    return tokens.headers("delegate", provinces=SOUSS, on_behalf_of=str(cooperative), **who)


async def on_whose_behalf(api: Api) -> list[tuple[str, uuid.UUID | None]]:
    async with api.sessions() as session:
        rows = (await session.scalars(select(AuditRow).order_by(AuditRow.id))).all()
    return [(row.action, row.on_behalf_of) for row in rows]


async def test_whoever_judges_an_idea_does_it_for_nobody_whatever_the_token_acts_for(
    api: Api, people: People, tokens: Tokens
):
    one, other = [await submitted(api, people.author) for _ in range(2)]
    acting = acting_for(tokens, uuid.uuid4())

    published = await api.http.post(f"/ideas/{one['idea_id']}/publish", headers=acting)
    returned = await api.http.post(
        f"/ideas/{other['idea_id']}/return", json={"reason": "chiffrez"}, headers=acting
    )

    assert (published.status_code, returned.status_code) == (200, 200)
    *_, publishing, returning = await on_whose_behalf(api)
    assert (publishing, returning) == (("idea published", None), ("idea returned", None))


async def test_whoever_acts_for_a_cooperative_does_not_judge_its_idea(
    api: Api, people: People, tokens: Tokens
):
    idea = await submitted(api, people.author)

    answer = await api.http.post(
        f"/ideas/{idea['idea_id']}/publish", headers=acting_for(tokens, COOPERATIVE)
    )

    assert (answer.status_code, answer.json()["code"]) == (409, "own-idea")


async def test_whoever_acts_for_a_cooperative_goes_on_with_what_it_or_a_colleague_filed(
    api: Api, people: People, tokens: Tokens
):
    acting = acting_for(tokens, COOPERATIVE)
    by_itself = await drafted(api, people.author)
    by_a_colleague = await drafted(api, acting_for(tokens, COOPERATIVE))

    for idea in (by_itself, by_a_colleague):
        path = f"/ideas/{idea['idea_id']}"
        revised = await api.http.put(path, json=a_payload(jobs=1), headers=acting)
        sent = await api.http.post(f"{path}/submit", headers=acting)
        gone = await api.http.post(f"{path}/withdraw", headers=acting)
        assert [each.status_code for each in (revised, sent, gone)] == [200, 200, 200]

    audited = await on_whose_behalf(api)
    assert audited[:2] == [("idea drafted", None), ("idea drafted", COOPERATIVE)]
    assert {behalf for _, behalf in audited[2:]} == {COOPERATIVE}


@pytest.mark.parametrize("now", [None, uuid.UUID(int=5)])
async def test_a_delegate_changes_what_it_filed_for_a_cooperative_only_while_acting_for_it(
    api: Api, tokens: Tokens, now: uuid.UUID | None
):
    """It may have lost the province meanwhile, and then gets no such token any more."""
    filed = await drafted(api, acting_for(tokens, COOPERATIVE, subject=AUTHOR))
    elsewhere = {"on_behalf_of": str(now)} if now else {}
    later = tokens.headers("delegate", subject=AUTHOR, provinces=["MA-TNG"], **elsewhere)
    path = f"/ideas/{filed['idea_id']}"

    answers = [
        await api.http.put(path, json=a_payload(), headers=later),
        await api.http.post(f"{path}/submit", headers=later),
        await api.http.post(f"{path}/withdraw", headers=later),
    ]

    assert {(each.status_code, each.json()["code"]) for each in answers} == {(403, "not-author")}
    assert "POST /token" in answers[0].json()["detail"]


async def test_an_operator_goes_on_with_what_it_filed_for_a_cooperative(api: Api, people: People):
    filed = await submitted(api, people.operator, on_behalf_of=str(COOPERATIVE))

    assert filed["state"] == "submitted"
    assert {behalf for _, behalf in await on_whose_behalf(api)} == {COOPERATIVE}


async def test_an_account_of_several_cooperatives_names_the_one_it_files_for(
    api: Api, tokens: Tokens
):
    both = tokens.headers("cooperative", cooperatives=[COOPERATIVE, MODERATOR])

    named = await drafted(api, both, on_behalf_of=str(MODERATOR))
    unnamed = await drafted(api, both)

    assert (named["on_behalf_of"], unnamed["on_behalf_of"]) == (str(MODERATOR), None)


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
