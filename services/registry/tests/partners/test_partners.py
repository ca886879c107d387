"""Partner institutions and their API clients over HTTP."""

from __future__ import annotations

from devkit.pytest_plugin import Api

from ..builders import People, topics

PARTNER = {
    "slug": "inas",
    "name": {"fr": "Institut d'essai", "ar": "معهد تجريبي"},
    "kind": "public_institution",
}


async def test_a_partner_is_published_and_its_slug_is_taken(api: Api, people: People) -> None:
    first = await api.http.post("/partners", json=PARTNER, headers=people.operator)
    again = await api.http.post("/partners", json=PARTNER, headers=people.operator)

    assert (first.status_code, again.status_code) == (201, 409)
    assert await topics(api) == ["registry.partner.registered.v1"]


async def test_a_partner_makes_clients_only_for_itself(api: Api, people: People) -> None:
    for slug in ("oasis", "atlas"):
        await api.http.post("/partners", json=PARTNER | {"slug": slug}, headers=people.operator)

    answers = [
        await api.http.post(
            f"/partners/{slug}/clients", json={"label": "sync"}, headers=people.partner
        )
        for slug in ("oasis", "atlas")
    ]

    assert [answer.status_code for answer in answers] == [201, 403]
    assert len(answers[0].json()["client_secret"]) > 40
