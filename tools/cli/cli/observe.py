"""Looks at a running system from outside; changes and starts nothing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from pydantic import ValidationError

from shared import json_text
from shared.kernel.admin.schemas import SealedOut, Status
from shared.kernel.installed import installed_services
from shared.kernel.messaging.addresses import PARTNER_VHOST, VHOST, dead_queue
from shared.kernel.messaging.management import Management, ManagementRefused
from shared.kernel.waiting import wait_until

from .client import OperatorClient, ServiceResponse
from .diagnosis.observations import (
    BrokerObservation,
    Observations,
    QueueObservation,
    ServiceObservation,
)
from .local_stack import LocalStack

KEYS = "/.well-known/jwks.json"
STATISTICS_SECONDS = 7.0
"""RabbitMQ collects its counts every five seconds; a service keeps what it measured as long."""


async def observe(client: OperatorClient, vhost: str = VHOST) -> Observations:
    """Services and signing keys, looked at together; then the queues that these services need."""
    services, (sealing, sealed, silent), (keys_url, keys) = await asyncio.gather(
        see_services(client), _see_sealed(client), _see_keys(client)
    )
    if any(_seems_without_fanout(one) for one in services):
        await asyncio.sleep(STATISTICS_SECONDS)
        services = await see_services(client)
    consumers = consumer_queues_of(services)
    broker = await asyncio.to_thread(_see_broker, client, vhost, consumers)
    return Observations(
        services=tuple(
            replace(one, sealed=sealed.get(one.name), not_counted=silent.get(one.name))
            for one in services
        ),
        consumers=consumers,
        broker=broker,
        signing_keys=keys,
        keys_url=keys_url,
        sealing=sealing,
        stopped=client.stack.stopped() if client.stack else (),
        crash_loops=client.stack.crash_loops() if client.stack else {},
        not_named=tuple(name for name in installed_services() if name not in client.urls),
        here=client.stack is not None,
    )


def _seems_without_fanout(one: ServiceObservation) -> bool:
    """A fan-out takes seconds, so a subject without one is looked at twice."""
    return (
        one.status is not None and one.status.measured.get("taawon_subjects_without_fanout", 0) > 0
    )


def consumer_queues_of(services: Iterable[ServiceObservation]) -> tuple[str, ...]:
    """The queues that must exist: a service knows its own; for a silent one, what is installed."""
    found: list[str] = []
    for one in services:
        found += one.status.consumers.queues if one.status else _installed(one.name)
    return tuple(found)


def _installed(service: str) -> list[str]:
    from shared.kernel.service.spec import spec_of  # loads the service: seldom needed

    if service not in installed_services():
        return []
    return [consumer.queue for consumer in spec_of(service).all_consumers]


async def see_services(client: OperatorClient) -> tuple[ServiceObservation, ...]:
    """Each service: whether it lives, is ready, and what it reports of itself."""
    alive, ready, statuses = await asyncio.gather(
        client.ask("/healthz", signed=False),
        client.ask("/readyz", signed=False),
        _ask_status(client),
    )
    return tuple(
        _service(client, name, up=alive[name].ok, ready=ready[name], response=statuses[name])
        for name in client.urls
    )


async def _ask_status(client: OperatorClient) -> dict[str, ServiceResponse]:
    if client.token is None:
        return dict.fromkeys(client.urls, ServiceResponse(0, {"detail": client.no_token}))
    return await client.ask("/status")


def _service(
    client: OperatorClient,
    name: str,
    *,
    up: bool,
    ready: ServiceResponse,
    response: ServiceResponse,
) -> ServiceObservation:
    status, refused = _status(response)
    checks = _part(ready, "checks") if up else {}
    log = client.stack.log_of(name) if client.stack else None
    last_line = None
    if log is not None and not up and log.exists():
        last_line = _last_line(log.read_text(errors="replace"))
    return ServiceObservation(
        name=name,
        url=client.urls[name],
        up=up,
        checks=checks,
        causes=_part(ready, "causes") if up else {},
        unready=None if checks else ready.trouble,
        status=status if up else None,
        refused=refused,
        wants_token=client.token is None or response.status in (401, 403),
        clock_ahead_seconds=_clock_ahead(status, response),
        log=str(log) if log else None,
        last_line=last_line,
    )


def _clock_ahead(status: Status | None, response: ServiceResponse) -> float | None:
    """Seconds by which a service's clock differs from ours, beyond the time its answer took."""
    if status is None or status.at is None:
        return None
    at = status.at.timestamp()
    return at - min(max(at, response.asked), response.answered)


def _part(ready: ServiceResponse, name: str) -> dict[str, Any]:
    found = ready.body.get(name) if isinstance(ready.body, dict) else None
    return found if isinstance(found, dict) else {}


def _status(response: ServiceResponse) -> tuple[Status | None, str | None]:
    if not response.ok:
        return None, response.trouble
    try:
        return Status.model_validate(response.body), None
    except ValidationError:
        return None, "it answers in a form that this command does not know"


def _last_line(text: str) -> str | None:
    """What happened last: the message of a line of ours, else the line as it is."""
    lines = text.rstrip().splitlines()
    if not lines:
        return None
    try:
        return str(json_text.loads(lines[-1].encode())["event"])[:300]
    except (ValueError, KeyError, TypeError):
        return lines[-1][:300]


async def _see_sealed(
    client: OperatorClient,
) -> tuple[frozenset[str], dict[str, SealedOut], dict[str, str]]:
    """Which services seal, under which keys their values rest, and why one did not say so.

    One that holds nothing sealed has no such route.
    """
    if client.token is None:
        return frozenset(), {}, {}
    answers = {
        name: answer
        for name, answer in (await client.ask("/sealed")).items()
        if answer.status != 404
    }
    found, silent = {}, {}
    for name, answer in answers.items():
        try:
            found[name] = SealedOut.model_validate(answer.body if answer.ok else None)
        except ValidationError:
            silent[name] = answer.trouble
    return frozenset(answers), found, silent


async def _see_keys(client: OperatorClient) -> tuple[str | None, int | None]:
    """Where the registry's public keys are, and how many; None where it is not asked or silent."""
    if "registry" not in client.urls:
        return None, None
    only = OperatorClient({"registry": client.urls["registry"]}, client.stack)
    answer = (await only.ask(KEYS, signed=False))["registry"]
    url = f"{client.urls['registry']}{KEYS}"
    if not answer.ok or not isinstance(answer.body, dict):
        return url, None
    return url, len(answer.body.get("keys", []))


async def glance(
    client: OperatorClient, vhost: str = VHOST
) -> tuple[tuple[ServiceObservation, ...], BrokerObservation]:
    """Services and queues as they seem just now; the broker's counts may be seconds old."""
    services, broker = await asyncio.gather(
        see_services(client), asyncio.to_thread(_see_broker, client, vhost)
    )
    return services, broker or BrokerObservation(trouble="TAAWON_RABBIT_MANAGEMENT_URL is not set")


def _see_broker(
    client: OperatorClient, vhost: str, settled: Sequence[str] = ()
) -> BrokerObservation | None:
    """None where no management API is known. Queues of `settled` are read until consumed."""
    try:
        management = _management(client.stack)
        if management is None:
            return None if client.stack is None else BrokerObservation(trouble="it does not run")
        return BrokerObservation(
            _settled_queues(management, vhost, settled),
            queues(management, PARTNER_VHOST, or_none=True),
            alarms=alarms(management),
        )
    except (OSError, ManagementRefused) as error:
        return BrokerObservation(trouble=str(error)[:300] or type(error).__name__)


def alarms(management: Management) -> tuple[str, ...]:
    """What stops all publishing, and at which node: `memory at rabbit@host`."""
    return tuple(
        f"{what} at {node['name']}"
        for node in management.get("nodes")
        for what, flag in (("memory", "mem_alarm"), ("disk", "disk_free_alarm"))
        if node.get(flag)
    )


def _settled_queues(
    management: Management, vhost: str, consumers: Sequence[str]
) -> tuple[QueueObservation, ...]:
    """The broker's counts may be seconds old, so a queue without consumer is looked at again."""
    wanted = {*consumers, *map(dead_queue, consumers)}
    seen: tuple[QueueObservation, ...] = ()

    def all_consumed() -> bool:
        nonlocal seen
        seen = queues(management, vhost)
        return all(queue.consumers != 0 for queue in seen if queue.name in wanted)

    wait_until(all_consumed, within=STATISTICS_SECONDS, every=0.5)
    return seen


def _management(stack: LocalStack | None) -> Management | None:
    """The one that the environment names, wherever the services are; else that of the stack."""
    given = os.environ.get("TAAWON_RABBIT_MANAGEMENT_URL")
    if given:
        return Management.of_url(given)
    return None if stack is None else stack.management()


def queues(
    management: Management, vhost: str, *, or_none: bool = False
) -> tuple[QueueObservation, ...]:
    """Every queue of the virtual host; with `or_none` none where there is no such host."""
    try:
        found = management.get(f"queues/{quote(vhost, safe='')}")
    except ManagementRefused as refusal:
        if or_none and refusal.status == 404:
            return ()
        raise
    return tuple(
        QueueObservation(
            queue["name"],
            queue.get("messages", 0),
            queue.get("consumers"),
            queue.get("messages_unacknowledged", 0),
            queue.get("messages_dlx", 0),
        )
        for queue in found
    )
