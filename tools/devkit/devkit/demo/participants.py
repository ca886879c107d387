"""Who takes part: an operator, a moderator, and partner institutions with what they ask for."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devkit.client import Client, Refused
from devkit.stack_layout import OPERATOR
from devkit.state import kept_secret, write_atomically
from shared import json_text
from shared.kernel.waiting import wait_until

from .system import System, taawon

MODERATOR = "moderator@taawon.invalid"


@dataclass(frozen=True)
class PartnerCard:
    """An institution and the filter that it subscribes with."""

    slug: str
    kind: str
    fr: str
    ar: str
    wanted: dict[str, Any] = field(default_factory=dict)


PARTNERS = (
    PartnerCard(
        "indh",
        "programme",
        "Initiative nationale pour le développement humain",
        "المبادرة الوطنية للتنمية البشرية",
        {"topics": ["funding.call.*"]},
    ),
    PartnerCard(
        "fm5",
        "foundation",
        "Fondation Mohammed V pour la Solidarité",
        "مؤسسة محمد الخامس للتضامن",
    ),
    PartnerCard(
        "region-souss-massa",
        "regional_council",
        "Conseil régional de Souss-Massa",
        "مجلس جهة سوس-ماسة",
        {"regions": ["MA-09"]},
    ),
)


@dataclass
class Participants:
    """Signed-in callers of a system. Secrets stay in its folder, for the next run."""

    system: System

    @property
    def secrets(self) -> Path:
        """The folder of passwords and client credentials, kept for the next run."""
        return self.system.folder / "secrets"

    def operator(self) -> Client:
        """The first operator, made by the command where there is none."""
        password = kept_secret(self.secrets / "operator.password")
        self._taawon("accounts", "bootstrap", "--email", OPERATOR, "--password-stdin", say=password)
        return self._person(OPERATOR, password)

    def moderator(self, operator: Client) -> Client:
        """A second operator: nobody may judge an idea of their own."""
        password = kept_secret(self.secrets / "moderator.password")
        body = {"email": MODERATOR, "password": password, "roles": ["operator"]}
        _unless_there(operator, "/accounts", body)
        return self._person(MODERATOR, password)

    def partner(self, operator: Client, card: PartnerCard) -> Client:
        """An institution with client credentials and a subscription."""
        name = {"fr": card.fr, "ar": card.ar}
        body = {"slug": card.slug, "kind": card.kind, "name": name, "language": "fr"}
        _unless_there(operator, "/partners", body)
        client = Client(self.system.url, self._client_credentials(operator, card.slug))
        if not client.get("notifications", "/subscriptions"):
            client.post("notifications", "/subscriptions", card.wanted)
        return client

    def partner_queue(self, client: Client, slug: str) -> PartnerQueue:
        """The partner's own queue, ready to be read."""
        kept = self.secrets / f"{slug}.partner-queue.json"
        if not kept.exists():
            write_atomically(kept, json_text.dumps(client.post("notifications", "/partner-queue")))
        wait_until(lambda: self._partner_queue_state(client) == "ready", within=30)
        made = json_text.loads(kept.read_bytes())
        url = self.system.partner_url(made["username"], made["password"])
        return PartnerQueue(slug, url, made["queue"], self.system.folder / "partners")

    def _partner_queue_state(self, client: Client) -> str:
        return str(client.get("notifications", "/partner-queue")["state"])

    def _client_credentials(self, operator: Client, slug: str) -> dict[str, str]:
        kept = self.secrets / f"{slug}.client.json"
        if not kept.exists():
            made = operator.post("registry", f"/partners/{slug}/clients", {"label": "demo"})
            write_atomically(kept, json_text.dumps(made))
        made = json_text.loads(kept.read_bytes())
        return {
            "grant_type": "client_credentials",
            "client_id": made["client_id"],
            "client_secret": made["client_secret"],
        }

    def _person(self, email: str, password: str) -> Client:
        grant = {"grant_type": "password", "username": email, "password": password}
        return Client(self.system.url, grant)

    def _taawon(self, *arguments: str, say: str) -> None:
        """Run a command of the registry; that the operator exists already is no failure."""
        done = taawon(self.system, *arguments, say=f"{say}\n", quiet=True)
        if done.returncode != 0 and "already" not in done.stderr:
            raise RuntimeError(f"taawon {' '.join(arguments)} failed:\n{done.stderr}")


@dataclass(frozen=True)
class PartnerQueue:
    """A partner's side: its own AMQP login, its own store, no database."""

    slug: str
    url: str
    queue: str
    store: Path

    @property
    def received(self) -> list[dict[str, Any]]:
        """Everything that this partner ever read, repeats included."""
        path = self.store / f"{self.slug}.jsonl"
        return (
            [json_text.loads(line) for line in path.read_bytes().splitlines()]
            if path.exists()
            else []
        )

    def read(self, count: int) -> None:
        """Read so many events in a process that knows nothing but the partner's own login."""
        self.store.mkdir(parents=True, exist_ok=True)
        with (self.store / f"{self.slug}.jsonl").open("a") as store:
            subprocess.run(
                [
                    *(sys.executable, "-m", "cli.program", "partner", "listen"),
                    *(self.url, self.queue, "--count", str(count), "--seconds", "20"),
                ],
                env=partner_environment(),
                stdout=store,
                check=True,
            )


def partner_environment() -> dict[str, str]:
    """What a partner's process sees of this machine: no setting of ours, no database."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}


def _unless_there(operator: Client, path: str, body: dict[str, Any]) -> None:
    try:
        operator.post("registry", path, body)
    except Refused as refusal:
        if refusal.status != 409:
            raise
