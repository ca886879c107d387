"""A partner is shown where its queue is, and a program that reads it as it is."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest
from pydantic import AnyUrl

from devkit.pytest_plugin import PATIENCE
from notifications.partners.domain.consumer_program import PartnerAddress, consumer_program
from notifications.partners.usecases.partner_queue import PARTNER_VHOST

from ..builders import a_call, opened
from .partners import fed, partner

WHERE = ("host", "port", "tls", "consumer")


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("amqps://amqp.example.org:5671", PartnerAddress("amqp.example.org", 5671, True)),
        ("amqps://amqp.example.org", PartnerAddress("amqp.example.org", 5671, True)),
        ("amqp://127.0.0.1:1234", PartnerAddress("127.0.0.1", 1234, False)),
    ],
)
def test_an_address_says_host_port_and_tls(url, address):
    assert PartnerAddress.of(url) == address


@pytest.mark.parametrize("tls", [True, False])
def test_the_program_is_short_compiles_and_holds_no_password(tls):
    address = PartnerAddress("amqp.example.org", 5671, tls)

    text = consumer_program(address, vhost="partners", queue="p.x.events", username="p-x")

    compile(text, "consumer.py", "exec")
    assert len(text.splitlines()) <= 25
    assert ("create_default_context" in text) is tls
    assert 'os.environ["PASSWORD"]' in text


@pytest.mark.servers
async def test_the_program_reads_the_queue(served, rabbitmq):
    call = a_call()
    await fed(served.sessions, opened(call))
    await served.deliver()
    text = consumer_program(
        PartnerAddress.of(f"amqp://{rabbitmq.found.address}"),
        vhost=PARTNER_VHOST,
        queue=served.partner_queue.queue,
        username=served.partner_queue.username,
    )
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        text,
        env={**os.environ, "PASSWORD": "secret"},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert program.stdout is not None
        line = await asyncio.wait_for(program.stdout.readline(), PATIENCE)
    finally:
        program.kill()
        await program.wait()

    assert line.decode().startswith("1 funding.call.opened.v1 ")
    assert str(call.call_id) in line.decode()


async def test_a_requested_queue_says_where_it_is_and_how_it_is_read(api, tokens):
    known = api.runtime.settings.model_copy(
        update={"partners_address": AnyUrl("amqps://amqp.example.org:5671")}
    )
    unknown = await api.http.post("/partner-queue", headers=partner(tokens, "fm5"))
    api.runtime.settings = known

    made = await api.http.post("/partner-queue", headers=partner(tokens))
    seen = await api.http.get("/partner-queue", headers=partner(tokens))

    assert [unknown.json()[name] for name in WHERE] == [None] * 4
    for answer in (made.json(), seen.json()):
        assert [answer[name] for name in WHERE[:3]] == ["amqp.example.org", 5671, True]
        assert answer["queue"] in answer["consumer"]
    assert made.json()["password"] not in made.json()["consumer"]
