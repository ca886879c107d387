"""Ending somebody's access reaches every process by event: tokens, and what was made with them."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import aio_pika
from aiormq.exceptions import AMQPConnectionError

from devkit.stack_layout import SERVICES

from .request_bodies import unique
from .stories import Partner, PartnerQueue, Person, Story

PASSWORD = "correct horse battery"


async def is_refused(story: Story, service: str, path: str, who: Person) -> bool:
    """Whether the service takes the token no more; it answers nothing else than yes or revoked."""
    answer = await story.ask(service, "GET", path, who=who)
    assert answer.status_code in {200, 401}, answer.text
    return answer.status_code == 401 and answer.json()["code"] == "token-revoked"


async def refused_everywhere(story: Story, who: Person) -> None:
    for service in SERVICES:
        await story.eventually(lambda service=service: is_refused(story, service, "/status", who))


async def opens(partner_queue: PartnerQueue) -> bool:
    try:
        async with await aio_pika.connect(partner_queue.url):
            return True
    except AMQPConnectionError:
        return False


async def test_a_disabled_operator_acts_nowhere_and_signs_in_anew_once_enabled(
    story: Story,
) -> None:
    email = f"{unique('operator')}@taawon.example"
    body = {"email": email, "password": PASSWORD, "roles": ["operator"]}
    path = f"/accounts/{(await story.post('registry', '/accounts', body))['account_id']}"
    form = {"grant_type": "password", "username": email, "password": PASSWORD}
    operator = Person(await story.token(form))
    assert not await is_refused(story, "notifications", "/status", operator)

    await story.post("registry", f"{path}/disable")

    await refused_everywhere(story, operator)
    await story.post("registry", f"{path}/enable")
    again = Person(await story.token(form))
    assert not await is_refused(story, "notifications", "/status", again)
    assert await is_refused(story, "notifications", "/status", operator)


async def test_the_partner_queue_of_a_revoked_client_closes_and_opens_for_another(
    story: Story,
) -> None:
    partner = await story.register_partner()
    old = await story.request_partner_queue(partner)
    clients = f"/partners/{partner.slug}/clients"
    (client,) = (await story.get("registry", clients))["items"]
    async with AsyncExitStack() as stack:
        reader = await stack.enter_async_context(await aio_pika.connect(old.url))
        closed = asyncio.Event()
        reader.close_callbacks.add(lambda *_: closed.set())

        revoked = await story.ask("registry", "DELETE", f"{clients}/{client['client_id']}")

        assert revoked.status_code == 204, revoked.text
        await story.eventually(closed.is_set)
    await story.eventually(lambda: is_refused(story, "notifications", "/partner-queue", partner))
    assert not await opens(old)

    made = await story.post("registry", clients, {"label": "second"})
    secret = {name: made[name] for name in ("client_id", "client_secret")}
    form = {"grant_type": "client_credentials"} | secret
    new = await story.request_partner_queue(Partner(await story.token(form), slug=partner.slug))

    assert new.queue == old.queue
    assert await opens(new)
    assert not await opens(old)
