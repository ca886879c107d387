"""Events that any service may emit: taken under whatever name, from nobody but its owner."""

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

from .harness import Yard, message_of, post, running_service


class WorkFinished(Event):
    """Some trade has finished some work."""

    topic: ClassVar[str] = "service.work.finished.v1"
    any_service: ClassVar[bool] = True
    aggregate_field: ClassVar[str] = "work_id"

    work_id: uuid.UUID


class WallFinished(WorkFinished):
    """A wall was finished, say the masons."""

    topic: ClassVar[str] = "masonry.work.finished.v1"


class RoofFinished(WorkFinished):
    """A roof was finished, say the carpenters."""

    topic: ClassVar[str] = "carpentry.work.finished.v1"


def finished_work_consumer() -> tuple[Consumers, list[WorkFinished]]:
    consumers, received = Consumers("carpentry"), list[WorkFinished]()

    async def note_work(event: WorkFinished, session: AsyncSession) -> None:
        """Whatever is finished is noted."""
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
def test_a_topic_is_one_of_them_by_what_comes_after_the_service(topic, is_one):
    assert WorkFinished.is_type(topic) is is_one


def test_an_event_of_one_service_has_its_own_topic_alone():
    assert WallFinished.routing_key() == "masonry.work.finished.v1"
    assert not WallFinished.is_type(RoofFinished.topic)


async def test_what_a_service_emits_under_its_own_name_is_taken(
    kernel: Yard, site: Vhost, databases: TestDatabases
):
    consumers, received = finished_work_consumer()
    wall = WallFinished(work_id=uuid.uuid4())

    async with running_service(
        consumers, site.admin_url, site.url("carpentry"), databases.kernel()
    ):
        await kernel.publish(wall)
        await eventually(lambda: received, within=30)

    assert [(event.event_id, event.work_id) for event in received] == [
        (wall.event_id, wall.work_id)
    ]


async def test_nobody_emits_under_the_name_of_another(site: Vhost, databases: TestDatabases):
    consumers, received = finished_work_consumer()
    roof = RoofFinished(work_id=uuid.uuid4())
    forged = message_of(roof)

    async with running_service(
        consumers, site.admin_url, site.url("carpentry"), databases.kernel()
    ) as receiver:
        with pytest.raises(aiormq.exceptions.ChannelAccessRefused):
            await post(site.url("masonry"), forged, roof.topic)
        # Let in by the broker where the routing key is its own, the type is still another's.
        await post(site.url("masonry"), forged, WallFinished.topic)

        async def refused() -> str | None:
            async with receiver.sessions() as session:
                return await session.scalar(select(DeadLetterRow.error))

        error = await eventually(refused, within=30)

    assert (received, error.startswith("WrongMessage")) == ([], True)
