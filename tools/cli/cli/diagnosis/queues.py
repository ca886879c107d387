"""What is wrong with the broker and its queues."""

from __future__ import annotations

from collections.abc import Iterator

from shared.kernel.messaging.addresses import RETRY, UNROUTED, dead_queue

from .observations import Finding, Observations, QueueObservation, Rule, Severity

BACKLOG = 1000
"""Messages that a queue with a consumer may hold while a large import passes."""


def _broker_unknown(seen: Observations) -> Iterator[Finding]:
    if seen.broker is None:
        yield Finding(
            Severity.INFO,
            "broker-not-asked",
            "broker",
            "queues were not looked at: no management API is known",
            "set TAAWON_RABBIT_MANAGEMENT_URL to http://admin:password@host:15672",
        )
    elif seen.broker.trouble is not None:
        yield Finding(
            Severity.ERROR,
            "broker-unreachable",
            "broker",
            f"the broker's management API did not answer: {seen.broker.trouble}",
            "check that RabbitMQ runs, and TAAWON_RABBIT_MANAGEMENT_URL where it is set",
        )


def _queues(seen: Observations) -> dict[str, QueueObservation] | None:
    """By name; None where nothing could be seen, for then nothing is known to be missing."""
    if seen.broker is None or seen.broker.trouble is not None:
        return None
    return {queue.name: queue for queue in seen.broker.queues}


def _queues_missing(seen: Observations) -> Iterator[Finding]:
    queues = _queues(seen)
    if queues is None:
        return
    dead = map(dead_queue, seen.consumers)
    for name in (*seen.consumers, *dead, UNROUTED):
        if name not in queues:
            yield Finding(
                Severity.ERROR,
                "queue-missing",
                name,
                f"the queue {name} does not exist: what should go there reaches nobody",
                "declare every queue: `taawon up` does so, and leaves what runs as it is"
                if seen.here
                else "declare every queue, as an administrator of the vhost, with the program of"
                " the service that consumes; compose does so at each `docker compose up -d`",
                "taawon up" if seen.here else "taawon topology apply",
            )


def _queues_without_consumer(seen: Observations) -> Iterator[Finding]:
    queues = _queues(seen) or {}
    for consumer in seen.consumers:
        for name in (consumer, dead_queue(consumer)):
            queue = queues.get(name)
            if queue is None:
                continue
            if queue.consumers == 0:
                yield _without_consumer(queue)
            elif queue.messages > BACKLOG:
                yield _backlog(queue)


def _without_consumer(queue: QueueObservation) -> Finding:
    return Finding(
        Severity.ERROR,
        "queue-without-consumer",
        queue.name,
        f"nobody consumes {queue.name}, which holds {queue.messages} messages",
        f"start {queue.name.partition('.')[0]}; where it runs, its log says why nobody consumes",
        "taawon status",
    )


def _backlog(queue: QueueObservation) -> Finding:
    return Finding(
        Severity.WARNING,
        "queue-backlog",
        queue.name,
        f"{queue.name} holds {queue.messages} messages",
        "look again in a minute; where the number grows, the log says what takes so long",
        "taawon doctor",
    )


def _queues_waiting(seen: Observations) -> Iterator[Finding]:
    """Messages that stand aside: they are where they should be, and are worth a look."""
    for name, queue in (_queues(seen) or {}).items():
        if not queue.messages:
            continue
        if name == UNROUTED:
            yield Finding(
                Severity.INFO,
                "unrouted",
                name,
                f"{queue.messages} events of the last 7 days had no consumer",
                "nothing, unless a consumer is missing: docs/events.md says who consumes",
            )
        elif name.startswith(f"{RETRY}."):
            yield Finding(
                Severity.WARNING,
                "retries-waiting",
                name,
                f"{queue.messages} messages wait in {name} for another attempt",
                "look in the logs for `message to be tried again`: the line names the error",
            )


def _retry_tiers_stuck(seen: Observations) -> Iterator[Finding]:
    """A tier that is older than its pause: a message leaves it once its destination has taken it.

    That takes milliseconds, and beyond 32 such messages (RabbitMQ 3.10) all others wait as well.
    """
    for name, queue in (_queues(seen) or {}).items():
        if name.startswith(f"{RETRY}.") and queue.leaving:
            yield Finding(
                Severity.ERROR,
                "retry-tier-stuck",
                name,
                f"{queue.leaving} messages have waited in {name} for longer than its pause: what"
                " failed once is not tried again",
                "the exchange taawon.retry or a queue behind it takes no message, as the log of"
                " RabbitMQ says: declare them again; RabbitMQ tries anew within three minutes",
                "taawon topology apply",
            )


def _partners_behind(seen: Observations) -> Iterator[Finding]:
    for queue in seen.broker.partner_queues if seen.broker else ():
        if queue.messages and queue.consumers == 0:
            yield Finding(
                Severity.INFO,
                "partner-behind",
                queue.name,
                f"a partner has not fetched {queue.messages} events of its queue {queue.name}",
                "nothing of ours is wrong; write to the partner where the number keeps growing",
            )


ROOM = {
    "memory": "give RabbitMQ more memory, or see which queue fills it with `taawon status`",
    "disk": "make room on the disk of RabbitMQ",
}


def _broker_alarms(seen: Observations) -> Iterator[Finding]:
    for alarm in seen.broker.alarms if seen.broker else ():
        kind, _, node = alarm.partition(" at ")
        yield Finding(
            Severity.ERROR,
            "broker-alarm",
            "broker",
            f"RabbitMQ takes no message: the {kind} alarm of {node} is on",
            f"{ROOM[kind]}; events wait in the outboxes meanwhile and leave by themselves",
            "rabbitmq-diagnostics alarms",
        )


RULES: tuple[Rule, ...] = (
    _broker_unknown,
    _broker_alarms,
    _queues_missing,
    _queues_without_consumer,
    _queues_waiting,
    _retry_tiers_stuck,
    _partners_behind,
)
