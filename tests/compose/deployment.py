"""The system as docker-compose.yml makes it, under a project name, ports and secrets of its own."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from devkit.stack_layout import SERVICES
from devkit.state import free_port
from shared.kernel.messaging import topology
from shared.kernel.messaging.addresses import PARTNER_VHOST, VHOST
from shared.kernel.waiting import wait_until

ROOT = Path(__file__).parents[2]
PUBLISHED = (*SERVICES, "amqps", "management", "mail")


class ComposeFailed(RuntimeError):
    """A `docker compose` command ended with an error; the message is what it printed."""


@dataclass
class Deployment:
    """One compose project, in a clone of its own. A story keeps its files in `folder`."""

    folder: Path
    project: str = field(default_factory=lambda: f"taawon-{secrets.token_hex(4)}")

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self.clone = self.folder / "clone"
        _clone_of_this_tree(self.clone)
        self.ports = dict(zip(PUBLISHED, _free_ports(len(PUBLISHED)), strict=True))
        _make_env(self.clone, self.ports)

    @property
    def settings(self) -> dict[str, str]:
        """What `.env` says just now."""
        lines = (self.clone / ".env").read_text(encoding="utf-8").splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line and line[0] != "#")

    def compose(self, *arguments: str) -> str:
        """What a command of `docker compose` prints."""
        done = subprocess.run(
            [*self._words(), *arguments],
            cwd=self.clone,
            env=_clean(),
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise ComposeFailed(f"docker compose {' '.join(arguments)}:\n{done.stderr[-4000:]}")
        return done.stdout

    def up(self) -> None:
        """Build, start, and wait until everything is healthy, as the README says."""
        self.compose("up", "--detach", "--build", "--wait", "--wait-timeout", "240")

    def down(self) -> None:
        """Containers, networks and volumes are gone afterwards."""
        self.compose("down", "--volumes", "--timeout", "35")

    def restart(self, *names: str) -> None:
        self.compose("restart", "--timeout", "35", *names)

    def wait_ready(self) -> None:
        """Every service says that it is ready, through its published port."""
        away: dict[str, str] = {}

        def is_ready() -> bool:
            away.clear()
            away.update(self._not_ready())
            return not away

        if not wait_until(is_ready, within=120, every=0.5):
            says = "".join(
                f"\n{name}: {why}\n{self.logs(name)[-4000:]}" for name, why in away.items()
            )
            raise ComposeFailed(f"not ready again:{says}\n{self.compose('ps', '--all')}")

    def wait_settled(self) -> None:
        """Nothing is on its way: outboxes and queues are empty."""
        left: list[str] = []

        def is_settled() -> bool:
            left[:] = self._on_its_way()
            return not left

        if not wait_until(is_settled, within=120, every=1):
            raise ComposeFailed(f"not settled: {'; '.join(left)}")

    def _on_its_way(self) -> list[str]:
        waiting = "SELECT count(*) FROM outbox WHERE published_at IS NULL"
        found = [f"{each}: outbox" for each in SERVICES if self.query(each, waiting) != ["0"]]
        path = f"/api/queues/{VHOST}?disable_stats=true&enable_queue_totals=true"
        queues = httpx.get(
            f"http://127.0.0.1:{self.ports['management']}{path}",
            auth=("taawon-admin", self.settings["TAAWON_BROKER_ADMIN_PASSWORD"]),
            timeout=10,
        ).json()
        return found + [
            each["name"]
            for each in queues
            if each["name"] != topology.UNROUTED and each.get("messages", 0)
        ]

    def _not_ready(self) -> dict[str, str]:
        """What each service that is not ready says, or why nothing answers there."""
        found: dict[str, str] = {}
        for each in SERVICES:
            try:
                answer = httpx.get(f"{self.url(each)}/readyz", timeout=3)
            except httpx.HTTPError as error:
                found[each] = f"{self.url(each)}: {error!r}"
            else:
                if answer.status_code != 200:
                    found[each] = answer.text
        return found

    def wait_healthy(self) -> None:
        """The engine says so too, which looks only every ten seconds."""
        self.compose("up", "--detach", "--no-recreate", "--wait", "--wait-timeout", "120", *LASTING)

    def logs(self, *names: str) -> str:
        return self.compose("logs", "--no-color", *names)

    def containers(self) -> dict[str, dict[str, Any]]:
        """Everything that runs or ran, as the engine describes it, by the name in the file."""
        ids = self.compose("ps", "--all", "--quiet").split()
        found = json.loads(
            subprocess.run(
                ["docker", "inspect", *ids], check=True, capture_output=True, text=True
            ).stdout
        )
        return {each["Config"]["Labels"]["com.docker.compose.service"]: each for each in found}

    def in_container(self, name: str, *command: str) -> str:
        return self.compose("exec", "-T", name, *command)

    def versions(self) -> list[str]:
        """What the servers say of themselves."""
        (postgres,) = self.query("postgres", "SHOW server_version")
        rabbitmq = self.in_container("rabbitmq", "rabbitmqctl", "version").split()[-1]
        python = self.in_container("registry", "python", "--version").split()[-1]
        return [
            f"PostgreSQL {postgres.split()[0]}, RabbitMQ {rabbitmq}, Python {python}"
            " (docker compose)"
        ]

    # What the demonstration's story needs of a system.

    def url(self, service: str) -> str:
        return f"http://127.0.0.1:{self.ports[service]}"

    def partner_url(self, username: str, password: str) -> str:
        address = f"127.0.0.1:{self.ports['amqps']}/{PARTNER_VHOST}"
        ca = self.clone / "deploy" / "certificates" / "broker" / "ca.pem"
        return f"amqps://{username}:{password}@{address}?cafile={ca}"

    def program(self) -> tuple[list[str], dict[str, str]]:
        return [*self._words(), "exec", "-T", "registry", "taawon"], _clean()

    # What an operator runs on this machine, over the published ports.

    def taawon(self, *arguments: str, token: str) -> subprocess.CompletedProcess[str]:
        """A command that takes `--url`, for all four services."""
        urls = [word for each in SERVICES for word in ("--url", f"{each}={self.url(each)}")]
        password = self.settings["TAAWON_BROKER_ADMIN_PASSWORD"]
        management = f"http://taawon-admin:{password}@127.0.0.1:{self.ports['management']}"
        return subprocess.run(
            [sys.executable, "-m", "cli.program", *arguments, *urls],
            env=_clean()
            | {"TAAWON_OPERATOR_TOKEN": token, "TAAWON_RABBIT_MANAGEMENT_URL": management},
            capture_output=True,
            text=True,
        )

    def script(self, text: str, token: str) -> str:
        """Run shell commands as an operator types them, in the clone; what they print."""
        urls = " ".join(f"{each}={self.url(each)}" for each in SERVICES)
        known = {
            "COMPOSE_PROJECT_NAME": self.project,
            "COMPOSE_PROFILES": "dev",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "TAAWON_URLS": urls,
            "TAAWON_OPERATOR_TOKEN": token,
        }
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=self.clone,
            env=_clean() | known,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise ComposeFailed(f"{text}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        return done.stdout

    def query(self, service: str, sql: str) -> list[str]:
        """The rows of a database, each as one line of text."""
        psql = ("psql", "--username=postgres", "--no-psqlrc", "--tuples-only", "--no-align")
        return self.in_container("postgres", *psql, f"--dbname={service}", "-c", sql).splitlines()

    def _words(self) -> Sequence[str]:
        file = str(self.clone / "docker-compose.yml")
        return (
            *("docker", "compose", "--project-name", self.project),
            *("--file", file, "--profile", "dev"),
        )


LASTING = (
    *("postgres", "rabbitmq", *SERVICES),
    *("partners-provisioner", "mail"),
)
"""What goes on running; the other containers are jobs that end."""


def _free_ports(count: int) -> list[int]:
    ports: set[int] = set()
    while len(ports) < count:
        ports.add(free_port())
    return list(ports)


def _clone_of_this_tree(target: Path) -> None:
    """As an operator clones it, with changes that are not committed yet."""
    origin = target.with_name("origin")
    names = _git(ROOT, "ls-files", "-z").split("\0")
    for name in filter(None, names):
        place = origin / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, place)
    _git(origin, "init", "--quiet", "--initial-branch=main")
    _git(origin, "add", "--all")
    author = ("-c", "user.name=nobody", "-c", "user.email=nobody@taawon.example")
    _git(origin, *author, "commit", "--quiet", "--message", "As it is now")
    _git(target.parent, "clone", "--quiet", str(origin), str(target))


def _git(folder: Path, *arguments: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    return subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout


def _make_env(clone: Path, ports: dict[str, int]) -> None:
    """What `make secrets` writes, with other ports."""
    for program in ("make_certificate.py", "make_env.py"):
        made = [sys.executable, str(clone / "deploy" / program)]
        subprocess.run(made, check=True, capture_output=True)
    env = clone / ".env"
    text = env.read_text(encoding="utf-8")
    for name, port in ports.items():
        text = re.sub(
            rf"^TAAWON_{name.upper()}_PORT=.*$",
            f"TAAWON_{name.upper()}_PORT={port}",
            text,
            flags=re.MULTILINE,
        )
    env.write_text(text, encoding="utf-8")


def _clean() -> dict[str, str]:
    """Our own settings would win over those of the file."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TAAWON_")}
