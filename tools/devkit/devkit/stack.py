"""The whole system as processes on one machine: servers, migrations, topology, services."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property

import httpx
from cryptography.fernet import Fernet

from shared.kernel import heartbeat
from shared.kernel.data import migrations
from shared.kernel.messaging import topology
from shared.kernel.messaging.addresses import PARTNER_VHOST, VHOST
from shared.kernel.service.spec import installed_consumers, spec_of
from shared.kernel.settings import Settings

from .broker import stop_broker, stop_postgres
from .nodes import Broker, Postgres, broker_for, postgres_for
from .processes import Spawn
from .stack_layout import PROVISIONER, SERVICES, SUPERVISOR, Place
from .state import kept_port, locked, usable_port, write_atomically

__all__ = ["PARTNER_VHOST", "PROVISIONER", "SERVICES", "VHOST", "Stack"]

Say = Callable[[str], None]


def quiet(_: str) -> None:
    """Say nothing."""


RATES = {
    "TAAWON_RATE_LIMIT": "60000",
    "TAAWON_RATE_LIMIT_ADDRESS": "120000",
    "TAAWON_RATE_LIMIT_SIGN_IN": "6000",
}
"""Requests per minute: all come from this one machine, and the demo sends many each second."""


@dataclass
class Stack(Place):
    """Everything of one folder. Whoever has the folder can start it, look at it and stop it.

    `spawn` starts the processes, as programs unless one is given. `overrides` are settings for all
    services, `TAAWON_*` names; `own` are settings for single ones.
    """

    overrides: Mapping[str, str] = field(default_factory=dict)
    own: dict[str, dict[str, str]] = field(default_factory=dict)
    say: Say = quiet
    spawn: Spawn | None = None

    @cached_property
    def postgres(self) -> Postgres:
        """The PostgreSQL of this folder, found or started at the first use."""
        return postgres_for(self.folder / "postgres")

    @cached_property
    def broker(self) -> Broker:
        """The RabbitMQ of this folder, found or started at the first use."""
        return broker_for(self.folder / "rabbitmq")

    def start(self) -> None:
        """Servers, schema, topology, then the processes; safe to repeat."""
        self.start_servers()
        self.prepare()
        self.start_processes()

    def start_servers(self) -> None:
        """PostgreSQL and RabbitMQ, found or started, with users, databases and vhosts."""
        self.say(f"PostgreSQL: {self.postgres.found.source}")
        self.say(f"RabbitMQ: {self.broker.found.source}")
        for vhost in (VHOST, PARTNER_VHOST):
            self.broker.add_vhost(vhost)
        for service in SERVICES:
            self.broker.add_service_user(topology.BrokerUser(service), vhost=VHOST)

    def prepare(self, services: Sequence[str] = SERVICES) -> None:
        """Migrations of these services and all topology, both before any relay runs."""
        for service in services:
            migrations.upgrade(service, self.database_url(service))
        self.say("databases migrated")
        names = asyncio.run(
            topology.apply(self.broker.admin_url(VHOST), self._delays(), installed_consumers())
        )
        self.say(f"topology declared: {len(names)} queues")

    def start_processes(self) -> None:
        """All services and the provisioner, at once; ready afterwards."""
        for service in SERVICES:
            self._choose_port(service)  # before any starts: each is given the URL of the issuer
        for name in (*SERVICES, PROVISIONER):
            self.launch(name)
        for service in SERVICES:
            self.wait_ready(service)
        self.say("services ready: " + ", ".join(f"{s} {self.url(s)}" for s in SERVICES))

    def launch(self, name: str, **extra: str) -> None:
        """Start one process without waiting for it; `extra` are settings of this start alone."""
        process = self.process(name)
        # In turns: the supervisor may start the same one at this moment.
        with locked(process.folder):
            if process.is_running():
                return
            if name in SERVICES:
                self._choose_port(name)
            beats = self.heartbeat_file(name)
            beats.unlink(missing_ok=True)
            own = {
                heartbeat.FILE: str(beats),
                "TAAWON_INTERNAL_PORT": str(usable_port(self.internal_port_file(name))),
            }
            command = ["partner", "provision"] if name == PROVISIONER else ["serve", name]
            process.start(
                [sys.executable, "-m", "cli.program", *command],
                env={**self.environment(name), **own, **extra},
                cwd=self.folder,
                spawn=self.spawn,
            )

    def supervise(self) -> None:
        """Start the supervisor, which starts again what dies; one that runs already is left."""
        dropped = "PYTHONDONTWRITEBYTECODE"
        self.process(SUPERVISOR).start(
            [sys.executable, "-m", "devkit.supervisor", str(self.folder)],
            env={name: value for name, value in os.environ.items() if name != dropped},
            cwd=self.folder,
        )

    def _choose_port(self, service: str) -> None:
        """The port of before, unless somebody else took it while the service was stopped."""
        if not self.process(service).is_running():
            usable_port(self.port_file(service))

    def start_service(self, name: str, **extra: str) -> None:
        """Start one service and wait until it is ready."""
        self.launch(name, **extra)
        if name in SERVICES:
            self.wait_ready(name)

    def wait_ready(self, service: str, within: float = 300) -> None:
        """Wait until the service is ready; raises NotStarted after `within` seconds."""
        self.process(service).wait_for(lambda: self.is_ready(service), within=within)

    def is_ready(self, service: str) -> bool:
        """Whether `/readyz` of the service answers 200."""
        try:
            return httpx.get(f"{self.url(service)}/readyz", timeout=10).status_code == 200
        except httpx.HTTPError:
            return False

    def is_running(self) -> bool:
        """Whether any process of this folder runs."""
        return any(self.process(name).is_running() for name in (*SERVICES, PROVISIONER))

    def stop_processes(self) -> None:
        """All at once: each finishes what it works on. The supervisor first, or it starts them."""
        self.process(SUPERVISOR).stop(grace=25, is_alone=True)
        with ThreadPoolExecutor() as pool:
            ends = [
                pool.submit(self.process(name).stop, grace=25) for name in (PROVISIONER, *SERVICES)
            ]
        for end in ends:
            end.result()

    def stop(self) -> None:
        """Everything that this folder started; nothing stays behind."""
        self.stop_processes()
        with ThreadPoolExecutor() as pool:
            ends = [
                pool.submit(stop_broker, self.folder / "rabbitmq"),
                pool.submit(stop_postgres, self.folder / "postgres"),
            ]
        for end in ends:
            end.result()

    @property
    def partners_address(self) -> str:
        """Where partners reach the broker; on this machine without TLS."""
        return f"amqp://{self.broker.found.address}"

    def partner_url(self, username: str, password: str) -> str:
        """Where a partner signs in to read its queue."""
        return self.broker.found.amqp_url(username, password, PARTNER_VHOST)

    def program(self) -> tuple[list[str], dict[str, str]]:
        """How `taawon` is run with what the registry knows."""
        return [sys.executable, "-m", "cli.program"], self.environment("registry")

    def database_url(self, service: str) -> str:
        """The URL of the service's database with its own role; made where it is not there."""
        return self.postgres.databases.create(service)

    def environment(self, name: str) -> dict[str, str]:
        """What one process is given: its own database and broker user, and no more."""
        service = "notifications" if name == PROVISIONER else name
        issuer = kept_port(self.port_file("registry"))
        known = {
            **_plain_environment(),
            "TAAWON_DATABASE_URL": self.database_url(service),
            "TAAWON_AMQP_URL": self.broker.url_of(service, vhost=VHOST),
            "TAAWON_JWKS_URL": f"http://127.0.0.1:{issuer}/.well-known/jwks.json",
            **RATES,
        }
        if name in SERVICES:
            known["TAAWON_HTTP_PORT"] = self.port_file(name).read_text().strip()
        if name in SERVICES and spec_of(name).sealed:
            known["TAAWON_SEAL_KEYS"] = self.seal_key()
        if service == "notifications":
            partners = self.broker.url_of("notifications", vhost=PARTNER_VHOST)
            known["TAAWON_AMQP_PARTNERS_URL"] = partners
            known["TAAWON_PARTNERS_ADDRESS"] = self.partners_address
        if name == PROVISIONER:
            known["TAAWON_RABBIT_MANAGEMENT_URL"] = self.broker.management_url()
        return {**known, **self.overrides, **self.own.get(name, {})}

    def seal_key(self) -> str:
        """The key of personal fields, made once."""
        path = self.folder / "secrets" / "seal.key"
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(path, Fernet.generate_key().decode())
        return path.read_text().strip()

    def _delays(self) -> tuple[float, ...]:
        given = self.overrides.get("TAAWON_RETRY_DELAYS")
        if given is not None:
            return tuple(float(part) for part in given.split(","))
        default = Settings.model_fields["retry_delays"].default
        return tuple(default)


def _plain_environment() -> dict[str, str]:
    """The surroundings without our own settings, so that none leaks from one service to another.

    Compiled modules are kept, whatever the shell says: without them each start costs seconds more.
    """
    dropped = ("TAAWON_", "PYTHONDONTWRITEBYTECODE")
    return {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
