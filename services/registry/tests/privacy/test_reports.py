"""Responses of services to requests of persons: reports, until when they are kept, metrics."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from cryptography.fernet import Fernet
from sqlalchemy import select, update

from registry.identity import models
from registry.privacy import handlers
from registry.privacy import models as privacy_models
from registry.privacy.usecases import person_responses
from registry.register.models import tables
from shared.business_days import today
from shared.contracts.base import MOST_EVENT_BYTES
from shared.contracts.catalogue import ANSWERS
from shared.contracts.persons import PersonAction, PersonAnswered
from shared.contracts.registry import PersonAccessRequested, RegistryAnswered
from shared.kernel.encryption.sealer import Sealer

from ..builders import many_rows
from .client import CONTACT, EMAIL, SEALER, PrivacyClient, answered


async def test_a_request_is_completed_by_the_last_answer_and_a_repeat_changes_nothing(
    privacy: PrivacyClient,
) -> None:
    request = await privacy.asks("access", email=EMAIL)
    path = f"/persons/requests/{request['request_id']}"

    seen = []
    for answer in ANSWERS:
        for _ in range(2):
            event = answer(request_id=uuid.UUID(request["request_id"]), kind="access")
            async with privacy.api.sessions.begin() as session:
                await handlers.record_person_response(event, session)
        seen.append((await privacy.get(path)).json())

    assert [each["state"] for each in seen] == ["answered"] * 3 + ["completed"]
    assert [len(each["waiting_for"]) for each in seen] == [3, 2, 1, 0]
    assert len(seen[-1]["answers"]) == len(ANSWERS)
    open_ones = (await privacy.get("/persons/requests")).json()
    assert request["request_id"] not in {each["request_id"] for each in open_ones}


async def test_the_report_is_there_once_all_have_answered_until_it_expires(
    privacy: PrivacyClient,
) -> None:
    request = await privacy.asks("access", email=EMAIL)
    path = f"/persons/requests/{request['request_id']}/report"
    early = await privacy.post(path, {})
    record = {"kind": "idea", "record_id": str(uuid.uuid4()), "state": "draft"}
    record["created_at"] = "2026-08-01T10:00:00Z"
    report = SEALER.seal({"contacts": [CONTACT]})
    await privacy.answers(request["request_id"], report_sealed=report, records=[record])

    answer = await privacy.post(path, {})

    assert early.status_code == 404
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["services"]["notifications"]["held"] == {"contacts": [CONTACT]}
    assert answer.json()["services"]["ideas"]["records"] == [record]
    async with privacy.api.sessions.begin() as session:
        ago = datetime.now(UTC) - timedelta(days=31)
        await session.execute(update(privacy_models.person_request).values(completed_at=ago))
        assert await person_responses.delete_reports(session, 30) == len(ANSWERS)
    assert (await privacy.post(path, {})).status_code == 404


async def test_a_report_that_comes_after_the_erasure_is_not_kept_and_older_ones_go(
    privacy: PrivacyClient,
) -> None:
    await privacy.cooperative("1")
    first = await privacy.asks("access", email=EMAIL)
    late = await privacy.asks("access", email=EMAIL)
    report = SEALER.seal({"contacts": [CONTACT]})
    await privacy.answers(first["request_id"], report_sealed=report)
    erasure = await privacy.asks("erasure", email=EMAIL)
    await privacy.answers(late["request_id"], report_sealed=report)
    await answered(privacy, erasure["request_id"])

    async with privacy.api.sessions() as session:
        kept = set(await session.scalars(select(privacy_models.person_response.c.report_sealed)))
    assert kept == {None}


async def test_what_no_key_opens_is_named_unreadable(privacy: PrivacyClient) -> None:
    cooperative_id, account_id = await privacy.cooperative("1"), await privacy.account()
    lost = Sealer([Fernet.generate_key().decode()]).seal(CONTACT)
    async with privacy.api.sessions.begin() as session:
        await session.execute(update(tables.cooperative).values(contact_sealed=lost))
        await session.execute(update(models.account).values(email_sealed=lost))
    ids = {"cooperative_ids": [cooperative_id], "account_ids": [account_id]}

    request = await privacy.asks("access", **ids)
    answer = await answered(privacy, request["request_id"], PersonAccessRequested)

    held = SEALER.open(answer["report_sealed"])
    assert "unreadable" in held["contacts"][0]["contact"]
    assert "unreadable" in held["accounts"][0]


async def test_a_newer_report_outlives_a_correction_that_is_done_late(
    privacy: PrivacyClient,
) -> None:
    cooperative_id = await privacy.cooperative("1")
    report = SEALER.seal({"contacts": [CONTACT]})
    older = await privacy.asks("access", cooperative_ids=[cooperative_id])
    await privacy.answers(older["request_id"], report_sealed=report)
    erasure = await privacy.asks("erasure", cooperative_ids=[cooperative_id])
    newer = await privacy.asks("access", cooperative_ids=[cooperative_id])
    await privacy.answers(newer["request_id"], report_sealed=report)

    answer = await answered(privacy, erasure["request_id"])

    assert answer["counts"]["person_response"] == len(ANSWERS)
    async with privacy.api.sessions() as session:
        table = privacy_models.person_response
        kept = await session.execute(select(table.c.request_id, table.c.report_sealed))
        left = {str(row.request_id) for row in kept if row.report_sealed is not None}
    assert left == {newer["request_id"]}


async def test_what_accounts_did_is_deleted_with_the_report(privacy: PrivacyClient) -> None:
    cooperative_id = await privacy.cooperative("1")
    access = await privacy.asks("access", cooperative_ids=[cooperative_id])
    late = await privacy.asks("access", cooperative_ids=[cooperative_id])
    response = {"actions": [{"at": datetime.now(UTC), "action": "idea drafted"}]}
    await privacy.answers(access["request_id"], **response)
    erasure = await privacy.asks("erasure", cooperative_ids=[cooperative_id])
    await privacy.answers(late["request_id"], **response)

    await answered(privacy, erasure["request_id"])

    async with privacy.api.sessions() as session:
        kept = await session.scalars(select(privacy_models.person_response.c.actions))
        assert [actions for actions in kept if actions] == []


async def test_a_scrape_shows_which_requests_are_to_be_answered_soon_or_are_overdue(
    privacy: PrivacyClient,
) -> None:
    day = today()
    for days in (10, 2, 0, -1, -1):
        request = await privacy.asks("access", email=EMAIL)
        async with privacy.api.sessions.begin() as session:
            table = privacy_models.person_request
            this = update(table).where(table.c.id == request["request_id"])
            await session.execute(this.values(due_on=day + timedelta(days=days)))
    await privacy.answers((await privacy.asks("access", email=EMAIL))["request_id"])

    privacy.api.app.state.scrape = None  # what another test scraped is of its own rows
    metrics = (await privacy.api.internal("/metrics")).text

    assert [
        f'taawon_person_requests{{due="{due}"}} {count}' in metrics
        for due, count in (("later", 1.0), ("soon", 2.0), ("over", 2.0))
    ] == [True] * 3


async def test_access_names_the_devices_of_an_account_and_an_erasure_deletes_them(
    privacy: PrivacyClient,
) -> None:
    account_id = await privacy.account()
    for _ in range(2):
        await privacy.signs_in()

    access = await privacy.asks("access", account_ids=[account_id])
    answer = await answered(privacy, access["request_id"], PersonAccessRequested)
    await privacy.asks("erasure", account_ids=[account_id])

    (account,) = SEALER.open(answer["report_sealed"])["accounts"]
    assert len(account["known_devices"]) == 2
    assert set(account["known_devices"][0]) == {"first_signed_in_at", "last_signed_in_at"}
    async with privacy.api.sessions() as session:
        assert (await session.execute(select(models.known_device))).all() == []


async def test_parts_of_an_answer_count_as_one_whatever_their_order_and_however_often(
    privacy: PrivacyClient,
) -> None:
    request = await privacy.asks("access", email=EMAIL)
    path = f"/persons/requests/{request['request_id']}"
    last, *others = ANSWERS
    for answer in others:
        await privacy.gets(answer(request_id=uuid.UUID(request["request_id"]), kind="access"))
    parts = parts_of(last, request["request_id"], [1, 2, 3])

    seen = []
    for number in (3, 1, 3, 1, 2, 2, 3):
        await privacy.gets(parts[number - 1])
        seen.append((await privacy.get(path)).json())

    assert [each["state"] for each in seen] == ["answered"] * 4 + ["completed"] * 3
    assert [len(each["answers"]) for each in seen] == [len(others)] * 4 + [len(ANSWERS)] * 3
    report = (await privacy.post(f"{path}/report", {})).json()["services"][last.service()]
    assert report["held"] == {"alerts": [1, 2, 3]}
    assert [each["action"] for each in report["actions"]] == ["1", "2", "3"]


async def test_parts_of_answers_that_are_divided_differently_are_not_mixed(
    privacy: PrivacyClient,
) -> None:
    request = await privacy.asks("access", email=EMAIL)
    first, *others = ANSWERS
    in_two = parts_of(first, request["request_id"], ["a", "b"])
    in_three = parts_of(first, request["request_id"], ["A", "B", "C"])

    for part in (in_two[0], in_three[0], in_three[1], in_two[1], in_three[2]):
        await privacy.gets(part)
    for answer in others:
        await privacy.gets(answer(request_id=uuid.UUID(request["request_id"]), kind="access"))

    path = f"/persons/requests/{request['request_id']}/report"
    report = (await privacy.post(path, {})).json()["services"]
    assert report[first.service()]["held"] == {"alerts": ["a", "b"]}


async def test_parts_that_come_after_the_erasure_keep_no_report(privacy: PrivacyClient) -> None:
    await privacy.cooperative("1")
    access = await privacy.asks("access", email=EMAIL)
    first, second = parts_of(ANSWERS[0], access["request_id"], ["a", "b"])
    await privacy.gets(first)
    erasure = await privacy.asks("erasure", email=EMAIL)
    await privacy.gets(second)
    await answered(privacy, erasure["request_id"])

    async with privacy.api.sessions() as session:
        kept = set(await session.scalars(select(privacy_models.person_response.c.report_sealed)))
    assert kept == {None}


async def test_more_than_an_event_may_hold_of_one_person_is_reported_whole(
    privacy: PrivacyClient,
) -> None:
    long = {"name_fr": "é" * 480, "name_ar": "ت" * 480}
    for court in ("TPI Nador", "TPI Taza"):
        await privacy.imports(*many_rows(300, court, **long))

    request = await privacy.asks("access", email=EMAIL)
    await answered(privacy, request["request_id"], PersonAccessRequested)
    events = await privacy.events(RegistryAnswered.topic)
    for event in reversed(events):
        await privacy.gets(RegistryAnswered.model_validate(event))
    await privacy.answers(request["request_id"])

    report = await privacy.post(f"/persons/requests/{request['request_id']}/report", {})
    contacts = report.json()["services"]["registry"]["held"]["contacts"]
    assert len(events) > 1
    assert len(orjson.dumps(contacts)) > MOST_EVENT_BYTES
    assert {each["cooperative_id"] for each in contacts} == set(request["cooperative_ids"])
    assert len(contacts) == 600


def parts_of(answered_by: type[PersonAnswered], request_id: str, values: list[Any]) -> list[Any]:
    """The answer of a service, divided by these values."""
    return [
        answered_by(
            request_id=uuid.UUID(request_id),
            kind="access",
            part=number,
            parts=len(values),
            actions=(PersonAction(at=datetime.now(UTC), action=str(value)),),
            report_sealed=SEALER.seal({"alerts": [value]}),
        )
        for number, value in enumerate(values, start=1)
    ]
