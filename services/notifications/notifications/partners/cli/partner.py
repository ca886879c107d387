"""`taawon partner`: the provisioner, closing a queue, and reading one as a partner does."""

from __future__ import annotations

import asyncio
from typing import Annotated

import aio_pika
import orjson
import typer

from notifications.settings import NotificationsSettings
from shared.errors import Invalid
from shared.kernel.auth.local_operator import LOCAL_OPERATOR
from shared.kernel.commands.numbers import decimal, whole_number
from shared.kernel.commands.service_database import run_with_sessions
from shared.kernel.commands.settings import own_settings, settings_of
from shared.kernel.commands.terminal import say
from shared.kernel.data.database import AnyRow, Sessions, engine_of, make_sessions
from shared.kernel.observability import logs
from shared.kernel.service.watchdog import watched
from shared.sentences import Sentence

from ..domain.consumer_program import PartnerAddress, consumer_program
from ..jobs import run_provisioner
from ..queries.partners import get_partner_queue
from ..usecases.partner_queue import PARTNER_VHOST, NoSuchPartnerQueue, close_partner_queue
from .partner_ledger import ledger

partner = typer.Typer(help="Partner institutions and their queues.", no_args_is_help=True)
partner.command()(ledger)


@partner.command()
def provision() -> None:
    """Run the provisioner: it makes the queue and the broker user that a partner requests.

    It alone holds an administrator's credential (TAAWON_RABBIT_MANAGEMENT_URL) and has no HTTP
    API.
    """

    async def run() -> None:
        settings = NotificationsSettings.load()
        logs.configure("partners-provisioner", settings.log_level)
        engine = engine_of(settings, "partners-provisioner", pool_size=2)
        try:
            with watched(settings):
                await run_provisioner(settings, make_sessions(engine))
        finally:
            await engine.dispose()

    asyncio.run(run())


@partner.command()
def close(
    slug: Annotated[str, typer.Argument(help="The institution, such as fm5.")],
) -> None:
    """End the broker user of a partner's queue; the queue stays with what it holds.

    The provisioner does so within seconds, and closes open connections. Any client of the partner
    may request the queue again: revoke those that may not (`DELETE /partners/{slug}/clients/{id}`
    of the registry). It writes to the database of notifications (TAAWON_DATABASE_URL, or what
    `taawon up` runs here).

    Example: taawon partner close fm5
    """

    async def work(sessions: Sessions) -> None:
        async with sessions.begin() as session:
            await close_partner_queue(session, LOCAL_OPERATOR, slug)

    run_with_sessions(settings_of("notifications"), work)
    say(f"the partner queue of {slug} is closing")


@partner.command()
def consumer(
    slug: Annotated[str, typer.Argument(help="The institution, such as fm5.")],
) -> None:
    """Print a program in Python that reads the queue of a partner, to be handed to it.

    It has no password in it: the partner's is shown once, by POST /partner-queue. Where partners
    reach the broker comes from TAAWON_PARTNERS_ADDRESS.

    Example: taawon partner consumer fm5 > consumer.py
    """
    settings = own_settings(NotificationsSettings)
    if settings.partners_address is None:
        raise Invalid(
            Sentence("TAAWON_PARTNERS_ADDRESS is not set: where do partners reach the broker?")
        )

    async def work(sessions: Sessions) -> AnyRow | None:
        async with sessions() as session:
            return await get_partner_queue(session, slug)

    found = run_with_sessions(settings, work)
    if found is None:
        raise NoSuchPartnerQueue(
            Sentence("partner {slug} has no partner queue: POST /partner-queue", slug=slug)
        )
    address = PartnerAddress.of(str(settings.partners_address))
    say(consumer_program(address, vhost=PARTNER_VHOST, queue=found.queue, username=found.username))


@partner.command()
def listen(
    url: Annotated[str, typer.Argument(help="amqps://user:password@host:5671/partners")],
    queue: Annotated[str, typer.Argument(help="Your queue, as GET /partner-queue names it.")],
    count: Annotated[
        int, typer.Option(parser=whole_number(), help="Stop after so many events; 0: never.")
    ] = 0,
    seconds: Annotated[
        float, typer.Option(parser=decimal, help="Stop after so many seconds without an event.")
    ] = 30,
) -> None:
    """Read your events as a partner does: one JSON line each, acknowledged once printed.

    It needs nothing but your own AMQP login. Where the broker's certificate is of an authority that
    your machine does not know, add `?cafile=ca.pem` to the URL: the file that you were given.

    Example: taawon partner listen amqps://p-indh:secret@broker/partners p.indh.1f2e.events
    """
    asyncio.run(_listen(url, queue, count, seconds))


async def _listen(url: str, queue: str, count: int, seconds: float) -> None:
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=50)
        source = await channel.get_queue(queue, ensure=False)
        seen = 0
        async with source.iterator(timeout=seconds) as messages:
            try:
                async for message in messages:
                    _print(message)
                    await message.ack()
                    seen += 1
                    if seen == count:
                        return
            except TimeoutError:
                return


def _print(message: aio_pika.abc.AbstractIncomingMessage) -> None:
    say(
        orjson.dumps(
            {
                "id": message.message_id,
                "type": message.type,
                "sequence": message.headers.get("cloudEvents_sequence"),
                "redelivered": message.redelivered,
                "data": orjson.loads(message.body),
            },
            default=str,
        ).decode()
    )
