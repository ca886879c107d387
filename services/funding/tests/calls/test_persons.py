"""Requests of persons: access lists the calls that an account wrote, an erasure leaves them."""

from __future__ import annotations

import uuid

import orjson
from sqlalchemy import select

from funding.calls import handlers
from funding.calls.models import calls
from shared.contracts.funding import FundingAnswered
from shared.contracts.registry import PersonAccessRequested, PersonErasureRequested
from shared.kernel.data.tables import OutboxRow

from .builders import FUNDER, a_call


async def answered(session, event):
    (consumer,) = [r for r in handlers.consumers.consumers if r.queue.endswith(".answer_person")]
    await consumer.handler(event, session)
    await session.flush()
    query = select(OutboxRow.body).where(OutboxRow.topic == FundingAnswered.topic)
    body = await session.scalar(query.order_by(OutboxRow.seq.desc()).limit(1))
    return orjson.loads(body)


async def test_access_lists_the_calls_that_the_account_wrote_and_an_erasure_leaves_them(api):
    mine, other = a_call(), a_call(created_by=uuid.uuid4())
    async with api.sessions.begin() as session:
        session.add_all([mine, other])
        await session.flush()
        request = {"request_id": uuid.uuid4(), "account_ids": (FUNDER,)}

        access = await answered(session, PersonAccessRequested(**request))
        erasure = await answered(session, PersonErasureRequested(**request))

        left = set(await session.scalars(select(calls.c.id)))
    (record,) = access["records"]
    assert (record["record_id"], record["kind"], record["state"]) == (str(mine.id), "call", "draft")
    assert erasure["records"] == []
    assert {mine.id, other.id} <= left
