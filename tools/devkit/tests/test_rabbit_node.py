"""The private RabbitMQ: a real one, closed to the network, to guests and to other vhosts."""

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path

import aio_pika
import pytest

from devkit.broker import FoundBroker, find_broker
from devkit.pytest_plugin import PATIENCE
from devkit.rabbitmq import RabbitNode
from shared.kernel.messaging.management import Management, ManagementRefused
from shared.kernel.waiting import wait_until


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("project") / ".run" / "rabbitmq"


@pytest.fixture(scope="module")
def modes_before(folder, ancestors):
    folder.mkdir(parents=True)
    return ancestors(folder)


@pytest.fixture(scope="module")
def started(folder, modes_before) -> Iterator[RabbitNode]:
    node = RabbitNode(folder)
    node.start()
    yield node
    node.kill()  # quicker than stop(), and nobody needs the data
    node.stop()


@pytest.fixture
def node(started) -> RabbitNode:
    """Running, whatever the test before did to it."""
    started.start()
    return started


async def publish(url: str, queue: str) -> int:
    """Put one lasting message into a lasting queue; how many wait there now."""
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        quorum = {"x-queue-type": "quorum"}
        await channel.declare_queue(queue, durable=True, arguments=quorum)
        message = aio_pika.Message(b"event", delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(message, queue)
        seen = await channel.declare_queue(queue, passive=True)
        return seen.declaration_result.message_count or 0


def is_written_down(folder: Path, queue: str) -> bool:
    """RabbitMQ writes the name of a new queue half a second later, and loses it in a crash."""
    return any(f"_{queue}".encode() in file.read_bytes() for file in folder.rglob("names.dets"))


def test_no_folder_above_gets_another_mode_or_owner(node, folder, ancestors, modes_before):
    assert ancestors(folder) == modes_before


def test_root_does_not_run_it(node):
    owner = Path(f"/proc/{node.pid}").stat().st_uid

    assert owner == (os.geteuid() or 65534)


def test_it_listens_on_loopback_only(node, folder, listening):
    names = json.loads((folder / "epmd.pid").read_text())["pid"]
    loopback = {"0100007F", "00000000000000000000000001000000"}

    assert listening(node.pid) == {"0100007F"}
    assert listening(names) <= loopback


def test_a_start_finds_the_server_that_runs_already(node, folder):
    again = RabbitNode(folder)

    again.start()

    assert again.pid == node.pid


def test_there_is_no_guest(node):
    guest = Management(node.management_url, "guest", "guest")

    assert not guest.is_answering()
    with pytest.raises(aio_pika.exceptions.AMQPError):
        asyncio.run(publish(node.amqp_url("guest", "guest"), "q"))
    assert [user["name"] for user in node.management.get("users")] == [node.management.user]


def test_a_user_reaches_its_own_vhost_and_no_other(node):
    admin = node.management
    admin.put_vhost("partners/one")
    admin.put_user("p one", "s/e:c@ret")
    admin.put_permissions("partners/one", "p one", configure=".*", write=".*", read=".*")

    assert asyncio.run(publish(node.amqp_url("p one", "s/e:c@ret", "partners/one"), "own")) == 1
    with pytest.raises(aio_pika.exceptions.AMQPError):
        asyncio.run(publish(node.amqp_url("p one", "s/e:c@ret"), "q"))


def test_topic_permissions_reach_the_broker(node):
    admin = node.management
    admin.put_user("narrow", "secret")
    admin.put_permissions("/", "narrow")

    admin.put_topic_permissions("/", "narrow", "amq.topic", write="^ideas[.]", read="^$")

    (rights,) = admin.get("users/narrow/topic-permissions")
    assert (rights["exchange"], rights["write"], rights["read"]) == (
        "amq.topic",
        "^ideas[.]",
        "^$",
    )


def test_what_is_deleted_twice_is_gone(node):
    node.management.put_vhost("brief")

    node.management.delete_vhost("brief")
    node.management.delete_vhost("brief")

    with pytest.raises(ManagementRefused, match="404"):
        node.management.get("vhosts/brief")


def test_secrets_are_for_their_owner_only(node, folder):
    private = [*(folder / "secrets").iterdir(), folder / "node" / "rabbitmq.conf"]

    assert {path.stat().st_mode & 0o777 for path in private} == {0o600}
    assert (folder / "node").stat().st_mode & 0o777 == 0o700


def test_a_broker_given_by_address_is_used_and_never_stopped(node, tmp_path, monkeypatch):
    monkeypatch.setenv("TAAWON_AMQP_URL", node.admin_url)
    monkeypatch.setenv("TAAWON_RABBIT_MANAGEMENT_URL", node.management_url)

    found = find_broker(tmp_path)
    found.stop()

    assert found == FoundBroker("TAAWON_AMQP_URL", node.address, found.management)
    assert node.is_running()


def test_confirmed_messages_survive_a_kill_and_stale_records(node, folder):
    before = node.admin_url
    assert asyncio.run(publish(before, "kept")) == 1
    assert wait_until(lambda: is_written_down(folder, "kept"), within=PATIENCE)
    node.kill()
    stranger = json.dumps({"pid": os.getpid(), "born": "another boot:123"})
    (folder / "rabbitmq.pid").write_text(stranger)
    assert not node.is_running()

    node.start()

    assert node.admin_url == before
    assert asyncio.run(publish(before, "kept")) == 2


def test_another_process_stops_it_and_nothing_is_left(
    node, folder, in_another_process, processes_of
):
    in_another_process("from devkit.rabbitmq import RabbitNode; RabbitNode(folder).stop()", folder)

    assert not node.is_running()
    assert processes_of(folder) == []
