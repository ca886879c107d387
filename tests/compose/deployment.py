"""The system as docker-compose.yml makes it, under a project name, ports and secrets of its own."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copytree
from typing import Any

import httpx

from shared.local.processes import wait_until
from shared.local.stack import PARTNER_VHOST, SERVICES
from shared.local.state import free_port

ROOT = Path(__file__).parents[2]
PUBLISHED = ("registry", "ideas", "funding", "notifications", "amqp", "management", "mail")


class ComposeFailed(RuntimeError):
    """A `docker compose` command ended with an error; the message is what it printed."""


@dataclass
class Deployment:
    """One compose project. `folder` has its `.env`, and whatever a story keeps."""

    folder: Path
    project: str = field(default_factory=lambda: f"taawon-{secrets.token_hex(4)}")

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self.ports = dict(zip(PUBLISHED, _free_ports(len(PUBLISHED)), strict=True))
        self.settings = _made_env(self.folder / "env", self.ports)

    def compose(self, *arguments: str) -> str:
        """What a command of `docker compose` prints."""
        done = subprocess.run(
            [*self._words(), *arguments], cwd=ROOT, env=_clean(), capture_output=True, text=True
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
        if not wait_until(self._is_ready, within=120, every=0.5):
            raise ComposeFailed(f"not ready again:\n{self.logs()[-8000:]}")

    def _is_ready(self) -> bool:
        try:
            return all(
                httpx.get(f"{self.url(each)}/readyz", timeout=3).status_code == 200
                for each in SERVICES
            )
        except httpx.HTTPError:
            return False

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

    # What the demonstration's story needs of a system.

    def url(self, service: str) -> str:
        return f"http://127.0.0.1:{self.ports[service]}"

    def partner_url(self, username: str, password: str) -> str:
        return f"amqp://{username}:{password}@127.0.0.1:{self.ports['amqp']}/{PARTNER_VHOST}"

    def program(self) -> tuple[list[str], dict[str, str]]:
        return [*self._words(), "exec", "-T", "registry", "taawon"], _clean()

    # What an operator runs on this machine, over the published ports.

    def taawon(self, *arguments: str, token: str) -> subprocess.CompletedProcess[str]:
        """A command that takes `--url`, for all four services."""
        urls = [word for each in SERVICES for word in ("--url", f"{each}={self.url(each)}")]
        password = self.settings["TAAWON_BROKER_ADMIN_PASSWORD"]
        management = f"http://taawon-admin:{password}@127.0.0.1:{self.ports['management']}"
        return subprocess.run(
            [sys.executable, "-m", "shared.cli", *arguments, *urls],
            env=_clean()
            | {"TAAWON_OPERATOR_TOKEN": token, "TAAWON_RABBIT_MANAGEMENT_URL": management},
            capture_output=True,
            text=True,
        )

    def _words(self) -> Sequence[str]:
        env_file = str(self.folder / "env" / ".env")
        return (
            *("docker", "compose", "--project-name", self.project),
            *("--env-file", env_file, "--profile", "dev"),
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


def _made_env(folder: Path, ports: dict[str, int]) -> dict[str, str]:
    """The `.env` that the README's command writes, with other ports; its settings."""
    folder.mkdir()
    copytree(ROOT / "deploy", folder / "deploy")
    (folder / ".env.example").write_bytes((ROOT / ".env.example").read_bytes())
    made = [sys.executable, str(folder / "deploy" / "make_env.py")]
    subprocess.run(made, check=True, capture_output=True)
    lines = (folder / ".env").read_text(encoding="utf-8").splitlines()
    settings = dict(line.split("=", 1) for line in lines if "=" in line and line[0] != "#")
    settings |= {f"TAAWON_{name.upper()}_PORT": str(port) for name, port in ports.items()}
    text = "".join(f"{name}={value}\n" for name, value in settings.items())
    (folder / ".env").write_text(text, encoding="utf-8")
    return settings


def _clean() -> dict[str, str]:
    """Our own settings would win over those of the file."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TAAWON_")}
