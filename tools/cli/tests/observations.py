"""What the doctor may have seen: a system in which nothing is wrong, and changes to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cli.diagnosis.observations import (
    BrokerObservation,
    Observations,
    QueueObservation,
    ServiceObservation,
)
from shared.kernel.admin.schemas import (
    ConsumersState,
    DatabaseState,
    OutboxState,
    RelayState,
    Status,
)

QUEUE = "masonry.lay_stones"
CHECKS = {"database": True, "consumers": True, "not_paused": True}


def status(**changes: Any) -> Status:
    healthy = Status(
        service="masonry",
        version="1.0",
        revision="walls",
        newest_revision="walls",
        database=DatabaseState(answers=True, clock_skew_seconds=0.01),
        outbox=OutboxState(pending=3, oldest_seconds=0.5),
        dead_letters={},
        consumers=ConsumersState(consuming=True, paused=False, queues=[QUEUE]),
        relay=RelayState(holds_lock=True, held_seconds=0.01),
        seals=True,
    )
    return healthy.model_copy(update=changes)


def service(**changes: Any) -> ServiceObservation:
    healthy = ServiceObservation(
        "masonry", "http://masonry:8000", checks=CHECKS, status=status(), log="/run/masonry.log"
    )
    return replace(healthy, **changes)


def queues(**changes: QueueObservation | None) -> tuple[QueueObservation, ...]:
    healthy = {
        "consumer": QueueObservation(QUEUE, messages=10, consumers=1),
        "dead": QueueObservation(f"{QUEUE}.dead", consumers=1),
        "retry": QueueObservation("taawon.retry-tier.5000ms", consumers=0),
        "unrouted": QueueObservation("taawon.unrouted", consumers=0),
    }
    return tuple(queue for queue in (healthy | changes).values() if queue is not None)


def seen(*services: ServiceObservation, **changes: Any) -> Observations:
    healthy = Observations(
        services or (service(),),
        consumers=(QUEUE,),
        broker=BrokerObservation(queues()),
        signing_keys=2,
        keys_url="http://registry/keys",
        sealing=frozenset({"masonry"}),
    )
    return replace(healthy, **changes)


def with_status(**changes: Any) -> Observations:
    return seen(service(status=status(**changes)))


def with_queues(**changes: QueueObservation | None) -> Observations:
    return seen(broker=BrokerObservation(queues(**changes)))
