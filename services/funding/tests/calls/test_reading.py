"""Who may see which calls; lists and searches."""

from __future__ import annotations

import pytest

from devkit.pytest_plugin import Api

from .api_steps import People, drafted, expired, opened
from .builders import a_track


async def test_lists_by_state_count_a_call_that_is_over_as_closed(api: Api, people: People):
    over = await expired(api, people)
    standing = await opened(api, people, deadline=None)

    async def listed(state: str) -> list[str]:
        answer = await api.http.get(f"/calls?state={state}", headers=people.reader)
        return [call["call_id"] for call in answer.json()["items"]]

    assert await listed("open") == [standing["call_id"]]
    assert await listed("closed") == [over["call_id"]]


async def test_only_its_funder_and_operators_see_a_draft(api: Api, people: People):
    call = await drafted(api, people)

    async def seen_by(headers: dict[str, str]) -> tuple[int, int]:
        one = await api.http.get(f"/calls/{call['call_id']}", headers=headers)
        many = await api.http.get("/calls", headers=headers)
        return one.status_code, len(many.json()["items"])

    assert await seen_by(people.funder) == await seen_by(people.operator) == (200, 1)
    assert await seen_by(people.rival) == await seen_by(people.reader) == (404, 0)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("region=MA-09", {"agadir", "national"}),
        ("region=MA-01", {"national", "north"}),
        ("sector=ARGAN", {"agadir", "national", "north"}),
        ("sector=CRAFTS", {"agadir", "national"}),
        ("funder=indh-agadir", {"agadir", "national", "north"}),
        ("funder=indh-tiznit", set()),
        ("state=cancelled", set()),
    ],
)
async def test_a_search_finds_calls_by_place_sector_state_and_funder(
    api: Api, people: People, query: str, found: set[str]
):
    made = {
        "agadir": await opened(api, people),
        "national": await opened(api, people, tracks=[a_track()]),
        "north": await opened(
            api, people, tracks=[a_track(communes=["01.051.01.01"], sectors=["ARGAN"])]
        ),
    }

    answer = await api.http.get(f"/calls?{query}", headers=people.reader)

    names = {call["call_id"]: name for name, call in made.items()}
    assert {names[call["call_id"]] for call in answer.json()["items"]} == found


async def test_pages_show_every_call_once(api: Api, people: People):
    made = [(await drafted(api, people))["call_id"] for _ in range(5)]
    seen: list[str] = []
    after: str | None = ""

    while after is not None:
        page = (await api.http.get(f"/calls?limit=2{after}", headers=people.funder)).json()
        seen += [call["call_id"] for call in page["items"]]
        after = f"&after={page['next']}" if page["next"] else None

    assert seen == made[::-1]
