"""Seal keys are rotated under traffic: values open, accounts are found, imports stay silent."""

from __future__ import annotations

import asyncio
import io
import json
import os
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography.fernet import Fernet
from sqlalchemy import event, func, insert, select, text, update

from devkit import pytest_plugin
from devkit.forks import commands
from registry.identity import models, queries
from registry.identity.domain.accounts import AccountExists, IdentityTaken
from registry.identity.usecases import accounts, identities, tokens
from registry.identity.usecases.accounts import email_mark
from registry.identity.usecases.identities import find_linked, identity_marks
from registry.register import queries as register_queries
from registry.register.domain.imports import RegisterImport
from registry.register.models import rows as cooperative_rows
from registry.register.models import tables
from registry.register.register_file.decoding import lines_of
from registry.register.usecases import cooperatives, imports
from registry.sealed_columns import SEALED_COLUMNS
from shared.kernel import encryption
from shared.kernel.auth.local_operator import LOCAL_OPERATOR
from shared.kernel.auth.tokens import Role
from shared.kernel.data.database import Sessions, make_engine, make_sessions
from shared.kernel.data.sealed_keys import UNREADABLE
from shared.kernel.data.tables import DeadLetterRow, OutboxRow
from shared.kernel.encryption.sealer import Sealer, Unreadable

from .builders import a_file, many_rows

pytestmark = pytest.mark.servers

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
BEFORE, FIRST, DURING, AFTER = Sealer([OLD]), Sealer([OLD, NEW]), Sealer([NEW, OLD]), Sealer([NEW])
PHASES = {"before": BEFORE, "known": FIRST, "sealing": DURING, "rotated": DURING}
EMAIL, PASSWORD = "person-of-keys@taawon.example", "correct horse battery"
IDENTITY = {"issuer": "https://id.example", "subject": "person-of-keys"}
ROWS = 620
CONTACTS = SEALED_COLUMNS.columns[0]


@pytest.fixture
async def url(databases: pytest_plugin.TestDatabases) -> str:
    return databases.fresh("registry")


@pytest.fixture
async def sessions(url: str) -> AsyncIterator[Sessions]:
    """A registry that has known one key only, with everything in it that is sealed."""
    engine = make_engine(url)
    sessions = make_sessions(engine)
    await imported(sessions, BEFORE)
    async with sessions.begin() as session:
        account = await accounts.create_account(
            session, BEFORE, LOCAL_OPERATOR, email=EMAIL, password=PASSWORD, roles=[Role.OPERATOR]
        )
        await session.flush()
        await identities.link_identity(session, BEFORE, LOCAL_OPERATOR, account.id, **IDENTITY)
    await signed_in(sessions, BEFORE, url)
    async with sessions.begin() as session:
        body = await session.scalar(select(OutboxRow.body).limit(1))
        await session.execute(insert(DeadLetterRow).values(a_dead_letter(body)))
    yield sessions
    await engine.dispose()


def a_dead_letter(body: bytes | None) -> dict[str, Any]:
    moment = func.now()
    return {
        "queue": "registry.any",
        "message_key": uuid.uuid4().hex,
        "body": body,
        "headers": {},
        "error": "NotFound",
        "first_failed_at": moment,
        "last_failed_at": moment,
    }


async def imported(sessions: Sessions, sealer: Sealer) -> RegisterImport:
    lines = lines_of(io.BytesIO(a_file(*many_rows(ROWS, "TPI des clés"))))
    async for step in imports.import_register(
        sessions, sealer, LOCAL_OPERATOR, lines, source="k.csv"
    ):
        report = step.report
    return report


async def signed_in(sessions: Sessions, sealer: Sealer, url: str) -> str:
    settings = pytest_plugin.test_settings("registry", url)
    issued = await tokens.issue_to_account(
        sessions,
        sealer,
        settings,
        email=EMAIL.upper(),
        password=PASSWORD,
        network="203.0.113.0/24",
    )
    return issued.token


async def is_linked(sessions: Sessions, sealer: Sealer) -> bool:
    """Whether the identity is found with these keys, and can't be linked a second time."""
    async with sessions() as session:
        account = await find_linked(session, identity_marks(sealer, **IDENTITY))
        assert account is not None
        with pytest.raises(IdentityTaken):
            await identities.link_identity(session, sealer, LOCAL_OPERATOR, account.id, **IDENTITY)
        (seen,) = await queries.list_identities(session, sealer, account.id)
    return seen.subject == IDENTITY["subject"]


async def rotated(
    sessions: Sessions, store: encryption.Store | None = None
) -> list[encryption.Step]:
    stores = [store] if store else SEALED_COLUMNS.stores
    return [step for each in stores async for step in encryption.rotate(sessions, DURING, each)]


async def counts(sessions: Sessions) -> dict[str, encryption.Census]:
    return await encryption.census(sessions, DURING, SEALED_COLUMNS.stores)


async def count_events(sessions: Sessions) -> int:
    async with sessions() as session:
        return await session.scalar(select(func.count()).select_from(OutboxRow)) or 0


@pytest.mark.usefixtures("sessions")
async def test_the_database_counts_by_key_however_much_is_sealed(url: str) -> None:
    engine = make_engine(url)
    fetched: list[int] = []

    @event.listens_for(engine.sync_engine, "after_cursor_execute")
    def count(_connection: Any, cursor: Any, statement: str, *_rest: Any) -> None:
        if "sealed" in statement:
            fetched.append(cursor.rowcount)

    found = await counts(make_sessions(engine))
    await engine.dispose()

    assert found["cooperative.contact_sealed"] == {BEFORE.newest: ROWS}
    assert found["outbox.body"] == {BEFORE.newest: ROWS}
    assert len(fetched) == len(SEALED_COLUMNS.stores)
    assert max(fetched) == 1


async def test_after_a_rotation_the_new_key_alone_opens_and_finds_everything(
    sessions: Sessions, url: str
) -> None:
    token = await signed_in(sessions, DURING, url)

    await rotated(sessions)

    found = await counts(sessions)
    assert {store: dict(each) for store, each in found.items()} == {
        "cooperative.contact_sealed": {AFTER.newest: ROWS},
        "account.email_sealed": {AFTER.newest: 1},
        "linked_identity.subject_sealed": {AFTER.newest: 1},
        "person_response.report_sealed": {},
        "person_request.proposal_sealed": {},
        "signing_key.private_sealed": {AFTER.newest: 1},
        "outbox.body": {AFTER.newest: ROWS},
        "dead_letter.body": {AFTER.newest: 500},
    }
    assert await signed_in(sessions, AFTER, url) != token
    assert await is_linked(sessions, AFTER)
    before = await count_events(sessions)
    report = await imported(sessions, AFTER)
    assert (report.rows_unchanged, report.rows_changed) == (ROWS, 0)
    assert await count_events(sessions) == before
    async with sessions() as session:
        bodies = list(await session.scalars(select(OutboxRow.body)))
        versions = set(await session.scalars(select(tables.cooperative.c.version)))
    records = [each for body in bodies for each in orjson.loads(body)["cooperatives"]]
    assert {AFTER.open(each["contact_sealed"])["email"] for each in records} == {
        "coop-1@taawon.example"
    }
    assert versions == {1}
    with pytest.raises(Unreadable):
        BEFORE.open(records[0]["contact_sealed"])


@pytest.mark.parametrize("phase", PHASES)
async def test_in_every_phase_people_sign_in_and_an_e_mail_is_taken_once(
    sessions: Sessions, url: str, phase: str
) -> None:
    sealer = PHASES[phase]
    if phase == "rotated":
        await rotated(sessions)

    assert await signed_in(sessions, sealer, url)
    assert await is_linked(sessions, sealer)
    assert (await imported(sessions, sealer)).rows_unchanged == ROWS
    with pytest.raises(AccountExists):
        async with sessions.begin() as session:
            await accounts.create_account(
                session, sealer, LOCAL_OPERATOR, email=EMAIL, password=PASSWORD, roles=[Role.HOLDER]
            )


async def test_two_processes_with_different_first_keys_take_an_e_mail_once(
    sessions: Sessions,
) -> None:
    async def create(sealer: Sealer) -> bool:
        try:
            async with sessions.begin() as session:
                await accounts.create_account(
                    session,
                    sealer,
                    LOCAL_OPERATOR,
                    email="two@taawon.example",
                    password=PASSWORD,
                    roles=[Role.HOLDER],
                )
        except AccountExists:
            return False
        return True

    made = await asyncio.gather(*(create(sealer) for sealer in (FIRST, DURING) * 3))

    assert made.count(True) == 1


async def test_an_equal_contact_entered_by_hand_is_no_change_whatever_key_marked_it(
    sessions: Sessions,
) -> None:
    async with sessions.begin() as session:
        cooperative_id = await session.scalar(select(tables.cooperative.c.id).limit(1))
        assert cooperative_id is not None
        changed = await cooperatives.change_cooperative(
            session,
            DURING,
            LOCAL_OPERATOR,
            cooperative_id,
            changes={},
            contact_changes={"email": "coop-1@taawon.example"},
        )

    assert changed.version == 1


async def test_rows_that_others_hold_are_renewed_once_they_are_free(sessions: Sessions) -> None:
    async with sessions() as holder:
        table = tables.cooperative
        held = await holder.scalar(
            select(table.c.id).order_by(table.c.id).limit(1).with_for_update()
        )
        steps = encryption.rotate(sessions, DURING, CONTACTS)
        first = [await anext(steps), await anext(steps)]
        await holder.commit()
    rest = [step async for step in steps]

    assert held is not None
    assert sum(step.renewed for step in first) == ROWS - 1
    assert sum(step.renewed for step in rest) == 1
    assert [step.left for step in rest][-1] == 0


async def test_a_change_between_reading_and_writing_is_not_lost(sessions: Sessions) -> None:
    rows = await anext(CONTACTS.batches(sessions))
    changed = rows[0]["id"]
    async with sessions.begin() as session:
        await cooperatives.change_cooperative(
            session,
            DURING,
            LOCAL_OPERATOR,
            changed,
            changes={"members_total": 44},
            contact_changes={},
        )

    batch = await CONTACTS.renew(sessions, rows, DURING)
    await rotated(sessions, CONTACTS)

    assert batch.missed == (changed,)
    async with sessions() as session:
        row = await register_queries.find_cooperative(session, changed)
    entry = cooperative_rows.cooperative_from(row).entry
    assert (row["members_total"], row["version"]) == (44, 2)
    assert row["digest"] == cooperative_rows.digest_of(entry, row["contact_mark"])
    assert DURING.key_of(row["contact_sealed"]) == AFTER.newest


async def test_a_rotation_that_was_killed_goes_on_when_it_is_run_again(
    sessions: Sessions, url: str, tmp_path: Path
) -> None:
    point = f"keys.rotate.{CONTACTS.name}@{tmp_path / 'hit'}"
    killed, _ = await command(url, "rotate", "registry", TAAWON_FAILPOINT=point)
    waits, _ = await command(url, "status", "registry")
    half = (await counts(sessions))[CONTACTS.name]

    code, out = await command(url, "rotate", "registry", "--json")

    assert (killed, dict(half)) == (-9, {AFTER.newest: 500, BEFORE.newest: ROWS - 500})
    assert (waits, code) == (2, 0)
    assert {each["store"]: each["renewed"] for each in json.loads(out)} == {
        "cooperative.contact_sealed": ROWS - 500,
        "account.email_sealed": 1,
        "linked_identity.subject_sealed": 1,
        "person_response.report_sealed": 0,
        "person_request.proposal_sealed": 0,
        "signing_key.private_sealed": 1,
        "outbox.body": 2,
        "dead_letter.body": 1,
    }
    done, shown = await command(url, "status", "registry", "--json")
    stores = json.loads(shown)["stores"]
    assert (done, {each[BEFORE.newest] for each in stores.values()}) == (0, {0})
    assert OLD not in shown
    assert NEW not in shown


async def command(url: str, *arguments: str, **env: str) -> tuple[int, str]:
    """`taawon keys …` as its own process, with both keys."""
    known = {"TAAWON_DATABASE_URL": url, "TAAWON_SEAL_KEYS": f"{NEW},{OLD}"}
    environment = {**os.environ, **known, **env}
    done = await asyncio.to_thread(commands().run, "keys", *arguments, env=environment)
    return done.returncode, done.stdout


async def test_values_that_no_key_opens_are_counted_and_left_as_they_are(
    sessions: Sessions,
) -> None:
    lost = Sealer([Fernet.generate_key().decode()]).seal({"email": "lost@taawon.example"})
    async with sessions.begin() as session:
        await session.execute(update(models.account).values(email_sealed=lost))

    steps = await rotated(sessions, SEALED_COLUMNS.columns[1])

    assert [(step.renewed, step.unreadable) for step in steps] == [(0, 1)]
    assert (await counts(sessions))["account.email_sealed"] == {UNREADABLE: 1}


async def test_failures_that_count_no_more_are_deleted(sessions: Sessions) -> None:
    failures = models.sign_in_failure
    mark = email_mark(BEFORE, "nobody@taawon.example")
    async with sessions.begin() as session:
        old = text("now() - interval '61 minutes'")
        await session.execute(insert(failures).values(email_mark=mark, at=old))
        await session.execute(insert(failures).values(email_mark=mark))

    assert SEALED_COLUMNS.afterwards is not None
    async with sessions.begin() as session:
        await SEALED_COLUMNS.afterwards(session)

    async with sessions() as session:
        assert await session.scalar(select(func.count()).select_from(failures)) == 1


async def test_a_retired_signing_key_is_published_until_its_last_token_has_expired(
    sessions: Sessions,
) -> None:
    keys = models.signing_key
    async with sessions.begin() as session:
        await tokens.rotate_signing_key(session, DURING, LOCAL_OPERATOR)
    async with sessions() as session:
        both = await queries.published_keys(session)
    async with sessions.begin() as session:
        ago = func.to_timestamp(time.time() - 3600 - 61)
        retired = update(keys).where(keys.c.state == "retired").values(retired_at=ago)
        await session.execute(retired)

    async with sessions() as session:
        left = await queries.published_keys(session)

    assert (len(both), len(left)) == (2, 1)
    assert left == both[:1]
