"""Cooperatives over HTTP: entered, changed, listed, counted; who may do and see what."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from devkit.pytest_plugin import Api, Tokens
from shared.kernel.data.tables import AuditRow

from ..builders import People, a_body, topics

Json = dict[str, Any]


async def registered(api: Api, headers: dict[str, str], **changes: Any) -> Json:
    answer = await api.http.post("/cooperatives", json=a_body(**changes), headers=headers)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def test_a_cooperative_entered_by_hand_is_published_and_audited(
    api: Api, people: People
) -> None:
    entered = await registered(api, people.operator)

    assert (entered["version"], entered["region"]) == (1, "MA-09")
    assert entered["contact"]["phone"] == "+212600000001"
    assert await topics(api) == ["registry.cooperative.registered.v1"]
    async with api.sessions() as session:
        audit = (await session.scalars(select(AuditRow))).one()
    assert audit.action == "cooperative registered"
    assert "600000001" not in str(audit.after)


async def test_the_changes_of_a_cooperative_are_read_newest_first_page_by_page(
    api: Api, people: People, tokens: Tokens
) -> None:
    entered = await registered(api, people.operator)
    path = f"/cooperatives/{entered['cooperative_id']}"
    for total in (12, 13):
        await api.http.patch(path, json={"members_total": total}, headers=people.delegate)
    itself = tokens.headers("cooperative", cooperatives=[entered["cooperative_id"]])

    changes, after = [], ""
    while after is not None:
        address = f"/audit/{entered['cooperative_id']}?limit=2{after and f'&after={after}'}"
        page = (await api.http.get(address, headers=itself)).json()
        changes += page["items"]
        after = page["next"]

    assert [(each["action"], each["before"], each["actor_roles"]) for each in changes] == [
        ("cooperative changed", {"members_total": 12}, ["delegate"]),
        ("cooperative changed", {"members_total": 10}, ["delegate"]),
        ("cooperative registered", None, ["operator"]),
    ]
    assert {each["on_behalf_of"] for each in changes} == {entered["cooperative_id"]}
    async with api.sessions() as session:
        assert len((await session.scalars(select(AuditRow))).all()) == len(changes)


async def test_a_change_of_a_contact_says_so_and_no_more(api: Api, people: People) -> None:
    entered = await registered(api, people.operator)
    path = f"/cooperatives/{entered['cooperative_id']}"

    await api.http.patch(path, json={"contact": {"phone": "0611111111"}}, headers=people.operator)

    seen = await api.http.get(f"/audit/{entered['cooperative_id']}", headers=people.operator)
    assert seen.json()["items"][0]["after"] == {"contact": "changed"}
    assert "11111111" not in seen.text


async def test_the_same_court_and_number_are_entered_only_once(api: Api, people: People) -> None:
    first = await registered(api, people.operator)

    again = await api.http.post("/cooperatives", json=a_body(), headers=people.operator)

    assert (again.status_code, again.json()["code"]) == (409, "already-registered")
    assert first["cooperative_id"] in again.json()["detail"]


async def test_a_delegate_does_not_move_its_own_cooperative_into_its_delegation(
    api: Api, people: People, tokens: Tokens
) -> None:
    entered = await registered(api, people.operator)
    both = tokens.headers(
        "delegate",
        "cooperative",
        provinces=["MA-TNG"],
        cooperatives=[entered["cooperative_id"]],
    )

    answer = await api.http.patch(
        f"/cooperatives/{entered['cooperative_id']}", json={"province": "MA-TNG"}, headers=both
    )

    assert (answer.status_code, answer.json()["code"]) == (403, "outside-delegation")


async def test_a_change_is_a_new_version_and_the_same_value_is_none(
    api: Api, people: People
) -> None:
    entered = await registered(api, people.operator)
    path = f"/cooperatives/{entered['cooperative_id']}"

    changed = await api.http.patch(path, json={"members_total": 12}, headers=people.delegate)
    again = await api.http.patch(path, json={"members_total": 12}, headers=people.delegate)

    assert (changed.json()["version"], again.json()["version"]) == (2, 2)
    assert changed.json()["provenance"]["members_total"]["source"] == "entered by hand"
    assert (await topics(api))[1:] == ["registry.cooperative.changed.v1"]


async def test_a_change_of_an_older_version_is_a_conflict(api: Api, people: People) -> None:
    entered = await registered(api, people.operator)
    path = f"/cooperatives/{entered['cooperative_id']}"

    answer = await api.http.patch(
        path, json={"members_total": 12}, headers={**people.operator, "If-Match": '"7"'}
    )

    assert (answer.status_code, answer.json()["code"]) == (409, "changed-meanwhile")


async def test_a_change_never_takes_the_number_of_another_cooperative(
    api: Api, people: People
) -> None:
    await registered(api, people.operator, local_register_no="1/2020")
    other = await registered(api, people.operator, local_register_no="2/2020")

    answer = await api.http.patch(
        f"/cooperatives/{other['cooperative_id']}",
        json={"local_register_no": "1 / 2020"},
        headers=people.operator,
    )

    assert (answer.status_code, answer.json()["code"]) == (409, "already-registered")


async def test_a_delegate_can_not_move_a_cooperative_out_of_the_delegation(
    api: Api, people: People
) -> None:
    entered = await registered(api, people.operator)
    path = f"/cooperatives/{entered['cooperative_id']}"

    out = await api.http.patch(path, json={"province": "MA-TNG"}, headers=people.delegate)
    taken = await api.http.patch(path, json={"province": "MA-TNG"}, headers=people.stranger)

    assert (out.status_code, taken.status_code) == (403, 403)


async def test_contacts_are_shown_only_to_operators_and_delegates_of_the_province(
    api: Api, people: People
) -> None:
    entered = await registered(api, people.operator)
    path = f"/cooperatives/{entered['cooperative_id']}"

    seen = {
        name: (await api.http.get(path, headers=getattr(people, name))).json()["contact"]
        for name in ("operator", "delegate", "stranger", "holder", "partner")
    }

    assert {name for name, contact in seen.items() if contact} == {"operator", "delegate"}


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({"province": "MA-TIZNIT"}, "province", "MA-TIZ"),
        ({"commune": "09.581.01.0"}, "commune", "09.581.01.05 (Tafraout)"),
        ({"branch": "APICULTRE"}, "branch", "BEEKEEPING"),
        ({"ice": "123"}, "ice", "15 digits"),
        ({"contact": {"phone": "12"}}, "contact.phone", "0612345678"),
        ({"members_women": 11}, "members_women", "more than members_total"),
        ({"members_total": -1}, "members_total", "at least 0"),
        ({"created_on": "2999-01-01"}, "created_on", "in the future: check the year"),
        ({"created_on": "1899-12-31"}, "created_on", "before 1900: check the year"),
        ({"as_of_on": "9999-12-31"}, "as_of_on", "in the future: check the year"),
        ({"court": None}, "court", ""),
        ({"surprise": 1}, "surprise", "no such field"),
    ],
)
async def test_a_wrong_field_is_named_with_the_remedy(
    api: Api, people: People, body: Json, field: str, words: str
) -> None:
    answer = await api.http.post("/cooperatives", json=a_body(**body), headers=people.operator)

    assert answer.status_code == 422
    errors = {error["field"]: error["message"] for error in answer.json()["errors"]}
    assert words in errors[field]


async def test_null_makes_a_value_unknown_but_never_the_province(api: Api, people: People) -> None:
    entered = await registered(api, people.operator)
    path = f"/cooperatives/{entered['cooperative_id']}"

    unknown = await api.http.patch(path, json={"members_total": None}, headers=people.operator)
    refused = await api.http.patch(path, json={"province": None}, headers=people.operator)

    assert unknown.json()["members_total"] is None
    assert refused.status_code == 422


async def test_pages_follow_each_other_without_gap_or_repeat(api: Api, people: People) -> None:
    for number in range(5):
        await registered(api, people.operator, local_register_no=f"{number}/2020")

    seen, after = [], ""
    while after is not None:
        url = f"/cooperatives?limit=2{after and f'&after={after}'}"
        page = (await api.http.get(url, headers=people.holder)).json()
        seen += [each["local_register_no"] for each in page["items"]]
        after = page["next"]

    assert sorted(seen) == [f"{number}/2020" for number in range(5)]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("region=MA-09", 2),
        ("province=MA-TNG", 1),
        ("sector=ARGAN", 1),
        ("legal_status=struck_off", 1),
        ("activity_status=dormant", 0),
        ("q=argan+TIZI", 1),
        ("q=%D8%A3%D8%B1%D9%83%D8%A7%D9%86", 1),
        ("q=100%25", 0),
    ],
)
async def test_each_filter_narrows_a_list(api: Api, people: People, query: str, found: int) -> None:
    await registered(
        api, people.operator, local_register_no="1", sector="ARGAN", name_ar="تعاونية تيزي أركان"
    )
    await registered(api, people.operator, local_register_no="2", name_fr="Coopérative Afra")
    await registered(
        api,
        people.operator,
        local_register_no="3",
        province="MA-TNG",
        name_fr="Coopérative Rif",
        legal_status="struck_off",
    )

    page = (await api.http.get(f"/cooperatives?{query}", headers=people.holder)).json()

    assert len(page["items"]) == found


@pytest.mark.parametrize(
    "query",
    [
        "region=MA-99",
        "region=",
        "province=%20",
        "q=",
        "q=--",
        "after=!",
        "after=WzFd",
        "after=WyJ4Il0",
        "limit=201",
    ],
)
async def test_a_wrong_query_is_refused(api: Api, people: People, query: str) -> None:
    answer = await api.http.get(f"/cooperatives?{query}", headers=people.holder)

    assert answer.status_code == 422


async def test_totals_are_counted_by_group(api: Api, people: People) -> None:
    await registered(api, people.operator, members_women=10)
    await registered(api, people.operator, local_register_no="2", members_total=None)

    answer = await api.http.get("/cooperatives/totals?by=province", headers=people.holder)

    assert answer.json()["items"] == [
        {
            "code": "MA-TIZ",
            "cooperatives": 2,
            "members": 10,
            "women": 10,
            "youth": 0,
            "women_only": 1,
        }
    ]


@pytest.mark.parametrize("field", ["branch", "name_ar", "commune"])
async def test_a_placeholder_is_no_value(api: Api, people: People, field: str) -> None:
    body = a_body(local_register_no="placeholder", **{field: "N/A"})

    answer = await api.http.post("/cooperatives", json=body, headers=people.operator)

    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["field"]) == (422, field)
    assert "or null" in error["message"]


@pytest.mark.parametrize("number", ["٧٧", "７７", "\u200f77"])
async def test_a_number_in_another_spelling_is_taken(api: Api, people: People, number: str) -> None:
    first = a_body(local_register_no="77")
    await api.http.post("/cooperatives", json=first, headers=people.operator)

    twin = await api.http.post(
        "/cooperatives", json=a_body(local_register_no=number), headers=people.operator
    )

    assert (twin.status_code, twin.json()["code"]) == (409, "already-registered")
