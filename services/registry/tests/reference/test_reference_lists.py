"""The reference data over HTTP: without a token, with names in three languages, cacheable."""

from __future__ import annotations

import pytest

from devkit.pytest_plugin import Api


@pytest.mark.parametrize(
    ("path", "count", "first"),
    [
        ("regions", 12, "MA-01"),
        ("provinces", 75, None),
        ("provinces?region=MA-09", 6, None),
        ("communes", 1503, "01.051.01.01"),
        ("communes?province=MA-CAS", 2, "06.141.01.0"),
        ("sectors", 24, "AGRICULTURE"),
        ("branches?sector=ARGAN", 1, "ARGAN_OIL"),
        ("sdgs", 17, "SDG01"),
        ("languages", None, None),
    ],
)
async def test_anybody_reads_a_list_with_names_in_three_languages(
    api: Api, path: str, count: int | None, first: str | None
) -> None:
    answer = await api.http.get(f"/reference/{path}")

    assert answer.status_code == 200, answer.text
    items = answer.json()["items"]
    assert count in (None, len(items))
    assert first in (None, items[0]["code"])
    assert all(set(each["names"]) == {"ar", "fr", "en"} for each in items)
    assert all(all(each["names"].values()) for each in items)
    assert any(source["licence"] == "CC BY 4.0" for source in answer.json()["sources"])


async def test_a_list_is_kept_by_caches_and_sent_again_only_where_it_changed(api: Api) -> None:
    first = await api.http.get("/reference/branches")

    again = await api.http.get(
        "/reference/branches", headers={"If-None-Match": first.headers["etag"]}
    )
    other = await api.http.get(
        "/reference/sectors", headers={"If-None-Match": first.headers["etag"]}
    )

    assert first.headers["cache-control"] == "public, max-age=86400"
    assert (again.status_code, again.content) == (304, b"")
    assert other.status_code == 200


async def test_a_branch_names_its_sector_and_its_synonyms(api: Api) -> None:
    items = (await api.http.get("/reference/branches")).json()["items"]

    (found,) = [each for each in items if each["code"] == "BEEKEEPING"]
    assert found["sector"] == "AGRICULTURE"
    assert found["names"]["en"] == "Beekeeping"
    assert "Miel" in found["synonyms"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("provinces?region=MA-99", "region"),
        ("communes?province=", "province"),
        ("communes?provinces=MA-TIZ", "provinces"),
        ("branches?sector=FARMING", "sector"),
        ("regions?q=souss", "q"),
    ],
)
async def test_a_list_within_nothing_is_refused_with_the_field(
    api: Api, query: str, field: str
) -> None:
    answer = await api.http.get(f"/reference/{query}")

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
