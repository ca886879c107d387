"""Ideas that are filed for somebody else, and who acts for whom."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from sqlalchemy import select

from devkit.pytest_plugin import Api, Tokens
from shared.kernel.data.tables import AuditRow

from .api_steps import SOUSS, Json, People, drafted, submitted
from .builders import AUTHOR, COOPERATIVE, MODERATOR, a_payload


async def test_a_delegate_files_only_for_the_cooperative_that_its_token_acts_for(
    api: Api, people: People
):
    body = a_payload(on_behalf_of=str(COOPERATIVE))

    answer = await api.http.post("/ideas", json=body, headers=people.delegate)

    assert (answer.status_code, answer.json()["code"]) == (403, "not-acting-for-them")
    assert "POST /token" in answer.json()["detail"]


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
