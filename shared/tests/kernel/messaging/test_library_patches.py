"""Code that depends on private parts of libraries was tried with the installed versions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from importlib.metadata import version

import pytest
from faststream.rabbit import RabbitBroker
from pamqp.header import ContentHeader

from devkit.pytest_plugin import eventually
from shared.kernel.messaging import broker, undecodable
from shared.kernel.messaging.broker import Broker


@pytest.mark.parametrize("patch", [broker, undecodable], ids=lambda patch: patch.__name__)
def test_the_installed_versions_are_those_that_a_patch_was_tried_with(patch):
    installed = {library: version(library) for library in patch.TRIED_WITH}

    assert installed == patch.TRIED_WITH, f"the docstring of {patch.__name__} says what to look at"


def test_the_client_decodes_headers_with_our_replacement():
    assert ContentHeader.unmarshal is undecodable._tolerant


@pytest.fixture
async def silent() -> AsyncIterator[str]:
    """The address of a server that accepts connections and never sends anything."""
    open_ones: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, to: open_ones.append(to), "127.0.0.1", 0)
    yield f"amqp://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    for writer in open_ones:
        writer.close()
    server.close()
    await server.wait_closed()


def others(before: set[asyncio.Task[object]]) -> set[asyncio.Task[object]]:
    return asyncio.all_tasks() - before - {asyncio.current_task()}


async def test_a_broker_stopped_while_it_connects_leaves_no_task_behind(silent: str):
    before = asyncio.all_tasks()
    stopped: RabbitBroker = Broker(silent, logger=None)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await stopped.connect()
    assert others(before), "the attempt outlives whoever waited for it"
    await stopped.stop()

    await eventually(lambda: not others(before), within=10)
