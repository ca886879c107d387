"""What notifications holds of a person: shown when asked, gone when erased, and kept gone."""

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
from shared.contracts.notifications import NotificationsAnswered
from shared.contracts.persons import CooperativeOfPerson
from shared.contracts.registry import PersonAccessRequested, PersonErasureRequested, PersonRectified
from shared.kernel.data.tables import OutboxRow
from shared.kernel.encryption.sealer import Sealer
from shared.kernel.messaging import erasure

from ..builders import a_record

SEALER = Sealer([pytest_plugin.SEAL_KEY])
CONTACT = {"email": "person@taawon.example"}


def sealed():
    return SEALER.seal(CONTACT)


def asked(kind, *touched, accounts=()):
    cooperatives = [
        CooperativeOfPerson(cooperative_id=record.cooperative_id, version=version)
        for record, version in touched
    ]
    return kind(request_id=uuid.uuid4(), cooperatives=tuple(cooperatives), account_ids=accounts)


async def answered(session, event):
    (consumer,) = [r for r in SPEC.consumers.consumers if r.queue.endswith(".answer_person")]
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

        event = asked(PersonAccessRequested, (record, 1), accounts=(account,))
        answer = await answered(session, event)

    held = SEALER.open(answer["report_sealed"])
    assert [each["contact"] for each in held["contacts"]] == [CONTACT]
    assert [each["state"] for each in held["alerts_read"]] == ["read"]
    assert CONTACT["email"] not in orjson.dumps(answer).decode()


async def test_a_contact_that_no_key_opens_is_named_unreadable_and_the_others_are_shown(api):
    lost = a_record(contact_sealed=Sealer([Fernet.generate_key().decode()]).seal(CONTACT))
    record = a_record(contact_sealed=sealed())
    async with api.sessions.begin() as session:
        await usecases.store_cooperatives(session, [lost, record])

        answer = await answered(session, asked(PersonAccessRequested, (lost, 1), (record, 1)))

    held = {
        each["cooperative_id"]: each["contact"]
        for each in SEALER.open(answer["report_sealed"])["contacts"]
    }
    assert "TAAWON_SEAL_KEYS" in held[str(lost.cooperative_id)]["unreadable"]
    assert held[str(record.cooperative_id)] == CONTACT


@pytest.mark.parametrize("kind", [PersonErasureRequested, PersonRectified])
async def test_nothing_is_called_done_before_the_newer_record_is_received(session, kind):
    record = a_record(contact_sealed=sealed())
    await usecases.store_cooperatives(session, [record])

    with pytest.raises(AudienceBehind):
        await answered(session, asked(kind, (record, 2)))

    await usecases.store_cooperatives(session, [record.model_copy(update={"version": 2})])
    assert (await answered(session, asked(kind, (record, 2))))["counts"]["audience"] == 1


async def test_an_erasure_takes_the_contact_and_what_the_account_read(session):
    record, account = a_record(contact_sealed=sealed()), uuid.uuid4()
    gone = record.model_copy(update={"version": 2, "contact_sealed": None})
    await usecases.store_cooperatives(session, [record])
    await usecases.store_cooperatives(session, [gone])
    state = {"cooperative_id": record.cooperative_id, "seq": 1, "account_id": account}
    await session.execute(insert(alert_state).values({**state, "state": "read"}))

    event = asked(PersonErasureRequested, (record, 2), accounts=(account,))
    first, second = await answered(session, event), await answered(session, event)

    assert (first["counts"]["alert_state"], second["counts"]["alert_state"]) == (1, 0)
    assert await contact_of(session, record) is None
    theirs = alert_state.c.account_id == account
    assert await session.scalar(select(func.count()).select_from(alert_state).where(theirs)) == 0


async def test_a_report_that_was_answered_after_the_erasure_was_asked_for_is_erased(api):
    """The service was down: it takes the access first, and the erasure waits behind it."""
    record = a_record(contact_sealed=sealed())
    gone = record.model_copy(update={"version": 2, "contact_sealed": None})
    access = asked(PersonAccessRequested, (record, 1))
    request = asked(PersonErasureRequested, (record, 2))
    async with api.sessions.begin() as session:
        await usecases.store_cooperatives(session, [record])
        alerted = await answered(session, access)
        await usecases.store_cooperatives(session, [gone])

        await answered(session, request)

        newer = await answered(session, asked(PersonAccessRequested, (gone, 2)))
        kept = await report_of(session, access), await report_of(session, request)
        late = orjson.loads(await erasure.cleaned(session, orjson.dumps(alerted)))
        fresh = orjson.loads(await erasure.cleaned(session, orjson.dumps(newer)))
    assert datetime.fromisoformat(alerted["occurred_at"]) > request.occurred_at
    assert alerted["report_sealed"] is not None
    assert (*kept, late["report_sealed"]) == (None, None, None)
    assert fresh["report_sealed"] == newer["report_sealed"] is not None


async def report_of(session, event):
    """What the log still holds of the answer."""
    named = func.position(literal(str(event.request_id).encode()).op("IN")(OutboxRow.body)) > 0
    body = await session.scalar(select(OutboxRow.body).where(named))
    return orjson.loads(body)["report_sealed"]


async def test_an_old_record_brings_no_contact_back_even_to_an_emptied_audience(session):
    old = a_record(contact_sealed=sealed())
    gone = old.model_copy(update={"version": 2, "contact_sealed": None})
    await usecases.store_cooperatives(session, [gone])
    await answered(session, asked(PersonErasureRequested, (old, 2)))
    await session.execute(delete(audience).where(audience.c.cooperative_id == old.cooperative_id))

    await usecases.store_cooperatives(session, [old])
    before = await contact_of(session, old)
    new = old.model_copy(update={"version": 3})
    await usecases.store_cooperatives(session, [new])

    assert before is None
    assert await contact_of(session, old) == new.contact_sealed
