"""HEAD is answered like GET, OPTIONS with what a path takes, and 405 says all of it."""

from __future__ import annotations

import asyncio

import httpx
import pytest
import uvicorn

from devkit.pytest_plugin import PATIENCE, Api, Tokens, eventually

from .made_up_service import is_problem

OWN = {"x-correlation-id", "ratelimit"}
"""Headers that no two answers have in common."""


def common(answer: httpx.Response) -> tuple[int, dict[str, str]]:
    """The status and the headers that GET and HEAD share."""
    headers = {name: value for name, value in answer.headers.items() if name not in OWN}
    return answer.status_code, headers


@pytest.mark.parametrize("path", ["/stones/7", "/stones/x", "/nowhere", "/raises/bug", "/stones"])
async def test_head_has_the_status_and_headers_of_get(client: Api, tokens: Tokens, path: str):
    caller = tokens.headers("operator")

    read = await client.http.get(path, headers=caller)
    head = await client.http.head(path, headers=caller)

    assert common(head) == common(read)
    assert (head.content, bool(read.content)) == (b"", True)


async def test_head_lets_in_nobody_whom_get_does_not(client: Api):
    head = await client.http.head("/stones/7")

    assert (head.status_code, head.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/openapi.json"])
async def test_probes_may_use_head(client: Api, path: str):
    assert (await client.internal(path, "HEAD")).is_success


async def test_options_says_what_a_path_takes(client: Api):
    answer = await client.http.options("/stones/7")

    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["allow"] == "DELETE, GET, HEAD, OPTIONS"


async def test_options_of_no_path_is_refused(client: Api):
    assert is_problem(await client.http.options("/nowhere"), 404, "no-such-path")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PATCH", "/stones/7", "DELETE, GET, HEAD, OPTIONS"),
        ("HEAD", "/stones", "OPTIONS, POST"),
        ("BREW", "/stones", "OPTIONS, POST"),
    ],
)
async def test_a_refusal_lists_every_other_method(client: Api, method, path, allow):
    answer = await client.http.request(method, path)

    assert (answer.status_code, answer.headers["allow"]) == (405, allow)


async def test_the_detail_of_a_refusal_names_every_method(client: Api):
    answer = await client.http.put("/stones/7")

    assert is_problem(answer, 405, "method-not-allowed")
    assert answer.json()["detail"] == "This path takes DELETE, GET, HEAD, OPTIONS only."


async def test_head_of_an_endless_stream_ends(client: Api):
    """On a socket, for a client without one can't tell an answer from its end."""
    config = uvicorn.Config(client.app, port=0, lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve())
    await eventually(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=PATIENCE) as http:
        head = await http.head("/echoes")
        again = await http.head("/stones/7")  # on the same connection
    server.should_exit = True
    await serving

    assert (head.status_code, head.headers["x-echo"]) == (200, "1")
    assert again.status_code == 401
    assert len(client.app.state.echoes) < 100
