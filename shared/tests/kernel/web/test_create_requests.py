"""A request that creates something takes effect once, however often it is sent with its key."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, text, update
from starlette.types import Message, Receive, Scope, Send

from devkit.pytest_plugin import Api, Tokens, eventually
from shared.kernel.data.database import make_engine
from shared.kernel.data.idempotency import delete_old_keys, erase_answers
from shared.kernel.data.tables import IdempotencyRow
from shared.kernel.settings import Settings

from .made_up_service import is_problem

ACCOUNT = uuid.UUID(int=21)
OVER_A_DAY = timedelta(hours=25)


@pytest.fixture
def caller(tokens: Tokens) -> dict[str, str]:
    return {**tokens.headers("operator", subject=ACCOUNT), "Idempotency-Key": str(uuid.uuid4())}


def a_pillar(**changes: Any) -> dict[str, Any]:
    return {"number": 1, "name": "north", **changes}


async def raised(
    client: Api, headers: dict[str, str], path: str = "/pillars", **changes: Any
) -> httpx.Response:
    return await client.http.post(path, json=a_pillar(**changes), headers=headers)


async def stones(client: Api) -> list[int]:
    async with client.runtime.sessions() as session:
        return list(await session.scalars(text("SELECT n FROM stone ORDER BY n")))


async def keys_kept(client: Api) -> int:
    async with client.runtime.sessions() as session:
        return await session.scalar(select(func.count()).select_from(IdempotencyRow)) or 0


async def test_a_repeat_is_answered_as_the_first_time_and_creates_nothing(
    client: Api, caller: dict[str, str]
):
    first = await raised(client, caller)
    second = await raised(client, caller)

    assert (first.status_code, second.status_code) == (201, 201)
    for name in ("location", "etag"):
        assert second.headers[name] == first.headers[name]
    assert second.json() == {**first.json(), "secret": None}
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert await stones(client) == [1]


async def test_without_a_key_a_request_is_made_as_often_as_it_comes(client: Api, tokens: Tokens):
    caller = tokens.headers("operator")

    for number in (1, 2):
        assert (await raised(client, caller, number=number)).status_code == 201

    assert (await stones(client), await keys_kept(client)) == ([1, 2], 0)


@pytest.mark.parametrize(
    ("path", "changes"),
    [
        ("/pillars", {"name": "south"}),
        ("/walls/east/pillars", {}),
    ],
)
async def test_another_request_with_the_same_key_is_refused(
    client: Api, caller: dict[str, str], path: str, changes: dict[str, Any]
):
    await raised(client, caller)

    other = await raised(client, caller, path, **changes)

    assert is_problem(other, 422, "key-reused")
    assert other.json()["errors"][0]["field"] == "Idempotency-Key"
    assert "new key" in other.json()["detail"]
    assert await stones(client) == [1]


async def test_keys_of_two_callers_never_meet(client: Api, caller: dict[str, str], tokens: Tokens):
    other = {**caller, **tokens.headers("operator")}

    answers = [await raised(client, caller), await raised(client, other, number=2)]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert await stones(client) == [1, 2]


async def test_with_other_rights_it_is_another_request(
    client: Api, caller: dict[str, str], tokens: Tokens
):
    await raised(client, caller)
    lessened = {**caller, **tokens.headers("partner", partner="oasis", subject=ACCOUNT)}

    answer = await raised(client, lessened)

    assert is_problem(answer, 422, "key-reused")


async def test_a_new_token_of_the_same_rights_changes_nothing(
    client: Api, caller: dict[str, str], tokens: Tokens
):
    await raised(client, caller)
    renewed = {**caller, **tokens.headers("operator", subject=ACCOUNT, jti="another")}

    assert (await raised(client, renewed)).headers["idempotent-replayed"] == "true"


async def test_a_refused_request_spends_no_key(client: Api, caller: dict[str, str]):
    refused = await raised(client, caller, name="crooked")

    corrected = await raised(client, caller)

    assert (refused.status_code, corrected.status_code) == (409, 201)
    assert (await stones(client), await keys_kept(client)) == ([1], 1)


async def test_of_two_equal_requests_at_once_the_second_has_to_wait(
    committing: Api, caller: dict[str, str], database_url: str
):
    engine = make_engine(database_url)
    async with engine.connect() as holder:
        await holder.execute(text("LOCK TABLE stone IN ACCESS EXCLUSIVE MODE"))
        first = asyncio.create_task(raised(committing, caller))
        await eventually(lambda: waiting(holder))

        second = await raised(committing, caller)

        assert is_problem(second, 409, "still-in-flight")
        await holder.rollback()
    assert (await first).status_code == 201
    assert (await raised(committing, caller)).headers["idempotent-replayed"] == "true"
    assert await stones(committing) == [1]
    await engine.dispose()


async def waiting(holder: Any) -> int:
    asked = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'stone'::regclass"
    return int((await holder.execute(text(asked))).scalar_one())


async def test_a_request_whose_answer_was_lost_after_the_commit_gets_it_again(
    committing: Api, caller: dict[str, str]
):
    async def breaking(scope: Scope, receive: Receive, _: Send) -> None:
        async def lose(_: Message) -> None:
            raise ConnectionError

        await committing.app(scope, receive, lose)

    transport = httpx.ASGITransport(breaking)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        with pytest.raises(ConnectionError):
            await http.post("/pillars", json=a_pillar(), headers=caller)

    again = await raised(committing, caller)

    assert (again.status_code, again.headers["location"]) == (201, "/pillars/1")
    assert await stones(committing) == [1]


async def test_a_failed_commit_spends_no_key(committing: Api, caller: dict[str, str]):
    await raised(committing, {**caller, "Idempotency-Key": str(uuid.uuid4())})

    failed = await raised(committing, caller)

    assert is_problem(failed, 500, "our-fault")
    assert (await raised(committing, caller, number=2)).status_code == 201


async def test_after_a_day_a_key_is_a_new_one(client: Api, caller: dict[str, str]):
    await raised(client, caller)
    async with client.runtime.sessions.begin() as session:
        await session.execute(update(IdempotencyRow).values(created_at=func.now() - OVER_A_DAY))

    answer = await raised(client, caller, number=2)

    assert (answer.status_code, await keys_kept(client)) == (201, 1)
    assert await stones(client) == [1, 2]


async def test_old_keys_are_deleted_and_young_ones_stay(
    committing: Api, caller: dict[str, str], database_url: str
):
    engine = make_engine(database_url)
    await raised(committing, caller)
    async with engine.begin() as tx:
        await tx.execute(update(IdempotencyRow).values(created_at=func.now() - OVER_A_DAY))
    await raised(committing, {**caller, "Idempotency-Key": str(uuid.uuid4())}, number=2)

    await delete_old_keys(engine, Settings.model_fields["idempotency_hours"].default)

    assert await keys_kept(committing) == 1
    await engine.dispose()


async def test_what_is_stored_shows_neither_key_nor_body_nor_answer(
    client: Api, caller: dict[str, str]
):
    first = await raised(client, caller, name="north of the river")

    async with client.runtime.sessions() as session:
        row = (await session.scalars(select(IdempotencyRow))).one()
    stored = b"|".join((row.key_hash, row.fingerprint, row.answer or b"", row.route.encode()))
    key = uuid.UUID(caller["Idempotency-Key"])
    for plain in ("north of the river", first.json()["secret"], str(key), key.hex):
        assert plain.encode() not in stored
    assert key.bytes not in stored
    assert row.route == "POST /pillars"


async def test_an_erasure_deletes_the_answers_and_lets_no_repeat_create(
    client: Api, caller: dict[str, str]
):
    await raised(client, caller)
    async with client.runtime.sessions.begin() as session:
        assert await erase_answers(session) == 1

    answer = await raised(client, caller)

    assert is_problem(answer, 409, "answer-erased")
    assert "/pillars/1" in answer.json()["detail"]
    assert await stones(client) == [1]


@pytest.mark.parametrize("key", ["", "seven", "8e03978e-40d5-43dd-bc93"])
async def test_a_key_that_is_no_uuid_is_refused_with_the_remedy(
    client: Api, caller: dict[str, str], key: str
):
    answer = await raised(client, {**caller, "Idempotency-Key": key})

    assert is_problem(answer, 422, "malformed-key")
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
    assert "UUID" in answer.json()["detail"]


async def test_two_keys_are_refused(client: Api, tokens: Tokens):
    signed = [*tokens.headers("operator").items()]
    keys = [("Idempotency-Key", str(uuid.uuid4())) for _ in range(2)]

    answer = await client.http.post("/pillars", json=a_pillar(), headers=[*signed, *keys])

    assert is_problem(answer, 422, "malformed-key")


async def test_a_key_may_stand_in_quotes(client: Api, caller: dict[str, str]):
    await raised(client, caller)

    quoted = await raised(client, {**caller, "Idempotency-Key": f'"{caller["Idempotency-Key"]}"'})

    assert quoted.headers["idempotent-replayed"] == "true"
