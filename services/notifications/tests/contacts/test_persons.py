"""Requests of persons: contacts are shown or erased, and what was erased does not come back."""

from __future__ import annotations

import uuid
from datetime import datetime

import orjson
import pytest
from cryptography.fernet import Fernet
from sqlalchemy import delete, func, insert, literal, select

from devkit import pytest_plugin
from notifications.app import SPEC
from notifications.audience import usecases
from notifications.audience.models import audience
from notifications.contacts.usecases import AudienceBehind
from notifications.inbox.models import alert_state
from shared.contracts.base import MOST_EVENT_BYTES
from shared.contracts.notifications import NotificationsAnswered
from shared.contracts.persons import CooperativeOfPerson
from shared.contracts.registry import PersonAccessRequested, PersonErasureRequested, PersonRectified
from shared.kernel.data.tables import OutboxRow
from shared.kernel.encryption.sealer import Sealer
from shared.kernel.messaging import erasure
from shared.kernel.privacy.answer_parts import joined

from ..builders import a_record

SEALER = Sealer([pytest_plugin.SEAL_KEY])
CONTACT = {"email": "person@taawon.example"}


def sealed():
    return SEALER.seal(CONTACT)


def a_request(kind, *touched, accounts=()):
    cooperatives = [
        CooperativeOfPerson(cooperative_id=record.cooperative_id, version=version)
        for record, version in touched
    ]
    return kind(request_id=uuid.uuid4(), cooperatives=tuple(cooperatives), account_ids=accounts)


async def answer_to(session, event):
    (consumer,) = [
        each for each in SPEC.consumers.consumers if each.queue.endswith(".answer_person")
    ]
    await consumer.handler(event, session)
    await session.flush()
    query = select(OutboxRow.body).where(OutboxRow.topic == NotificationsAnswered.topic)
    body = await session.scalar(query.order_by(OutboxRow.seq.desc()).limit(1))
    return orjson.loads(body)


async def contact_of(session, record):
    query = select(audience.c.contact_sealed)
    return await session.scalar(query.where(audience.c.cooperative_id == record.cooperative_id))


async def test_access_shows_the_contact_sealed_and_nothing_in_clear(api):
    record, account = a_record(contact_sealed=sealed()), uuid.uuid4()
    async with api.sessions.begin() as session:
        await usecases.store_cooperatives(session, [record])
        state = {"cooperative_id": record.cooperative_id, "seq": 1, "account_id": account}
        await session.execute(insert(alert_state).values({**state, "state": "read"}))

        event = a_request(PersonAccessRequested, (record, 1), accounts=(account,))
        answer = await answer_to(session, event)

    held = SEALER.open(answer["report_sealed"])
    assert [each["contact"] for each in held["contacts"]] == [CONTACT]
    assert [each["state"] for each in held["alerts_read"]] == ["read"]
    assert CONTACT["email"] not in orjson.dumps(answer).decode()


async def test_a_contact_that_no_key_opens_is_reported_as_unreadable_beside_the_others(api):
    lost = a_record(contact_sealed=Sealer([Fernet.generate_key().decode()]).seal(CONTACT))
    record = a_record(contact_sealed=sealed())
    async with api.sessions.begin() as session:
        await usecases.store_cooperatives(session, [lost, record])

        answer = await answer_to(session, a_request(PersonAccessRequested, (lost, 1), (record, 1)))

    held = {
        each["cooperative_id"]: each["contact"]
        for each in SEALER.open(answer["report_sealed"])["contacts"]
    }
    assert "TAAWON_SEAL_KEYS" in held[str(lost.cooperative_id)]["unreadable"]
    assert held[str(record.cooperative_id)] == CONTACT


@pytest.mark.parametrize("kind", [PersonErasureRequested, PersonRectified])
async def test_nothing_is_reported_as_done_before_the_newer_record_arrives(session, kind):
    record = a_record(contact_sealed=sealed())
    await usecases.store_cooperatives(session, [record])

    with pytest.raises(AudienceBehind):
        await answer_to(session, a_request(kind, (record, 2)))

    await usecases.store_cooperatives(session, [record.model_copy(update={"version": 2})])
    assert (await answer_to(session, a_request(kind, (record, 2))))["counts"]["audience"] == 1


async def test_an_erasure_deletes_the_contact_and_the_read_marks_of_the_account(session):
    record, account = a_record(contact_sealed=sealed()), uuid.uuid4()
    gone = record.model_copy(update={"version": 2, "contact_sealed": None})
    await usecases.store_cooperatives(session, [record])
    await usecases.store_cooperatives(session, [gone])
    state = {"cooperative_id": record.cooperative_id, "seq": 1, "account_id": account}
    await session.execute(insert(alert_state).values({**state, "state": "read"}))

    event = a_request(PersonErasureRequested, (record, 2), accounts=(account,))
    first, second = await answer_to(session, event), await answer_to(session, event)

    assert (first["counts"]["alert_state"], second["counts"]["alert_state"]) == (1, 0)
    assert await contact_of(session, record) is None
    theirs = alert_state.c.account_id == account
    assert await session.scalar(select(func.count()).select_from(alert_state).where(theirs)) == 0


async def test_a_report_that_is_given_after_the_erasure_was_requested_is_erased(api):
    """The service was down: it answers the access first, while the erasure waits behind it."""
    record = a_record(contact_sealed=sealed())
    gone = record.model_copy(update={"version": 2, "contact_sealed": None})
    access = a_request(PersonAccessRequested, (record, 1))
    request = a_request(PersonErasureRequested, (record, 2))
    async with api.sessions.begin() as session:
        await usecases.store_cooperatives(session, [record])
        report = await answer_to(session, access)
        await usecases.store_cooperatives(session, [gone])

        await answer_to(session, request)

        newer_report = await answer_to(session, a_request(PersonAccessRequested, (gone, 2)))
        kept = await report_of(session, access), await report_of(session, request)
        cleaned = orjson.loads(await erasure.cleaned(session, orjson.dumps(report)))
        newer_cleaned = orjson.loads(await erasure.cleaned(session, orjson.dumps(newer_report)))
    assert datetime.fromisoformat(report["occurred_at"]) > request.occurred_at
    assert report["report_sealed"] is not None
    assert (*kept, cleaned["report_sealed"]) == (None, None, None)
    assert newer_cleaned["report_sealed"] == newer_report["report_sealed"] is not None


async def report_of(session, event):
    """The sealed report of an answer as the outbox still keeps it."""
    named = func.position(literal(str(event.request_id).encode()).op("IN")(OutboxRow.body)) > 0
    body = await session.scalar(select(OutboxRow.body).where(named))
    return orjson.loads(body)["report_sealed"]


async def test_an_old_record_brings_no_contact_back_even_to_an_emptied_audience(session):
    old = a_record(contact_sealed=sealed())
    gone = old.model_copy(update={"version": 2, "contact_sealed": None})
    await usecases.store_cooperatives(session, [gone])
    await answer_to(session, a_request(PersonErasureRequested, (old, 2)))
    await session.execute(delete(audience).where(audience.c.cooperative_id == old.cooperative_id))

    await usecases.store_cooperatives(session, [old])
    before = await contact_of(session, old)
    new = old.model_copy(update={"version": 3})
    await usecases.store_cooperatives(session, [new])

    assert before is None
    assert await contact_of(session, old) == new.contact_sealed


async def test_more_than_an_event_may_hold_is_answered_in_parts(api):
    record, account, count = a_record(contact_sealed=sealed()), uuid.uuid4(), 12_000
    state = {"cooperative_id": record.cooperative_id, "account_id": account, "state": "read"}
    async with api.sessions.begin() as session:
        await usecases.store_cooperatives(session, [record])
        await session.execute(
            insert(alert_state), [{**state, "seq": number} for number in range(1, count + 1)]
        )

        await answer_to(session, a_request(PersonAccessRequested, (record, 1), accounts=(account,)))
        query = select(OutboxRow.body).where(OutboxRow.topic == NotificationsAnswered.topic)
        bodies = list(await session.scalars(query.order_by(OutboxRow.seq)))

    answers = [NotificationsAnswered.model_validate_json(body) for body in bodies]
    held = joined(SEALER.open(each.report_sealed) for each in answers)
    assert [each.part for each in answers] == list(range(1, len(answers) + 1))
    assert max(map(len, bodies)) <= MOST_EVENT_BYTES < sum(map(len, bodies))
    assert sorted(each["alert"] for each in held["alerts_read"]) == list(range(1, count + 1))
    assert [each["contact"] for each in held["contacts"]] == [CONTACT]
