"""How many values each key seals, counted beside the bodies of kept events."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from cryptography.fernet import Fernet

from devkit.pytest_plugin import TestDatabases
from shared.contracts.base import now
from shared.kernel.data.database import Sessions, make_engine, make_sessions
from shared.kernel.data.sealed_keys import UNREADABLE, sealed_keys_of
from shared.kernel.data.tables import DeadLetterRow, OutboxRow
from shared.kernel.encryption.rotation import census, rotate
from shared.kernel.encryption.sealed_columns import LOGS
from shared.kernel.encryption.sealer import Sealer
from shared.kernel.messaging import erasure

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
BEFORE, BOTH = Sealer([OLD]), Sealer([NEW, OLD])
LOST = Sealer([Fernet.generate_key().decode()])
WHO = uuid.uuid4()


@pytest.fixture
async def sessions(databases: TestDatabases) -> AsyncIterator[Sessions]:
    engine = make_engine(databases.kernel())
    yield make_sessions(engine)
    await engine.dispose()


def a_record(sealer: Sealer, cooperative_id: uuid.UUID | None = None) -> dict[str, Any]:
    return {
        "cooperative_id": str(cooperative_id or uuid.uuid4()),
        "version": 1,
        "contact_sealed": sealer.seal({"email": "a@taawon.example"}),
    }


def an_event(*records: dict[str, Any]) -> OutboxRow:
    return OutboxRow(
        event_id=uuid.uuid4(),
        topic="registry.cooperatives.imported.v1",
        aggregate_id=uuid.uuid4(),
        occurred_at=now(),
        body=orjson.dumps({"cooperatives": records}),
        headers={},
    )


def a_dead_letter(body: bytes) -> DeadLetterRow:
    return DeadLetterRow(
        queue="registry.x",
        message_key=uuid.uuid4().hex,
        body=body,
        headers={},
        error="x",
        first_failed_at=now(),
        last_failed_at=now(),
    )


async def counted(sessions: Sessions) -> list[dict[str, int]]:
    return [dict(each) for each in (await census(sessions, BOTH, LOGS)).values()]


async def test_bodies_are_counted_by_key_after_a_rotation_and_an_erasure_too(
    sessions: Sessions,
) -> None:
    async with sessions.begin() as session:
        session.add(an_event(a_record(BEFORE, WHO), a_record(BEFORE), a_record(BOTH)))
        session.add(an_event())
        session.add(a_dead_letter(b'{"contact_sealed" : "no ciphertext", "mason": 1}'))
        session.add(a_dead_letter(orjson.dumps(a_record(LOST))))

    before = await counted(sessions)
    for store in LOGS:
        async for _ in rotate(sessions, BOTH, store):
            pass
    rotated = await counted(sessions)
    async with sessions.begin() as session:
        await erasure.scrub(session, erasure.Erased(below={WHO: 2}))

    assert before == [{BEFORE.newest: 2, BOTH.newest: 1}, {UNREADABLE: 2}]
    assert rotated == [{BOTH.newest: 3}, {UNREADABLE: 2}]
    assert await counted(sessions) == [{BOTH.newest: 2}, {UNREADABLE: 2}]


@pytest.mark.parametrize("body", [b"{}", b'{"contact_sealed": null}', b"\xff", b""])
def test_a_body_without_a_sealed_value_has_no_keys(body: bytes) -> None:
    assert sealed_keys_of(body) is None
