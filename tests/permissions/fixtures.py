"""A small world per service in which every record has an owner, and others beside it."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.resources import files
from typing import Any

import httpx
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_sessionmaker

from devkit import pytest_plugin
from devkit.pytest_plugin import Tokens
from notifications.audience import handlers as audience_handlers
from notifications.fanout import handlers
from notifications.partners import handlers as partners_handlers
from notifications.partners.domain.partner_queue import Door, DoorState
from registry.identity.domain.accounts import Account
from registry.privacy.usecases.answers import note_answer
from shared.contracts.catalogue import ANSWERS
from shared.contracts.funding import CallOpened
from shared.contracts.registry import CooperativeRecord, CooperativesImported, partner_id_of
from shared.kernel.data.tables import ReplayRow
from shared.kernel.service.app import build
from shared.kernel.service.spec import spec_of
from shared.kernel.settings import Settings

from .rows import CALLERS

Headers = dict[str, str]
HERE = ["MA-AGD", "MA-CHT", "MA-INE", "MA-TAR", "MA-TAT", "MA-TIZ"]
ELSEWHERE = ["MA-TNG"]
COOPERATIVE, OTHER, ACCOUNT = (uuid.UUID(int=number) for number in (11, 12, 13))
OPERATOR, PARTNER = (uuid.UUID(int=number) for number in (14, 15))
"""Callers whose own record is read before they change accounts or clients."""
PERSONAL = (
    "walk-president",
    "+212600000099",
    "walk-person@taawon.example",
    "a walked password",
    "walk-subject",
)
"""What is known of people in these worlds; no audit row may hold any of it."""


@dataclass
class World:
    """An application on a database of its own state, with the callers and the records by name."""

    service: str
    app: FastAPI
    http: httpx.AsyncClient
    connection: AsyncConnection
    sessions: async_sessionmaker[AsyncSession]
    tokens: Tokens
    names: dict[str, str] = field(default_factory=dict)
    cooperative: uuid.UUID = COOPERATIVE

    def headers(self, caller: str) -> Headers:
        """How this caller introduces itself."""
        issue = self.tokens.headers
        made: dict[str, Callable[[], Headers]] = {
            "operator": lambda: issue("operator", subject=OPERATOR),
            "delegate of the province": lambda: issue("delegate", provinces=HERE),
            "delegate of another": lambda: issue("delegate", provinces=ELSEWHERE),
            "the partner": lambda: issue("partner", partner="oasis", subject=PARTNER),
            "another partner": lambda: issue("partner", partner="atlas"),
            "the cooperative": lambda: issue("cooperative", cooperatives=[self.cooperative]),
            "another cooperative": lambda: issue("cooperative", cooperatives=[OTHER]),
            "the account itself": lambda: issue("holder", subject=self.account),
            "holder": lambda: issue("holder"),
            "juror": lambda: issue("juror"),
            "reviewer": lambda: issue("reviewer"),
            # What a role would act for, without the role.
            "no role": lambda: issue(
                provinces=HERE, partner="oasis", cooperatives=[self.cooperative]
            ),
            "no token": dict,
        }
        assert made.keys() == set(CALLERS)
        return made[caller]()

    @property
    def account(self) -> uuid.UUID:
        return uuid.UUID(self.names.get("account_id", str(ACCOUNT)))

    async def done(self, method: str, path: str, caller: str = "operator", **more: Any) -> Any:
        """A step of the making; it has to succeed."""
        answer = await self.http.request(method, path, headers=self.headers(caller), **more)
        assert answer.is_success, (path, answer.text)
        return answer.json() if answer.content else None


async def on_record(world: World) -> None:
    """The accounts of those who call as operator and as partner."""
    known = {OPERATOR: (["operator"], None), PARTNER: (["partner"], "oasis")}
    sealer = world.app.state.runtime.sealer
    async with world.sessions.begin() as session:
        for subject, (roles, partner) in known.items():
            session.add(
                Account(
                    id=subject,
                    email_sealed=sealer.seal({"email": f"{subject}@taawon.example"}),
                    email_mark=str(subject),
                    password_hash="",
                    roles=roles,
                    partner=partner,
                    created_at=datetime.now(UTC),
                )
            )


async def registry_world(world: World) -> None:
    """A cooperative in Tiznit, two partners with a client; accounts: one disabled, one erased."""
    await on_record(world)
    for slug in ("oasis", "atlas"):
        body = {"slug": slug, "name": {"fr": "Essai", "ar": "تجربة"}, "kind": "bank"}
        partner = await world.done("POST", "/partners", json=body)
        client = await world.done("POST", f"/partners/{slug}/clients", json={"label": "x"})
        if slug == "oasis":
            world.names |= {"slug": slug, "partner_id": partner["partner_id"], **client}
    entered = {
        "court": "TPI Tiznit",
        "local_register_no": "walk/1",
        "province": "MA-TIZ",
        "name_fr": "Coopérative d'essai",
        "contact": {"president": PERSONAL[0], "phone": PERSONAL[1], "email": PERSONAL[2]},
    }
    cooperative = await world.done("POST", "/cooperatives", json=entered)
    world.cooperative = uuid.UUID(cooperative["cooperative_id"])
    person = {"email": PERSONAL[2], "password": PERSONAL[3], "roles": ["holder"]}
    account = await world.done("POST", "/accounts", json=person)
    other = person | {"email": "walk-other@taawon.example"}
    disabled = await world.done("POST", "/accounts", json=other)
    await world.done("POST", f"/accounts/{disabled['account_id']}/disable")
    gone = await world.done(
        "POST", "/accounts", json=person | {"email": "walk-gone@taawon.example"}
    )
    erasure = {"kind": "erasure", "ground": "person", "reference": "2026/0"}
    await world.done(
        "POST", "/persons/requests", json=erasure | {"account_ids": [gone["account_id"]]}
    )
    identity = await world.done(
        "POST",
        f"/accounts/{account['account_id']}/identities",
        json={"issuer": "https://id.example", "subject": PERSONAL[-1]},
    )
    loaded = await world.http.post(
        "/imports",
        content="court,local_register_no,name_fr,province\nTPI Tiznit,walk/2,X,MA-TIZ\n",
        headers={**world.headers("operator"), "content-type": "text/csv"},
    )
    report = json.loads(loaded.text.splitlines()[-1])["report"]
    world.names |= {
        "cooperative_id": cooperative["cooperative_id"],
        "account_id": account["account_id"],
        "disabled": disabled["account_id"],
        "erased": gone["account_id"],
        "identity_id": identity["identity_id"],
        "import_id": report["import_id"],
        "record_id": cooperative["cooperative_id"],
    }
    asked = {"kind": "access", "ground": "person", "reference": "2026/1"}
    asked["cooperative_ids"] = [cooperative["cooperative_id"]]
    request = await world.done("POST", "/persons/requests", json=asked)
    world.names["request_id"] = request["request_id"]
    async with world.sessions.begin() as session:
        for answer in ANSWERS:
            answered = answer(request_id=request["request_id"], kind="access")
            await note_answer(session, answered)


async def ideas_world(world: World) -> None:
    """Ideas of an account in every state, in Souss-Massa."""
    content = {
        "title": {"fr": "Argan", "ar": "أركان"},
        "summary": {"fr": "Un lot.", "ar": "دفعة."},
        "regions": ["MA-09"],
    }
    for name in ("draft", "submitted", "published"):
        idea = await world.done("POST", "/ideas", "the account itself", json=content)
        world.names[name] = idea["idea_id"]
    for name in ("submitted", "published"):
        path = f"/ideas/{world.names[name]}/submit"
        await world.done("POST", path, "the account itself")
    await world.done("POST", f"/ideas/{world.names['published']}/publish")
    filed = await world.done(
        "POST", "/ideas", json=content | {"on_behalf_of": str(world.cooperative)}
    )
    world.names |= {
        "filed": filed["idea_id"],
        "idea_id": world.names["submitted"],
        "record_id": world.names["submitted"],
    }


async def funding_world(world: World) -> None:
    """A draft and an open call of the partner."""
    later = (datetime.now(UTC) + timedelta(days=30)).strftime("%Y-%m-%dT%H:%M")
    terms = {
        "funder": "Essai",
        "title": {"fr": "Appel", "ar": "طلب"},
        "summary": {"fr": "Un appel.", "ar": "طلب."},
        "tracks": [{"name": {"fr": "A", "ar": "أ"}, "criteria": {"provinces": ["MA-TIZ"]}}],
        "deadline": {"local": later, "zone": "Africa/Casablanca"},
    }
    for name in ("draft", "open"):
        call = await world.done("POST", "/calls", "the partner", json=terms)
        world.names[name] = call["call_id"]
    await world.done("POST", f"/calls/{world.names['open']}/open", "the partner")
    much_later = (datetime.now(UTC) + timedelta(days=60)).strftime("%Y-%m-%dT%H:%M")
    world.names |= {
        "call_id": world.names["open"],
        "record_id": world.names["open"],
        "terms": json.dumps(terms),
        "much_later": much_later,
    }


async def notifications_world(world: World) -> None:
    """A cooperative that was told of a call, and a partner with a subscription and a feed."""
    sample = files("shared.contracts") / "samples" / "funding.call.opened.v1.json"
    call = CallOpened.model_validate_json(sample.read_text(encoding="utf-8"))
    everyone = call.call.tracks[0].model_copy(
        update={"criteria": type(call.call.tracks[0].criteria)(provinces=("MA-TIZ",))}
    )
    call = call.model_copy(update={"call": call.call.model_copy(update={"tracks": (everyone,)})})
    record = CooperativeRecord(
        cooperative_id=world.cooperative,
        version=1,
        name_fr="Coopérative d'essai",
        region="MA-09",
        province="MA-TIZ",
        language="fr",
    )
    batch = CooperativesImported(
        batch_id=uuid.uuid4(), import_id=uuid.uuid4(), cooperatives=(record,)
    )
    made = await world.done("POST", "/subscriptions", "the partner", json={})
    async with world.sessions.begin() as session:
        await audience_handlers.keep_imported_cooperatives(batch, session)
        await handlers.follow_call(call, session)
        await partners_handlers.feed_partners(call, session)
        session.add(
            Door(
                slug="oasis",
                queue="p.oasis.walk.events",
                username="p-oasis",
                password_hash="x",
                state=DoorState.READY,
                delivered_position=1,
                requested_at=datetime.now(UTC),
            )
        )
    inbox = await world.done("GET", f"/cooperatives/{world.cooperative}/alerts")
    world.names |= {
        "cooperative_id": str(world.cooperative),
        "subject_id": str(call.call_id),
        "number": str(inbox["items"][0]["number"]),
        "subscription_id": made["subscription_id"],
        "record_id": str(world.cooperative),
        "slug": "oasis",
        "partner_id": str(partner_id_of("oasis")),
    }


async def a_replay(world: World) -> None:
    """A run that nobody works off."""
    run = uuid.uuid4()
    async with world.sessions.begin() as session:
        session.add(
            ReplayRow(run=run, kind="log", queue="x.y", topics=[], asked_by="walk", reason="walk")
        )
    world.names["run"] = str(run)


MAKERS: dict[str, Callable[[World], Awaitable[None]]] = {
    "registry": registry_world,
    "ideas": ideas_world,
    "funding": funding_world,
    "notifications": notifications_world,
}


def app_of(service: str, settings: Settings) -> FastAPI:
    """The application of an installed service."""
    return build(spec_of(service), settings)


@asynccontextmanager
async def world_of(service: str, url: str, tokens: Tokens) -> AsyncIterator[World]:
    """The service with its world in one transaction that is rolled back at the end."""
    async with pytest_plugin.api(partial(app_of, service), service, url, tokens) as door:
        connection = door.sessions.kw["bind"]
        world = World(service, door.app, door.http, connection, door.sessions, tokens)
        world.names["id"] = str(uuid.UUID(int=7))
        await a_replay(world)
        await MAKERS[service](world)
        yield world
