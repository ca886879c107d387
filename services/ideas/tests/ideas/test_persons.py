"""Requests of persons: access lists the person's ideas, an erasure deletes the unread ones."""

from __future__ import annotations

import uuid

import orjson
from sqlalchemy import select

from ideas.ideas import handlers
from ideas.ideas.domain import Idea, State
from ideas.ideas.models import ideas
from shared.contracts.ideas import IdeasAnswered
from shared.contracts.registry import PersonAccessRequested, PersonErasureRequested
from shared.kernel.data.tables import AuditRow, OutboxRow

from .builders import AUTHOR, COOPERATIVE, MODERATOR, NOON, an_idea


async def answered(session, event):
    (consumer,) = [r for r in handlers.consumers.consumers if r.queue.endswith(".answer_person")]
    await consumer.handler(event, session)
    await session.flush()
    query = select(OutboxRow.body).where(OutboxRow.topic == IdeasAnswered.topic)
    body = await session.scalar(query.order_by(OutboxRow.seq.desc()).limit(1))
    return orjson.loads(body)


def of_the_author(kind):
    return kind(request_id=uuid.uuid4(), account_ids=(AUTHOR,))


async def stored(session, *written: Idea):
    session.add_all(written)
    await session.flush()
    return [str(idea.id) for idea in written]


async def test_access_lists_the_ideas_of_the_person_and_none_of_their_words(api):
    async with api.sessions.begin() as session:
        mine = [an_idea(), an_idea(author_id=MODERATOR, on_behalf_of=AUTHOR)]
        theirs = await stored(session, *mine)
        await stored(session, an_idea(author_id=MODERATOR))

        answer = await answered(session, of_the_author(PersonAccessRequested))

    assert {each["record_id"] for each in answer["records"]} == set(theirs)
    assert {(each["kind"], each["state"]) for each in answer["records"]} == {("idea", "draft")}
    assert answer["counts"]["idea"] == 2
    assert mine[0].content.title.fr not in orjson.dumps(answer).decode()


async def test_an_erasure_deletes_what_nobody_else_was_to_read_and_nothing_more(api):
    unread = [
        an_idea(),
        an_idea(state=State.WITHDRAWN),
        an_idea(author_id=MODERATOR, on_behalf_of=AUTHOR),
    ]
    read = [
        an_idea(state=State.SUBMITTED),
        an_idea(state=State.PUBLISHED, published_at=NOON),
        an_idea(state=State.WITHDRAWN, published_at=NOON),
        an_idea(on_behalf_of=COOPERATIVE),
        an_idea(author_id=MODERATOR),
    ]
    async with api.sessions.begin() as session:
        gone, stays = await stored(session, *unread), await stored(session, *read)

        first = await answered(session, of_the_author(PersonErasureRequested))
        second = await answered(session, of_the_author(PersonErasureRequested))

        left = {str(each) for each in await session.scalars(select(ideas.c.id))}
        deleted = AuditRow.action == "idea deleted with its author"
        noted = set(await session.scalars(select(AuditRow.subject_id).where(deleted)))
    assert (set(gone) & left, set(stays) - left) == (set(), set())
    assert (first["counts"]["idea"], second["counts"]["idea"]) == (3, 0)
    assert {str(each) for each in noted} == set(gone)
