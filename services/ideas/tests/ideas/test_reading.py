"""Who may see which ideas, and what of them; lists and searches."""

from __future__ import annotations

import pytest

from devkit.pytest_plugin import Api, Tokens

from .api_steps import SOUSS, People, drafted, fields_of, published, submitted
from .builders import AUTHOR, COOPERATIVE


async def test_a_returned_idea_shows_the_reason_to_its_author(api: Api, people: People):
    idea = await submitted(api, people.author)
    path = f"/ideas/{idea['idea_id']}"

    await api.http.post(f"{path}/return", json={"reason": "chiffrez"}, headers=people.operator)
    seen = (await api.http.get(path, headers=people.author)).json()

    assert (seen["state"], seen["returned_because"], seen["version"]) == ("draft", "chiffrez", 3)


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


@pytest.mark.parametrize("query", ["region=", "province=%20", "sector=", "state=", "q=", "q=%00"])
async def test_an_empty_search_is_not_answered_with_every_idea(
    api: Api, people: People, query: str
):
    answer = await api.http.get(f"/ideas?{query}", headers=people.reader)

    assert (answer.status_code, fields_of(answer)) == (422, [query.partition("=")[0]])


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
