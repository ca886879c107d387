"""What measures and describes a service is answered on its internal port alone."""

from __future__ import annotations

import pytest

from devkit.pytest_plugin import INTERNAL_PORT, Api, Tokens, api

from .made_up_service import create_app, is_problem

INTERNAL = ("/metrics", "/openapi.json")


@pytest.mark.parametrize("path", INTERNAL)
async def test_an_internal_path_is_hidden_on_the_public_port(client: Api, path: str):
    answer = await client.http.get(path)

    assert is_problem(answer, 404, "no-such-path")
    assert (await client.internal(path)).status_code == 200


@pytest.mark.parametrize(
    "claimed",
    [
        {"Host": f"test:{INTERNAL_PORT}"},
        {"X-Forwarded-Port": str(INTERNAL_PORT)},
        {"X-Forwarded-Host": f"test:{INTERNAL_PORT}"},
        {"Forwarded": f'host="test:{INTERNAL_PORT}"'},
    ],
    ids=str,
)
async def test_no_header_leads_to_the_internal_port(client: Api, claimed: dict[str, str]):
    answer = await client.http.get("/metrics", headers=claimed)

    assert answer.status_code == 404


async def test_the_internal_port_answers_nothing_else_but_health(client: Api):
    for path in ("/context", "/me", "/status", "/"):
        assert is_problem(await client.internal(path), 404, "no-such-path")
    assert (await client.internal("/healthz")).status_code == 204
    assert (await client.internal("/readyz")).status_code == 200


@pytest.mark.parametrize("path", INTERNAL)
async def test_without_an_internal_port_nobody_is_answered(
    database_url: str, tokens: Tokens, path: str
):
    async with api(create_app, "masonry", database_url, tokens, internal_port=None) as closed:
        for answer in (await closed.http.get(path), await closed.internal(path)):
            assert answer.status_code == 404


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/docs/oauth2-redirect"])
async def test_no_page_loads_scripts_of_somebody_else(client: Api, path: str):
    assert (await client.http.get(path)).status_code == 404
    assert (await client.internal(path)).status_code == 404


async def test_the_root_says_which_service_answers_and_its_links_lead_somewhere(client: Api):
    answer = await client.http.get("/")

    index = answer.json()
    statuses = {path: (await client.http.get(path)).status_code for path in index["links"].values()}
    assert (answer.status_code, index["service"]) == (200, "masonry")
    assert index["version"]
    assert statuses == {"/healthz": 204, "/readyz": 200, "/status": 401}


async def test_an_answer_is_kept_by_nobody_unless_it_says_so(client: Api):
    answer = await client.http.get("/context")

    assert answer.headers.get_list("cache-control") == ["no-store"]
