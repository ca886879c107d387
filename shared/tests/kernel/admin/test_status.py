"""What a service reports to operators about itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import create_async_engine

from cli.client import TIMEOUT
from devkit.pytest_plugin import Api, TestDatabases, Tokens, api, eventually
from shared.contracts.base import now
from shared.kernel.admin import status as admin_status
from shared.kernel.admin.status import DATABASE_SECONDS
from shared.kernel.auth.tokens import Role
from shared.kernel.data.database import make_engine, make_sessions
from shared.kernel.data.tables import InboxRow, ReplayRow
from shared.kernel.messaging.relay import RELAY_LOCK

from .rows import QUEUE, an_event, create_app, dead_letter, store


async def status(client: Api) -> dict[str, Any]:
    answer = await client.http.get("/status")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("path", ["/status", f"/trace/{uuid4()}"])
async def test_only_operators_may_read_status_and_traces(client: Api, tokens: Tokens, path: str):
    others = [role for role in Role if role is not Role.OPERATOR]

    refused = await client.http.get(path, headers=tokens.headers(*others))
    unknown = await client.http.get(path, headers={"Authorization": ""})

    assert (refused.status_code, refused.json()["code"]) == (403, "missing-role")
    assert unknown.status_code == 401


async def test_an_idle_service_reports_that_nothing_waits(client: Api):
    before = now()
    found = await status(client)

    skew = found["database"].pop("clock_skew_seconds")
    assert abs(skew) < 60
    measured = found.pop("measured")
    assert before <= datetime.fromisoformat(found.pop("at")) <= now()
    assert (measured["taawon_database_up"], measured["taawon_outbox_pending"]) == (1, 0)
    assert measured[f"taawon_dead_letters{{queue={QUEUE},state=dead}}"] == 0
    assert found == {
        "service": "masonry",
        "version": "unknown",
        "revision": None,
        "newest_revision": None,
        "revision_known": True,
        "database": {"answers": True},
        "outbox": {"pending": 0, "oldest_seconds": 0.0, "quarantined": 0, "last_errors": []},
        "dead_letters": {},
        "inbox": {"last_hour": 0},
        "consumers": {"consuming": False, "paused": False, "queues": [QUEUE]},
        "relay": {"holds_lock": False, "held_seconds": None},
        "counts": {},
        "names": {},
        "failed_replays": 0,
        "long_statements": [],
        "seals": True,
    }


async def test_events_that_have_not_left_are_counted(client: Api):
    await store(
        client,
        an_event(created_at=func.clock_timestamp() - func.make_interval(0, 0, 0, 0, 0, 2)),
        an_event(last_error="TimeoutError", attempts=3),
        an_event(last_error="TimeoutError", attempts=1),
        an_event(last_error="Unserialisable", quarantined_at=now()),
        an_event(last_error="Erased", published_at=now()),
    )

    outbox = (await status(client))["outbox"]

    assert 120 <= outbox.pop("oldest_seconds") < 3600
    assert outbox == {
        "pending": 3,
        "quarantined": 1,
        "last_errors": ["TimeoutError", "Unserialisable"],
    }


async def test_dead_letters_that_wait_for_a_decision_are_counted_by_queue(client: Api):
    other = "masonry.count_stones"
    await store(
        client, dead_letter(), dead_letter(), dead_letter(queue=other), dead_letter(state="dropped")
    )

    found = await status(client)

    assert found["dead_letters"] == {QUEUE: 2, other: 1}


async def test_messages_of_the_last_hour_are_counted(client: Api):
    long_ago = func.now() - func.make_interval(0, 0, 0, 0, 2)
    rows = [InboxRow(queue=QUEUE, event_id=uuid4()) for _ in range(2)]
    await store(client, *rows, InboxRow(queue=QUEUE, event_id=uuid4(), received_at=long_ago))

    found = await status(client)

    assert found["inbox"] == {"last_hour": 2}


async def test_a_relay_that_holds_its_lock_is_reported(client: Api, database_url: str):
    engine = create_async_engine(database_url)

    async with engine.begin() as tx:
        await tx.execute(select(func.pg_advisory_xact_lock(RELAY_LOCK)))
        relay = (await status(client))["relay"]
    await engine.dispose()

    assert relay["holds_lock"] is True
    assert 0 <= relay["held_seconds"] < 3600


async def test_a_statement_that_runs_for_long_is_named_without_its_values(
    client: Api, database_url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(admin_status, "LONG_STATEMENT_SECONDS", 0.0)
    engine = create_async_engine(database_url)

    async def long_statements() -> list[dict[str, Any]]:
        found = (await status(client))["long_statements"]
        return [each for each in found if "pg_advisory" in each["statement"]]

    async with engine.connect() as holder, engine.connect() as waiting:
        await holder.execute(select(func.pg_advisory_xact_lock(1)))
        statement = text("SELECT pg_advisory_xact_lock(1),\n 'Fatima', 'd''Agadir' ")
        task = asyncio.create_task(waiting.execute(statement))
        (found,) = await eventually(long_statements)
        await holder.rollback()
        await task
    await engine.dispose()

    assert found["waits_for_lock"] is True
    assert 0 <= found["seconds"] < 3600
    assert found["statement"] == "SELECT pg_advisory_xact_lock(1), '…', '…''…' "


async def test_a_migrated_schema_is_reported_by_its_revision(databases, tokens):
    async with api(create_app, "registry", databases.migrated("registry"), tokens) as client:
        client.http.headers.update(tokens.headers(Role.OPERATOR))
        found = await status(client)

    assert found["revision"] == found["newest_revision"] is not None
    assert found["version"] != "unknown"


async def test_a_schema_that_was_never_made_is_reported(databases: TestDatabases, tokens: Tokens):
    async with api(create_app, "registry", databases.scratch(), tokens) as client:
        client.http.headers.update(tokens.headers(Role.OPERATOR))
        found = await status(client)

    assert (found["revision"], found["revision_known"]) == (None, True)
    assert found["newest_revision"] is not None
    assert (found["database"]["answers"], found["outbox"]) == (True, None)


async def test_a_schema_of_a_newer_program_is_reported(databases: TestDatabases, tokens: Tokens):
    async with api(create_app, "registry", databases.migrated("registry"), tokens) as client:
        client.http.headers.update(tokens.headers(Role.OPERATOR))
        async with client.sessions.begin() as session:
            await session.execute(text("UPDATE alembic_version SET version_num = 'tomorrow'"))
        found = await status(client)

    assert (found["revision"], found["revision_known"]) == ("tomorrow", False)
    assert found["outbox"]["pending"] == 0


async def test_the_first_names_of_what_is_counted_are_listed(client: Api):
    client.runtime.counts = {"stones": "SELECT 30"}
    client.runtime.names = {"stones": "SELECT 'stone ' || n FROM generate_series(1, 30) n"}

    found = await status(client)

    assert found["counts"] == {"stones": 30}
    assert (found["names"]["stones"][0], len(found["names"]["stones"])) == ("stone 1", 20)


def run_of(queue: str, state: str, minute: int) -> ReplayRow:
    return ReplayRow(
        run=uuid4(), kind="snapshot", queue=queue, topics=[], state=state, requested_by="amina",
        reason="lost", requested_at=now() + timedelta(minutes=minute),
    )  # fmt: skip


async def test_a_failed_replay_counts_until_it_is_requested_again(client: Api):
    again, still = "carpentry.saw", "carpentry.glue"
    await store(
        client, run_of(again, "failed", 0), run_of(again, "finished", 1), run_of(still, "failed", 0)
    )

    assert (await status(client))["failed_replays"] == 1


@pytest.fixture
async def hanging(client: Api) -> AsyncIterator[Api]:
    """A client whose database accepts connections and does not respond."""

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    engine = make_engine(f"postgresql+asyncpg://x:y@127.0.0.1:{port}/none?ssl=disable")
    client.runtime.sessions = make_sessions(engine)
    yield client
    await engine.dispose()
    server.close()


@pytest.mark.parametrize("path", ["/readyz", "/status"])
async def test_a_database_that_hangs_is_reported_before_the_client_times_out(
    hanging: Api, path: str
):
    answer = (await hanging.http.get(path)).json()

    assert DATABASE_SECONDS < TIMEOUT
    reported = answer["checks"]["database"] if path == "/readyz" else answer["database"]["answers"]
    assert reported is False


async def test_while_the_database_is_away_the_rest_is_reported(client: Api):
    engine = make_engine("postgresql+asyncpg://nobody@127.0.0.1:1/none")
    client.runtime.sessions = make_sessions(engine)

    found = await status(client)

    assert found["database"] == {"answers": False, "clock_skew_seconds": None}
    assert (found["outbox"], found["dead_letters"]) == (None, None)
    assert found["consumers"]["queues"] == [QUEUE]


async def test_the_number_of_sent_events_does_not_slow_the_status(client: Api):
    """Pending rows are found by an index, not by a scan of the sent ones."""
    async with client.sessions() as session:
        await session.execute(text("SET LOCAL enable_seqscan = off"))
        plan = await session.scalars(
            text("EXPLAIN SELECT count(*) FROM outbox WHERE published_at IS NULL")
        )

    assert "ix_outbox_pending" in "\n".join(plan)
