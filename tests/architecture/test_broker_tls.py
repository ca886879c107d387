"""Partners read with TLS: the broker's settings and certificate of docker-compose.yml, for real."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import aio_pika
import orjson
import pytest

from devkit.rabbitmq import ADMIN, RabbitNode
from devkit.state import free_port, kept_secret

ROOT = Path(__file__).parents[2]
MAKE = [sys.executable, str(ROOT / "deploy" / "make_certificate.py")]


@dataclass(frozen=True)
class Broker:
    """A broker that listens with TLS; `ca` is what partners are given."""

    port: int
    password: str
    ca: Path

    def url(self, *, host: str = "localhost", trusts: Path | None = None) -> str:
        login = f"amqps://{ADMIN}:{self.password}@{host}:{self.port}/"
        return f"{login}?cafile={trusts}" if trusts else login


@pytest.fixture(scope="module")
def broker(run_folder: Path) -> Iterator[Broker]:
    """A private node with the configuration file of the compose project."""
    node, port = RabbitNode(run_folder / "tls"), free_port()
    made = run_folder / "tls-certificates"
    subprocess.run([*MAKE, "--folder", str(made)], check=True, capture_output=True)
    node.account.make(node.own)
    shown = node.own / "certificates"
    shutil.copytree(made / "broker", shown)
    configuration = (ROOT / "deploy" / "rabbitmq" / "20-tls.conf").read_text()
    configuration = configuration.replace("/etc/rabbitmq/certificates", str(shown))
    configuration = configuration.replace("= 5671", f"= 127.0.0.1:{port}")
    (node.own / "conf.d").mkdir()
    (node.own / "conf.d" / "20-tls.conf").write_text(configuration)
    for path in (shown, *shown.iterdir(), *node.own.glob("conf.d/*"), node.own / "conf.d"):
        node.account.give(path)
    try:
        node.start()
        password = kept_secret(node.folder / "secrets" / f"{ADMIN}.password")
        yield Broker(port, password, made / "broker" / "ca.pem")
    finally:
        node.kill()
        node.stop()


async def test_the_command_of_the_page_reads_a_queue_with_tls(broker: Broker):
    url = broker.url(trusts=broker.ca)
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        await channel.declare_queue("p.indh.events", durable=True)
        message = aio_pika.Message(b'{"call_id": 7}', message_id="e-1", type="call.opened")
        await channel.default_exchange.publish(message, "p.indh.events")

    listen = ["partner", "listen", url, "p.indh.events", "--count", "1"]
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "cli.program", *listen],
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    assert orjson.loads(done.stdout)["data"] == {"call_id": 7}


async def test_who_does_not_know_the_authority_connects_to_nobody(broker: Broker):
    with pytest.raises((aio_pika.exceptions.AMQPConnectionError, ssl.SSLError, ConnectionError)):
        await aio_pika.connect(broker.url(), timeout=30)


async def test_the_certificate_names_the_addresses_of_this_machine(broker: Broker):
    for host in ("127.0.0.1", "localhost"):
        url = broker.url(host=host, trusts=broker.ca)
        await (await aio_pika.connect(url)).close()


def test_a_new_certificate_is_of_the_same_authority_and_has_the_names(tmp_path: Path):
    folder = tmp_path / "certificates"
    subprocess.run([*MAKE, "--folder", folder], check=True, capture_output=True)
    before = {path.name: path.read_bytes() for path in (folder / "broker").iterdir()}

    named = [*MAKE, "amqp.example.org", "192.0.2.7", "--folder", str(folder)]
    subprocess.run(named, check=True, capture_output=True)

    after = {path.name: path.read_bytes() for path in (folder / "broker").iterdir()}
    shown = subprocess.run(
        ["openssl", "x509", "-noout", "-text", "-in", folder / "broker" / "server.pem"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert before.keys() == after.keys() == {"ca.pem", "server.pem", "server.key"}
    assert before["ca.pem"] == after["ca.pem"]
    assert before["server.pem"] != after["server.pem"]
    assert "DNS:amqp.example.org, IP Address:192.0.2.7" in shown
    assert folder.stat().st_mode & 0o777 == 0o700, "the key is closed to other users of the host"
    assert (folder / "ca.key").stat().st_mode & 0o777 == 0o600


def test_make_secrets_leaves_a_certificate_that_is_in_use(tmp_path: Path):
    folder = tmp_path / "certificates"
    command = [*MAKE, "--unless-there", "--folder", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    before = (folder / "broker" / "server.pem").read_bytes()

    subprocess.run(command, check=True, capture_output=True)

    assert (folder / "broker" / "server.pem").read_bytes() == before


def test_without_openssl_the_remedy_is_named(tmp_path: Path):
    done = subprocess.run(
        [*MAKE, "--folder", str(tmp_path)], env={"PATH": ""}, capture_output=True, text=True
    )

    assert done.returncode == 1
    assert "install it, or put ca.pem, server.pem and server.key" in done.stderr
