"""Events that any service may publish: consumed under every name, but from its owner alone."""

from __future__ import annotations

import uuid
from typing import ClassVar

import aiormq.exceptions
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from devkit.pytest_plugin import TestDatabases, Vhost, eventually
from shared.contracts.base import Event
from shared.kernel.data.tables import DeadLetterRow
from shared.kernel.messaging.consumers import Consumers

from .harness import EventSource, message_of, post, running_service


class WorkFinished(Event):
    """Some service has finished some work."""

    topic: ClassVar[str] = "service.work.finished.v1"
    any_service: ClassVar[bool] = True
    aggregate_field: ClassVar[str] = "work_id"

    work_id: uuid.UUID


class WallFinished(WorkFinished):
    """A wall was finished, says masonry."""

    topic: ClassVar[str] = "masonry.work.finished.v1"


class RoofFinished(WorkFinished):
    """A roof was finished, says carpentry."""

    topic: ClassVar[str] = "carpentry.work.finished.v1"


def finished_work_consumer() -> tuple[Consumers, list[WorkFinished]]:
    consumers, received = Consumers("carpentry"), list[WorkFinished]()

    async def note_work(event: WorkFinished, session: AsyncSession) -> None:
        """Note the finished work."""
        received.append(event)

    consumers.on(WorkFinished, queue="note_work")(note_work)
    return consumers, received


@pytest.mark.parametrize(
    ("topic", "is_one"),
    [
        ("masonry.work.finished.v1", True),
        ("a_new_one.work.finished.v1", True),
        ("masonry.work.finished.v2", False),
        ("masonry.wall.finished.v1", False),
        ("", False),
        (None, False),
    ],
)
def test_the_part_of_a_topic_after_the_service_says_whether_an_event_is_one_of_them(topic, is_one):
    assert WorkFinished.is_type(topic) is is_one


def test_an_event_of_one_service_has_its_own_topic_alone():
    assert WallFinished.routing_key() == "masonry.work.finished.v1"
    assert not WallFinished.is_type(RoofFinished.topic)


async def test_an_event_that_a_service_publishes_under_its_own_name_is_consumed(
    source: EventSource, vhost: Vhost, databases: TestDatabases
):
    consumers, received = finished_work_consumer()
    wall = WallFinished(work_id=uuid.uuid4())

    async with running_service(
        consumers, vhost.admin_url, vhost.url("carpentry"), databases.kernel()
    ):
        await source.publish(wall)
        await eventually(lambda: received, within=30)

    assert [(event.event_id, event.work_id) for event in received] == [
        (wall.event_id, wall.work_id)
    ]


async def test_no_service_publishes_under_the_name_of_another(
    vhost: Vhost, databases: TestDatabases
):
    consumers, received = finished_work_consumer()
    roof = RoofFinished(work_id=uuid.uuid4())
    forged = message_of(roof)

    async with running_service(
        consumers, vhost.admin_url, vhost.url("carpentry"), databases.kernel()
    ) as receiver:
        with pytest.raises(aiormq.exceptions.ChannelAccessRefused):
            await post(vhost.url("masonry"), forged, roof.topic)
        # The broker lets it pass where the routing key is the sender's own; the type is not.
        await post(vhost.url("masonry"), forged, WallFinished.topic)

        async def refused() -> str | None:
            async with receiver.sessions() as session:
                return await session.scalar(select(DeadLetterRow.error))

        error = await eventually(refused, within=30)

    assert (received, error.startswith("WrongMessage")) == ([], True)
