"""A person in the whole system: nowhere in clear, shown what is held, and erased for good."""

from __future__ import annotations

import asyncio
import csv
import json
import re
import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import aio_pika
import pytest

from devkit.stack import Stack
from devkit.stack_layout import SERVICES
from shared.contracts.base import MOST_EVENT_BYTES
from shared.kernel.encryption.sealer import Sealer, Unreadable
from shared.kernel.messaging.addresses import PARTNER_VHOST, VHOST
from shared.kernel.messaging.management import Management

from .request_bodies import a_track, unique
from .stories import Partner, Story

CIPHERTEXT = re.compile(rb"[0-9a-f]{8}[.]gAAAA[A-Za-z0-9_-]{40,}={0,2}")
OBSTACLE = """
CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'not now'; END $$;
CREATE TRIGGER {name} BEFORE UPDATE ON audience FOR EACH ROW
    WHEN (NEW.cooperative_id = '{cooperative}') EXECUTE FUNCTION {name}();
"""


@dataclass
class Somebody:
    """A person of this journey alone, whose values can be nowhere by chance."""

    number: str = field(default_factory=lambda: f"661{secrets.randbelow(10**6):06d}")
    word: str = field(default_factory=lambda: f"zz{secrets.token_hex(6)}")

    @property
    def email(self) -> str:
        return f"{self.word}@personne.example"

    @property
    def phone(self) -> str:
        return f"+212{self.number}"

    @property
    def name(self) -> str:
        return f"Essai {self.word.upper()}"

    @property
    def needles(self) -> list[bytes]:
        """However it is written: with or without country, in any case, as text or as hex of it."""
        plain = [self.number.encode(), self.word.encode(), self.word.upper().encode()]
        return [*plain, *(each.hex().encode() for each in plain)]


def found_in(content: bytes, needles: Iterable[bytes]) -> bool:
    return any(needle in content for needle in needles)


class Search:
    """Everything that the system keeps or passes on, by place."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.stack: Stack = story.stack
        self.known: dict[bytes, bytes] = {}

    async def places(self, needles: list[bytes]) -> list[str]:
        """Where any of it is found."""
        hits = await asyncio.to_thread(self._on_disk, needles)
        async for place, content in self.dumps():
            hits += [place] if found_in(content, needles) else []
        async for place, content in self.messages():
            hits += [place] if found_in(content, needles) else []
        return hits

    def _on_disk(self, needles: list[bytes]) -> list[str]:
        """Raw bytes of the broker and of PostgreSQL, logs of all processes, state files."""
        hits = []
        for path in sorted(self.stack.folder.rglob("*")):
            try:
                content = path.read_bytes() if path.is_file() else b""
            except OSError:
                continue  # gone since it was listed
            if found_in(content, needles):
                hits.append(str(path.relative_to(self.stack.folder)))
        return hits

    async def dumps(self) -> AsyncIterator[tuple[str, bytes]]:
        """Every table of every database."""
        for service in SERVICES:
            async with self.story.database(service) as connection:
                names = await connection.fetch(
                    "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
                )
                for (name,) in names:
                    rows: list[bytes] = []

                    async def keep(chunk: bytes, rows: list[bytes] = rows) -> None:
                        rows.append(chunk)

                    await connection.copy_from_table(name, output=keep)
                    yield f"{service}.{name}", b"".join(rows)

    async def messages(self) -> AsyncIterator[tuple[str, bytes]]:
        """What lies in any queue, dead, retry, unrouted and partner queues included."""
        management = Management.of_url(self.stack.broker.management_url())
        for vhost in (VHOST, PARTNER_VHOST):
            found = await asyncio.to_thread(management.get, f"queues/{quote(vhost, safe='')}")
            # Taken and never acknowledged: they go back when the connection ends.
            connection = await aio_pika.connect(self.stack.broker.admin_url(vhost))
            async with connection:
                for queue in found:
                    async for content in taken(connection, queue["name"]):
                        yield f"queue {queue['name']}", content

    async def opened(self, sealer: Sealer, needles: list[bytes]) -> list[str]:
        """Tables with ciphertext that opens to any of it."""
        hits = []
        async for place, content in self.dumps():
            if any(found_in(clear, needles) for clear in opened_in(content, sealer, self.known)):
                hits.append(place)
        return hits


async def taken(connection: aio_pika.abc.AbstractConnection, queue: str) -> AsyncIterator[bytes]:
    channel = await connection.channel()
    source = await channel.get_queue(queue, ensure=False)
    while (message := await source.get(fail=False)) is not None:
        yield message.body + json.dumps(message.headers, default=str).encode()


def opened_in(content: bytes, sealer: Sealer, known: dict[bytes, bytes]) -> list[bytes]:
    """What the ciphertext in a dump says; bodies of events are dumped as hex."""
    texts = [content, *(bytes.fromhex(h.decode()) for h in HEX.findall(content))]
    found = {token for text in texts for token in CIPHERTEXT.findall(text)}
    for token in found - known.keys():
        try:
            known[token] = json.dumps(sealer.open(token.decode())).encode()
        except Unreadable:
            known[token] = b""
    return [known[token] for token in found]


HEX = re.compile(rb"\\\\x((?:[0-9a-f]{2})+)")


@pytest.fixture
def person() -> Somebody:
    return Somebody()


@pytest.fixture
def sealer(story: Story) -> Sealer:
    return Sealer([story.stack.seal_key()])


def a_register(folder: Path, court: str, *people: Somebody) -> Path:
    """One good row per person, rows whose columns are shifted, and a header that names somebody."""
    path = folder / "people.csv"
    names = ["local_register_no", "court", "name_fr", "province", "sector"]
    names += ["members_total", "president", "phone", "email"]
    rows = [
        [f"{n}/2024", court, "Coop", "MA-TIZ", "ARGAN", "10", who.name, who.phone, who.email]
        for n, who in enumerate(people, 1)
    ]
    shifted = people[0]
    for n, cell in enumerate((shifted.phone, shifted.name, shifted.email), 7):
        rows.append([f"{n}/2024", court, "Coop", "MA-TIZ", "ARGAN", cell, "", "", ""])
    rows.append(["10/2024", court, "Coop", shifted.name, "ARGAN", "10", "", "", ""])
    names.append(shifted.name)
    rows = [[*row, ""] for row in rows]
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([names, *rows])
    return path


async def ids_of(story: Story, court: str) -> dict[str, UUID]:
    async with story.database("registry") as connection:
        rows = await connection.fetch(
            "SELECT local_register_no, id FROM cooperative WHERE court = $1", court
        )
    return {row["local_register_no"]: row["id"] for row in rows}


async def audience(story: Story, cooperative_id: UUID) -> tuple[int, bool]:
    """The version that notifications knows, and whether a contact is with it."""
    async with story.database("notifications") as connection:
        row = await connection.fetchrow(
            "SELECT version, contact_sealed FROM audience WHERE cooperative_id = $1",
            cooperative_id,
        )
    return (row["version"], row["contact_sealed"] is not None) if row else (0, False)


async def kept_event(story: Story, topic: str, cooperative_id: UUID) -> bytes:
    """The newest event of a cooperative in the registry's log."""
    async with story.database("registry") as connection:
        query = "SELECT body FROM outbox WHERE topic = $1 AND position($2 IN body) > 0"
        found = await connection.fetchval(
            f"{query} ORDER BY seq DESC LIMIT 1", topic, str(cooperative_id).encode()
        )
    return bytes(found)


@asynccontextmanager
async def dead_letter(story: Story, cooperative_id: UUID, phone: str) -> AsyncIterator[int]:
    """A changed contact that notifications could not process: the number of its dead letter."""
    name = f"journey_{secrets.token_hex(4)}"
    async with story.database("notifications") as connection:
        await connection.execute(OBSTACLE.format(name=name, cooperative=cooperative_id))
        try:
            path = f"/cooperatives/{cooperative_id}"
            changed = await story.ask("registry", "PATCH", path, json={"contact": {"phone": phone}})
            assert changed.status_code == 200, changed.text

            async def look() -> int | None:
                query = "SELECT id FROM dead_letter WHERE position($1 IN body) > 0"
                found: int | None = await connection.fetchval(query, str(cooperative_id).encode())
                return found

            yield await story.eventually(look)
        finally:
            await connection.execute(f"DROP FUNCTION {name} CASCADE")


async def asked(story: Story, command: str, request: dict[str, Any]) -> dict[str, Any]:
    """A request by command for all records that it finds; who it is comes by standard input."""
    named = ("--reference", "2026/114")
    proposed = await person_command(story, command, *named, given=json.dumps(request))
    shared = [each["id"] for each in proposed["records"] if each["is_shared"]]
    chosen = [part for each in shared for part in ("--include", each)]
    return await person_command(story, command, "--yes", proposed["request_id"], *chosen)


async def person_command(story: Story, *command: str, given: str = "") -> dict[str, Any]:
    """What `taawon person` answers for machines."""
    out = await story.taawon("person", *command, "--json", service="registry", given=given)
    found: dict[str, Any] = json.loads(out)
    return found


async def completed(story: Story, request_id: str) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        seen: dict[str, Any] = await story.get("registry", f"/persons/requests/{request_id}")
        return seen if seen["state"] == "completed" else None

    found: dict[str, Any] = await story.eventually(look)
    return found


async def a_reading_partner(story: Story) -> Partner:
    partner = await story.register_partner()
    await story.subscribe(partner)
    await story.request_partner_queue(partner)
    return partner


async def test_a_person_is_nowhere_in_clear_and_after_an_erasure_nowhere_at_all(
    story: Story, person: Somebody, sealer: Sealer, tmp_path: Path
) -> None:
    search, court, other = Search(story), unique("TPI"), Somebody()
    file = a_register(tmp_path, court, person, person, other)
    story.files.append(file)  # these stay in the register of all journeys
    await a_reading_partner(story)
    await story.run("register", "import", str(file), service="registry")
    cooperatives = await ids_of(story, court)
    first, second, others = (cooperatives[f"{n}/2024"] for n in (1, 2, 3))
    account = {"email": person.email, "password": secrets.token_urlsafe(12), "roles": ["holder"]}
    account_id = (await story.post("registry", "/accounts", account))["account_id"]
    author = await story.sign_in(person.email, account["password"])
    wrong = {"grant_type": "password", "username": person.email, "password": "a wrong password"}
    await story.http.post(f"{story.stack.url('registry')}/token", data=wrong)
    await story.publish_idea(author=author, sectors=["ARGAN"])
    await story.until_alerted(
        await story.open_call(a_track(provinces=["MA-TIZ"], sectors=["ARGAN"]))
    )
    await story.eventually(lambda: known(story, first, 1))
    old_event = await kept_event(story, "registry.cooperatives.imported.v1", second)
    async with dead_letter(
        story, first, person.phone.replace("+212661", "+212662")
    ) as dead_letter_number:
        pass

    access = await asked(story, "access", {"email": person.email})
    await completed(story, access["request_id"])
    report = json.loads(await story.taawon("person", "report", access["request_id"],
                                           service="registry"))  # fmt: skip

    held = report["services"]
    assert held["registry"]["held"]["accounts"][0]["email"] == person.email
    assert [each["contact"]["president"] for each in held["notifications"]["held"]["contacts"]] == [
        person.name,
        person.name,
    ]
    assert {each["action"] for each in held["ideas"]["actions"]} >= {"idea drafted"}
    assert [each["state"] for each in held["ideas"]["records"]] == ["published"]
    assert await search.places([*person.needles, *other.needles]) == []
    assert await search.opened(sealer, person.needles) != []

    await asyncio.to_thread(story.stack.process("funding").stop, grace=10)
    erasure = await asked(story, "erase", {"email": person.email, "phone": person.phone})
    waiting = await story.eventually(lambda: answered_but(story, erasure["request_id"], "funding"))
    await asyncio.to_thread(story.stack.start_service, "funding")
    done = await completed(story, erasure["request_id"])

    assert set(erasure["cooperative_ids"]) == {str(first), str(second)}
    assert erasure["account_ids"] == [account_id]
    assert waiting["waiting_for"] == ["funding"]
    assert {each["service"] for each in done["answers"]} == set(SERVICES)
    assert [await audience(story, each) for each in (first, second)] == [(3, False), (2, False)]
    assert await search.opened(sealer, person.needles) == []
    assert await search.opened(sealer, other.needles) != []

    await story.publish("registry", "registry.cooperatives.imported.v1", uuid4(), old_event)
    who = ("--who", "journey", "--reason", "after the erasure")
    await story.taawon("dead-letters", "redrive", "notifications", str(dead_letter_number), *who,
                       service="notifications")  # fmt: skip
    again = await asked(story, "erase", {"email": person.email})
    await completed(story, again["request_id"])
    _, out, _ = await story.run("register", "import", str(file), "--json", service="registry")

    assert again["cooperative_ids"] == again["account_ids"] == []
    assert json.loads(out)["rows_changed"] == 0
    assert [await audience(story, each) for each in (first, second)] == [(3, False), (2, False)]
    assert await audience(story, others) == (1, True)
    assert await search.opened(sealer, person.needles) == []
    assert await search.places([*person.needles, *other.needles]) == []


async def known(story: Story, cooperative_id: UUID, version: int) -> bool:
    return (await audience(story, cooperative_id))[0] >= version


async def answered_but(story: Story, request_id: str, service: str) -> dict[str, Any] | None:
    """The request, once every service but this one has answered."""
    out = await story.taawon("person", "status", request_id, "--json", service="registry")
    seen: dict[str, Any] = json.loads(out)
    return seen if seen["waiting_for"] == [service] else None


async def test_the_search_finds_what_is_planted_anywhere(story: Story) -> None:
    """Otherwise finding nothing would prove nothing."""
    search, planted = Search(story), Somebody()
    body = json.dumps({"email": planted.email}).encode()
    topic = "registry.cooperative.planted.v1"
    log = story.stack.folder / "processes" / "planted.log"
    await asyncio.to_thread(log.write_text, planted.phone)
    await story.publish("registry", topic, uuid4(), body)
    async with story.database("ideas") as connection:
        values = "'ideas.planted', $1, $2, '{}', 'planted', now(), now()"
        columns = "queue, message_key, body, headers, error, first_failed_at, last_failed_at"
        await connection.execute(
            f"INSERT INTO dead_letter ({columns}) VALUES ({values})", planted.word, body
        )

        async def places() -> set[str]:
            found = set(await search.places(planted.needles))
            kinds = {place.split("/")[0] for place in found}
            return kinds if {"queue taawon.unrouted", "rabbitmq"} <= kinds else set()

        try:
            found = await story.eventually(places)
        finally:
            await connection.execute("DELETE FROM dead_letter WHERE queue = 'ideas.planted'")
            await asyncio.to_thread(log.unlink)

    assert found >= {"processes", "rabbitmq", "ideas.dead_letter", "queue taawon.unrouted"}


async def test_a_person_of_hundreds_of_cooperatives_gets_a_report_of_them_all(
    story: Story, person: Somebody, tmp_path: Path
) -> None:
    """More than one event may carry: the registry answers itself in parts."""
    court = unique("TPI")
    file = a_long_register(tmp_path, court, person, count=600)
    story.files.append(file)
    await story.run("register", "import", str(file), service="registry")

    access = await asked(story, "access", {"email": person.email})
    await completed(story, access["request_id"])
    path = f"/persons/requests/{access['request_id']}/report"
    held = (await story.post("registry", path))["services"]["registry"]["held"]

    ids = {str(each) for each in (await ids_of(story, court)).values()}
    assert [each["contact"]["email"] for each in held["contacts"]] == [person.email] * 600
    assert {each["cooperative_id"] for each in held["contacts"]} == ids
    assert len(json.dumps(held, ensure_ascii=False).encode()) > MOST_EVENT_BYTES
    assert await parts_of_answer(story, access["request_id"]) > 1


def a_long_register(folder: Path, court: str, who: Somebody, *, count: int) -> Path:
    """Cooperatives with names as long as they may be, and one contact."""
    path = folder / "long.csv"
    names = ["local_register_no", "court", "name_fr", "name_ar", "province", "sector"]
    names += ["members_total", "president", "phone", "email"]
    name = ["é" * 480, "ت" * 480]
    rows = [
        [f"{n}/2024", court, *name, "MA-TIZ", "ARGAN", "10", who.name, who.phone, who.email]
        for n in range(1, count + 1)
    ]
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([names, *rows])
    return path


async def parts_of_answer(story: Story, request_id: str) -> int:
    """How many events the registry's answer was divided into."""
    async with story.database("registry") as connection:
        query = "SELECT max(parts) FROM person_response WHERE request_id = $1"
        return int(await connection.fetchval(query, UUID(request_id)))
