"""After an erasure neither kept events nor dead letters hold the contact of the person."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, cast

import orjson
from sqlalchemy import func, insert, select

from shared.kernel.data.tables import DeadLetterRow, OutboxRow
from shared.kernel.messaging import dead_letters, erasure

from ..builders import a_row
from .client import EMAIL, SEALER, Json, PrivacyClient, answered

if TYPE_CHECKING:
    from aio_pika.abc import AbstractIncomingMessage


async def test_kept_events_and_dead_letters_lose_the_contact_of_the_person_and_of_nobody_else(
    privacy: PrivacyClient,
) -> None:
    row = a_row(court="TPI Oubli", ice="", local_register_no="1")
    other = a_row(court="TPI Oubli", ice="", local_register_no="2", email="other@taawon.example")
    await privacy.imports(row, other | {"phone": "+212600000009"})
    async with privacy.api.sessions.begin() as session:
        body = await session.scalar(select(OutboxRow.body))
        dead_letter = {"queue": "registry.x", "message_key": "1", "body": body, "headers": {}}
        moment = {"first_failed_at": func.now(), "last_failed_at": func.now()}
        await session.execute(insert(DeadLetterRow).values({**dead_letter, **moment, "error": "x"}))

    request = await privacy.asks("erasure", email=EMAIL)
    answer = await answered(privacy, request["request_id"])

    assert (answer["counts"]["outbox"], answer["counts"]["dead_letter"]) == (1, 1)
    async with privacy.api.sessions() as session:
        bodies = [*await session.scalars(select(OutboxRow.body))]
        bodies += [*await session.scalars(select(DeadLetterRow.body))]
        late = await erasure.cleaned(session, body or b"")
    opened = [
        SEALER.open(each["contact_sealed"])["email"]
        for kept in (*bodies, late)
        for each in orjson.loads(kept).get("cooperatives", [])
        if each.get("contact_sealed")
    ]
    assert opened == ["other@taawon.example"] * 3


async def test_a_dead_letter_that_is_collected_after_the_erasure_is_kept_without_the_person(
    privacy: PrivacyClient,
) -> None:
    await privacy.imports(a_row(court="TPI Oubli", ice="", local_register_no="1"))
    async with privacy.api.sessions() as session:
        body = await session.scalar(select(OutboxRow.body))
    request = await privacy.asks("erasure", email=EMAIL)
    await answered(privacy, request["request_id"])

    async with privacy.api.sessions.begin() as session:
        letter = cast("AbstractIncomingMessage", Collected(body or b""))
        await dead_letters.keep(session, "registry.x", letter, takes=[])

    async with privacy.api.sessions() as session:
        (kept,) = await session.scalars(select(DeadLetterRow.body))
    (record,) = orjson.loads(kept)["cooperatives"]
    assert (record["version"], record["contact_sealed"]) == (1, None)


class Collected:
    """A message as the collector of dead letters reads it."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.headers: Json = {}
        self.message_id = str(uuid.uuid4())
        self.user_id, self.type = "registry", "registry.cooperatives.imported.v1"
