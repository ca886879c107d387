"""API clients of partners: created, shown and revoked."""

from __future__ import annotations

import uuid
from typing import Any

from devkit.pytest_plugin import Api, Tokens
from shared.kernel.data.revocations import Revocations

from ..builders import audited_actions

Json = dict[str, Any]


async def a_partner(api: Api, operator: dict[str, str], slug: str) -> None:
    partner = {"slug": slug, "name": {"fr": "Essai", "ar": "تجربة"}, "kind": "bank"}
    await api.http.post("/partners", json=partner, headers=operator)


async def a_client(api: Api, operator: dict[str, str]) -> Json:
    """The API client of a new partner `oasis`, with its secret."""
    await a_partner(api, operator, "oasis")
    path = "/partners/oasis/clients"
    return dict((await api.http.post(path, json={"label": "x"}, headers=operator)).json())


async def test_a_revoked_client_gets_no_token_and_is_still_shown(api: Api, operator) -> None:
    made = await a_client(api, operator)
    form = {"grant_type": "client_credentials", **made}
    path = f"/partners/oasis/clients/{made['client_id']}"

    before = await api.http.post("/token", data=form)
    revoked = [(await api.http.delete(path, headers=operator)).status_code for _ in range(2)]
    after = await api.http.post("/token", data=form)

    assert (before.status_code, revoked, after.status_code) == (200, [204, 409], 401)
    (shown,) = (await api.http.get("/partners/oasis/clients", headers=operator)).json()["items"]
    assert shown["revoked_at"] is not None
    assert "client_secret" not in shown
    assert (await audited_actions(api, operator, made["client_id"]))[0] == "api client revoked"


async def test_a_revoked_client_whose_token_is_not_refused_yet_changes_no_clients(
    api: Api, operator, tokens: Tokens
) -> None:
    made = await a_client(api, operator)
    api.runtime.revocations = Revocations(api.sessions, fresh_seconds=float("inf"))
    path = "/partners/oasis/clients"
    own = tokens.headers("partner", partner="oasis", subject=uuid.UUID(made["client_id"]))

    before = await api.http.post(path, json={"label": "y"}, headers=own)
    await api.http.delete(f"{path}/{made['client_id']}", headers=own)
    after = [
        await api.http.post(path, json={"label": "z"}, headers=own),
        await api.http.delete(f"{path}/{before.json()['client_id']}", headers=own),
    ]

    assert before.status_code == 201
    assert [(each.status_code, each.json()["code"]) for each in after] == [
        (403, "rights-ended")
    ] * 2


async def test_a_client_of_another_partner_is_not_found(api: Api, operator) -> None:
    made = await a_client(api, operator)
    await a_partner(api, operator, "atlas")

    answer = await api.http.delete(f"/partners/atlas/clients/{made['client_id']}", headers=operator)

    assert (answer.status_code, answer.json()["code"]) == (404, "no-such-client")
