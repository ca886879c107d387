"""What people and institutions do in a journey, in their own verbs, over the real APIs."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import aio_pika
import asyncpg
import httpx
from aio_pika.abc import AbstractIncomingMessage
from sqlalchemy.engine import make_url

from devkit.forks import commands, spawn_fork
from devkit.pytest_plugin import PATIENCE, eventually
from devkit.stack import Stack
from devkit.stack_layout import SERVICES
from notifications.fanout.domain.subjects import audience_tracks
from notifications.fanout.handlers import announcement_of_call, announcement_of_idea
from shared.contracts.base import Event, now
from shared.contracts.criteria import Profile
from shared.contracts.funding import CallSnapshot
from shared.contracts.ideas import IdeaSnapshot
from shared.kernel.messaging import wire
from shared.kernel.messaging.addresses import PARTNER_VHOST, VHOST
from shared.kernel.messaging.publisher import Outgoing, Publisher
from shared.kernel.messaging.topology import EVENTS

from . import register_files
from .request_bodies import a_call, an_idea, unique

SHORT_DELAYS = {
    "TAAWON_RETRY_DELAYS": "0.3,0.6,1.0",
    "TAAWON_PROBE_SECONDS": "0.2",
    "TAAWON_RELAY_POLL_SECONDS": "0.2",
    "TAAWON_TOKEN_SECONDS": "3600",
}
OPERATOR = "operator@example.org"


async def started(folder: Path, **settings: str) -> Stack:
    """A running system of that folder, whose retry delays are short."""
    stack = Stack(folder, overrides={**SHORT_DELAYS, **settings}, spawn=spawn_fork)
    try:
        await asyncio.to_thread(stack.start)
    except BaseException:
        await asyncio.to_thread(end, stack)
        raise
    return stack


def end(stack: Stack) -> None:
    """End everything at once: nothing in it is worth an orderly stop."""
    for name in ("partners-provisioner", *SERVICES):
        stack.process(name).kill9()
    for server in (stack.broker.found.server, stack.postgres.found.server):
        if server is not None:
            server.kill()
    stack.stop()


@dataclass(frozen=True)
class Person:
    """Somebody who has signed in."""

    token: str = field(repr=False)
    account_id: UUID | None = None

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@dataclass(frozen=True)
class Partner(Person):
    """An institution whose program has signed in."""

    slug: str = ""


@dataclass(frozen=True)
class PartnerQueue:
    """What a partner needs to read its queue."""

    url: str = field(repr=False)
    queue: str
    username: str
    password: str = field(repr=False)


class Story:
    """One system with people in it. Each verb waits for its answer, `until_alerted` for effects."""

    def __init__(self, stack: Stack, http: httpx.AsyncClient, folder: Path) -> None:
        self.stack = stack
        self.http = http
        self.folder = folder
        self.operator = Person("")
        self.files: list[Path] = []
        self.password = secrets.token_urlsafe(18)
        self.header = ""
        self.undrawn: list[str] = []
        self._known: tuple[tuple[Path, ...], dict[UUID, Profile]] = ((), {})
        self._database_urls: dict[str, str] = {}

    @classmethod
    @asynccontextmanager
    async def begun(
        cls, stack: Stack, folder: Path, *, count: int, later: int = 0
    ) -> AsyncIterator[Story]:
        """With a made-up register imported by command, an operator, and the audience in place.

        So many more cooperatives are drawn for `more_cooperatives` to hand out `later`.
        """
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as http:
            story = cls(stack, http, folder)
            await asyncio.gather(story.draw(count + later), story.bootstrap())
            await story.sign_in_operator()
            await story.import_register(await story.more_cooperatives(count))
            await story.audience_counts(count)
            yield story

    # Commands

    async def run(
        self,
        *arguments: str,
        service: str | None = None,
        env: dict[str, str] | None = None,
        given: str = "",
    ) -> tuple[int, str, str]:
        """Run `taawon …` as its own process: exit code, output, messages.

        With a service it has that service's settings, otherwise those given or our own.
        """
        if service is not None:
            env = await asyncio.to_thread(self.stack.environment, service)
        known = os.environ if env is None else env
        done = await asyncio.to_thread(commands().run, *arguments, env=known, given=given)
        return done.returncode, done.stdout, done.stderr

    async def taawon(self, *arguments: str, service: str, given: str = "") -> str:
        """The output of a command that must succeed."""
        code, out, messages = await self.run(*arguments, service=service, given=given)
        assert code == 0, messages
        return out

    async def generate(self, path: Path, *, count: int, seed: int = 1) -> Path:
        """Draw a register into a file."""
        numbers = ("--count", str(count), "--seed", str(seed))
        await self.taawon(
            "register", "generate", *numbers, "--output", str(path), service="registry"
        )
        return path

    async def draw(self, count: int) -> None:
        """Draw so many cooperatives, to be handed out by `more_cooperatives`."""
        drawn = await self.generate(self.folder / "drawn", count=count)
        text = await asyncio.to_thread(drawn.read_text, "utf-8")
        self.header, *self.undrawn = text.splitlines(keepends=True)

    async def more_cooperatives(self, count: int) -> Path:
        """A register file of so many cooperatives that no file held before."""
        assert len(self.undrawn) >= count, "draw more cooperatives to begin with"
        taken, self.undrawn = self.undrawn[:count], self.undrawn[count:]
        number = len(self.files) + 1
        path = self.folder / (f"register-{number}.csv" if self.files else "register.csv")
        text = "".join([self.header, *taken])
        await asyncio.to_thread(path.write_text, text, "utf-8")
        self.files.append(path)
        return path

    async def import_register(self, path: Path) -> dict[str, Any]:
        """The report of an import by command."""
        out = await self.taawon("register", "import", str(path), "--json", service="registry")
        report: dict[str, Any] = json.loads(out)
        return report

    async def start_import(self, path: Path) -> str:
        """Start an import over HTTP; where its report is read."""
        url = f"{self.stack.url('registry')}/imports"
        headers = {**self.operator.headers, "Content-Type": "text/csv"}
        content = await asyncio.to_thread(path.read_bytes)
        answer = await self.http.post(url, headers=headers, content=content)
        assert answer.status_code == 202, answer.text
        return str(answer.headers["location"])

    async def import_ended(self, location: str) -> dict[str, Any]:
        """The report of an import over HTTP, once it no longer runs."""

        async def look() -> dict[str, Any] | None:
            report: dict[str, Any] = await self.get("registry", location)
            return report if report["state"] != "running" else None

        found = await self.eventually(look)
        assert found is not None
        return dict(found)

    async def dead_letters(self, service: str = "notifications") -> list[dict[str, Any]]:
        out = await self.taawon("dead-letters", "list", service, "--json", service=service)
        found: list[dict[str, Any]] = json.loads(out)
        return found

    async def bootstrap(self) -> None:
        await self.taawon(
            "accounts",
            "bootstrap",
            "--email",
            OPERATOR,
            "--password-stdin",
            service="registry",
            given=self.password + "\n",
        )

    # Signing in

    async def sign_in_operator(self) -> Person:
        self.operator = await self.sign_in(OPERATOR, self.password)
        return self.operator

    async def sign_in(self, email: str, password: str) -> Person:
        form = {"grant_type": "password", "username": email, "password": password}
        return Person(await self.token(form))

    async def someone(self, *roles: str, **claims: Any) -> Person:
        """A new account with these roles, signed in."""
        email, password = f"{unique('someone')}@example.org", secrets.token_urlsafe(18)
        body = {"email": email, "password": password, "roles": list(roles), **claims}
        account = await self.post("registry", "/accounts", body)
        person = await self.sign_in(email, password)
        return Person(person.token, UUID(account["account_id"]))

    async def register_partner(self, slug: str | None = None) -> Partner:
        """A new institution whose program has signed in with its client credentials."""
        slug = slug or unique("partner")
        name = {"fr": f"Institution {slug}", "ar": f"مؤسسة {slug}"}
        body = {"slug": slug, "name": name, "kind": "programme"}
        await self.post("registry", "/partners", body)
        client = await self.post("registry", f"/partners/{slug}/clients", {"label": "journey"})
        form = {"grant_type": "client_credentials"}
        form |= {name: client[name] for name in ("client_id", "client_secret")}
        return Partner(await self.token(form), slug=slug)

    async def token(self, form: dict[str, str]) -> str:
        """A token from the registry for whoever the form names."""
        answer = await self.http.post(f"{self.stack.url('registry')}/token", data=form)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    # HTTP

    async def ask(
        self, service: str, method: str, path: str, *, who: Person | None = None, **rest: Any
    ) -> httpx.Response:
        """The answer, whatever it is; the operator asks unless somebody else is named."""
        # A story's steps follow each other: it decides on whatever version there is.
        headers = {"If-Match": "*", **(who or self.operator).headers, **rest.pop("headers", {})}
        url = f"{self.stack.url(service)}{path}"
        return await self.http.request(method, url, headers=headers, **rest)

    async def get(self, service: str, path: str, *, who: Person | None = None, **query: Any) -> Any:
        """What a successful GET answers."""
        answer = await self.ask(service, "GET", path, who=who, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(
        self, service: str, path: str, body: Any = None, *, who: Person | None = None
    ) -> Any:
        """What a successful POST answers."""
        answer = await self.ask(service, "POST", path, who=who, json=body)
        assert answer.status_code in (200, 201, 202), answer.text
        return answer.json()

    async def pages(self, service: str, path: str, *, limit: int) -> AsyncIterator[Any]:
        """Every item of a list, page by page."""
        place: dict[str, Any] = {"limit": limit}
        while True:
            page = await self.get(service, path, **place)
            for item in page["items"]:
                yield item
            if page["next"] is None:
                return
            place["after"] = page["next"]

    # Calls and ideas

    async def draft_call(self, body: dict[str, Any], *, who: Person | None = None) -> UUID:
        return UUID((await self.post("funding", "/calls", body, who=who))["call_id"])

    async def open_call(
        self, *tracks: dict[str, Any], who: Person | None = None, **fields: Any
    ) -> UUID:
        """Draft a call with these tracks and open it."""
        call_id = await self.draft_call(a_call(*tracks, **fields), who=who)
        await self.post("funding", f"/calls/{call_id}/open", who=who)
        return call_id

    async def extend(self, call_id: UUID, local: str = "2091-10-01T16:00") -> dict[str, Any]:
        body = {"deadline": {"local": local}, "reason": "à la demande des coopératives"}
        call: dict[str, Any] = await self.post("funding", f"/calls/{call_id}/extend", body)
        return call

    async def cancel(self, call_id: UUID) -> dict[str, Any]:
        body = {"reason": "budget retiré"}
        call: dict[str, Any] = await self.post("funding", f"/calls/{call_id}/cancel", body)
        return call

    async def publish_idea(self, *, author: Person | None = None, **fields: Any) -> UUID:
        """An idea that somebody drafts and submits, and the operator publishes."""
        author = author or await self.someone("holder")
        idea = await self.post("ideas", "/ideas", an_idea(**fields), who=author)
        idea_id = UUID(idea["idea_id"])
        await self.post("ideas", f"/ideas/{idea_id}/submit", who=author)
        await self.post("ideas", f"/ideas/{idea_id}/publish")
        return idea_id

    # What notifications says

    async def totals(self, subject_id: UUID) -> dict[str, Any] | None:
        """The counts of a subject; None where nothing was received of it yet."""
        answer = await self.ask("notifications", "GET", f"/subjects/{subject_id}/totals")
        if answer.status_code == 404:
            return None
        assert answer.status_code == 200, answer.text
        totals: dict[str, Any] = answer.json()
        return totals

    async def until_alerted(self, subject_id: UUID, *, version: int = 2) -> Any:
        """Wait until everybody has been alerted of this version or a later one: the counts then."""

        async def look() -> dict[str, Any] | None:
            totals = await self.totals(subject_id)
            return totals if totals and (totals["notified_version"] or 0) >= version else None

        return await self.eventually(look)

    async def recipients(self, subject_id: UUID) -> dict[UUID, str]:
        """Who has the first alert of a subject, with the verdict."""
        path = f"/subjects/{subject_id}/recipients"
        found: dict[UUID, str] = {}
        async for item in self.pages("notifications", path, limit=1000):
            who = UUID(item["cooperative_id"])
            assert who not in found
            found[who] = item["verdict"]
        return found

    async def alerts_of(
        self, cooperative_id: UUID, *, about: UUID | None = None, **query: Any
    ) -> list[dict[str, Any]]:
        """The inbox of a cooperative, newest first; `about` narrows it to one subject."""
        path = f"/cooperatives/{cooperative_id}/alerts"
        page = await self.get("notifications", path, limit=200, **query)
        return [a for a in page["items"] if about is None or a["subject_id"] == str(about)]

    async def audience_counts(self, cooperatives: int) -> None:
        """Wait until notifications knows so many cooperatives, and alerted those who now match."""

        async def look() -> bool:
            if (await self.audience())["cooperatives"] != cooperatives:
                return False
            async with self.database("notifications") as connection:
                return not await connection.fetchval("SELECT count(*) FROM audience_change")

        await self.eventually(look)

    async def audience(self) -> dict[str, Any]:
        found: dict[str, Any] = await self.get("notifications", "/audience")
        return found

    # Partners

    async def subscribe(self, partner: Partner, **wanted: Any) -> UUID:
        answer = await self.post("notifications", "/subscriptions", wanted, who=partner)
        return UUID(answer["subscription_id"])

    async def feed(self, partner: Partner, *, after: str = "0") -> list[dict[str, Any]]:
        page = await self.get("notifications", "/feed", who=partner, after=after, limit=1000)
        items: list[dict[str, Any]] = page["items"]
        return items

    async def fed(self, partner: Partner, count: int) -> Any:
        """Wait until the feed holds so many events, or more: all of them."""

        async def look() -> list[dict[str, Any]] | None:
            items = await self.feed(partner)
            return items if len(items) >= count else None

        return await self.eventually(look)

    async def request_partner_queue(self, partner: Partner) -> PartnerQueue:
        """Ask for a queue, or for a new password, and wait until the credentials work."""
        asked = await self.post("notifications", "/partner-queue", who=partner)

        async def look() -> bool:
            partner_queue = await self.get("notifications", "/partner-queue", who=partner)
            return bool(partner_queue["state"] == "ready")

        await self.eventually(look)
        username, password = asked["username"], asked["password"]
        url = self.stack.broker.found.amqp_url(username, password, PARTNER_VHOST)
        return PartnerQueue(url, asked["queue"], username, password)

    async def received(
        self, partner_queue: PartnerQueue, count: int, *, refuse: bool = False
    ) -> list[AbstractIncomingMessage]:
        """The next messages of a partner's queue, read with the partner's own login."""
        messages: list[AbstractIncomingMessage] = []
        connection = await aio_pika.connect(partner_queue.url)
        async with connection:
            channel = await connection.channel()
            queue = await channel.get_queue(partner_queue.queue, ensure=False)
            async with queue.iterator(timeout=PATIENCE) as arriving:
                async for message in arriving:
                    await (message.reject() if refuse else message.ack())
                    messages.append(message)
                    if len(messages) == count:
                        break
        return messages

    async def listen(self, partner_queue: PartnerQueue, count: int) -> list[dict[str, Any]]:
        """What `taawon partner listen` prints, run with nothing but the partner's own login."""
        # Not one setting of ours: a partner's machine has none.
        env = {name: value for name, value in os.environ.items() if not name.startswith("TAAWON_")}
        code, out, messages = await self.run(
            "partner",
            "listen",
            partner_queue.url,
            partner_queue.queue,
            "--count",
            str(count),
            env=env,
        )
        assert code == 0, messages
        return [json.loads(line) for line in out.splitlines()]

    # The oracle

    async def register(self, *paths: Path) -> dict[UUID, Profile]:
        """The records of these files, or of all that were handed out, under the registry's ids.

        What a later file says of a cooperative replaces what an earlier one said.
        """
        files = paths or tuple(self.files)
        if files != self._known[0]:
            profiles: dict[register_files.Identity, Profile] = {}
            for path in files:
                profiles |= await asyncio.to_thread(register_files.read_profiles, path)
            ids = await self._ids()
            self._known = files, {ids[who]: known for who, known in profiles.items()}
        return self._known[1]

    async def _ids(self) -> dict[register_files.Identity, UUID]:
        return {
            (item["court"], item["local_register_no"]): UUID(item["cooperative_id"])
            async for item in self.pages("registry", "/cooperatives", limit=200)
        }

    async def expected(
        self, subject_id: UUID, register: dict[UUID, Profile] | None = None
    ) -> dict[UUID, str]:
        """Who should be alerted of a call or an idea, by the evaluator over the files alone.

        `register` is an earlier state; without it, the present one counts.
        """
        owned = await self.snapshot(subject_id)
        content = (
            announcement_of_call(owned)
            if isinstance(owned, CallSnapshot)
            else announcement_of_idea(owned, occurred_at=now())
        )
        tracks = audience_tracks(content)
        known = await self.register() if register is None else register
        return register_files.matching(known, tracks, content.reference_on)

    async def snapshot(self, subject_id: UUID) -> CallSnapshot | IdeaSnapshot:
        """A call or an idea as the service that owns it shows it."""
        answer = await self.ask("funding", "GET", f"/calls/{subject_id}")
        if answer.status_code == 200:
            return CallSnapshot.model_validate(answer.json())
        return IdeaSnapshot.model_validate(await self.get("ideas", f"/ideas/{subject_id}"))

    # The broker

    async def publish_event(self, event: Event, *, service: str = "funding") -> None:
        """Publish an event as that service's relay does, with its own broker user."""
        await self.publish(service, event.topic, event.event_id, event.model_dump_json().encode())

    async def publish(
        self,
        service: str,
        topic: str,
        event_id: UUID | str,
        body: bytes,
        *,
        routing_key: str | None = None,
        headers: dict[str, Any] | None = None,
    ) -> None:
        """Publish any bytes to the exchange of events, with the service's own broker user."""
        url = self.stack.broker.url_of(service, vhost=VHOST)
        message = wire.message(
            event_id=event_id,  # type: ignore[arg-type]  # a wrong one is part of some stories
            topic=topic,
            occurred_at=now(),
            body=body,
            headers=headers or {},
            service=service,
            user=service,
        )
        publisher = Publisher(url, name="journey")
        try:
            await publisher.publish_one(Outgoing(message, EVENTS, routing_key or topic))
        finally:
            await publisher.close()

    # Looking deeper

    async def eventually(self, look: Callable[[], Any], *, within: float = PATIENCE) -> Any:
        """Wait until what is seen is truthy, and return it."""
        return await eventually(look, within=within, every=0.1)

    @asynccontextmanager
    async def database(self, service: str) -> AsyncIterator[asyncpg.Connection]:
        """A connection as the service's own role."""
        if service not in self._database_urls:
            url = await asyncio.to_thread(self.stack.database_url, service)
            plain = make_url(url).set(drivername="postgresql")
            self._database_urls[service] = plain.render_as_string(hide_password=False)
        connection = await asyncpg.connect(self._database_urls[service])
        try:
            yield connection
        finally:
            await connection.close()

    def log_lines(self, name: str, **fields: Any) -> list[dict[str, Any]]:
        """The structured log lines of a process that have all these fields."""
        lines = self.stack.process(name).log.read_text(errors="replace").splitlines()
        parsed = [json.loads(line) for line in lines if line.startswith("{")]
        return [line for line in parsed if fields.items() <= line.items()]

    async def metric(self, service: str, name: str, **labels: str) -> float:
        """The present value of a counter; 0 where it has not counted yet."""
        answer = await self.http.get(f"{self.stack.internal_url(service)}/metrics")
        wanted = {f'{label}="{value}"' for label, value in labels.items()}
        return sum(_values(answer.text.splitlines(), name, wanted))


def _values(lines: Iterable[str], name: str, wanted: set[str]) -> list[float]:
    found = []
    for line in lines:
        series, _, value = line.rpartition(" ")
        metric, _, labels = series.partition("{")
        if metric == name and wanted <= set(labels.rstrip("}").split(",")):
            found.append(float(value))
    return found
