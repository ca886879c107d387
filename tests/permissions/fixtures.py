"""A few records per service, each with an owner and with others who do not own it."""

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
from notifications.partners.domain.partner_queue import PartnerQueue, PartnerQueueState
from registry.identity.domain.accounts import Account
from registry.privacy.usecases.person_responses import record_response
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
"""What these records say of people; no audit row may hold any of it."""


@dataclass
class Fixture:
    """An application with its database, its callers, and the ids of its records by name."""

    service: str
    app: FastAPI
    http: httpx.AsyncClient
    connection: AsyncConnection
    sessions: async_sessionmaker[AsyncSession]
    tokens: Tokens
    names: dict[str, str] = field(default_factory=dict)
    cooperative: uuid.UUID = COOPERATIVE

    def headers(self, caller: str) -> Headers:
        """The headers with the token of this caller."""
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
        """The answer to a request that prepares the records; it has to succeed."""
        answer = await self.http.request(method, path, headers=self.headers(caller), **more)
        assert answer.is_success, (path, answer.text)
        return answer.json() if answer.content else None


async def add_accounts_of_callers(fixture: Fixture) -> None:
    """The accounts of those who call as operator and as partner."""
    known = {OPERATOR: (["operator"], None), PARTNER: (["partner"], "oasis")}
    sealer = fixture.app.state.runtime.sealer
    async with fixture.sessions.begin() as session:
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


async def registry_fixture(fixture: Fixture) -> None:
    """A cooperative in Tiznit, two partners with a client; accounts: one disabled, one erased."""
    await add_accounts_of_callers(fixture)
    for slug in ("oasis", "atlas"):
        body = {"slug": slug, "name": {"fr": "Essai", "ar": "تجربة"}, "kind": "bank"}
        partner = await fixture.done("POST", "/partners", json=body)
        client = await fixture.done("POST", f"/partners/{slug}/clients", json={"label": "x"})
        if slug == "oasis":
            fixture.names |= {"slug": slug, "partner_id": partner["partner_id"], **client}
    entered = {
        "court": "TPI Tiznit",
        "local_register_no": "walk/1",
        "province": "MA-TIZ",
        "name_fr": "Coopérative d'essai",
        "contact": {"president": PERSONAL[0], "phone": PERSONAL[1], "email": PERSONAL[2]},
    }
    cooperative = await fixture.done("POST", "/cooperatives", json=entered)
    fixture.cooperative = uuid.UUID(cooperative["cooperative_id"])
    person = {"email": PERSONAL[2], "password": PERSONAL[3], "roles": ["holder"]}
    account = await fixture.done("POST", "/accounts", json=person)
    other = person | {"email": "walk-other@taawon.example"}
    disabled = await fixture.done("POST", "/accounts", json=other)
    await fixture.done("POST", f"/accounts/{disabled['account_id']}/disable")
    gone = await fixture.done(
        "POST", "/accounts", json=person | {"email": "walk-gone@taawon.example"}
    )
    erasure = {"kind": "erasure", "ground": "person", "reference": "2026/0"}
    await confirmed_request(fixture, erasure | {"account_ids": [gone["account_id"]]})
    identity = await fixture.done(
        "POST",
        f"/accounts/{account['account_id']}/identities",
        json={"issuer": "https://id.example", "subject": PERSONAL[-1]},
    )
    loaded = await fixture.http.post(
        "/imports",
        content="court,local_register_no,name_fr,province\nTPI Tiznit,walk/2,X,MA-TIZ\n",
        headers={**fixture.headers("operator"), "content-type": "text/csv"},
    )
    report = loaded.json()
    await fixture.app.state.imports.ended()
    fixture.names |= {
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
    proposed = await fixture.done("POST", "/persons/requests", json=asked)
    fixture.names["proposed"] = proposed["request_id"]
    request = await confirmed_request(fixture, asked)
    fixture.names["request_id"] = request["request_id"]
    async with fixture.sessions.begin() as session:
        for event in ANSWERS:
            response = event(request_id=request["request_id"], kind="access")
            await record_response(session, response)


async def confirmed_request(fixture: Fixture, asked: dict[str, Any]) -> Any:
    """A request of a person that was proposed and confirmed."""
    proposed = await fixture.done("POST", "/persons/requests", json=asked)
    return await fixture.done("POST", f"/persons/requests/{proposed['request_id']}/confirm")


async def ideas_fixture(fixture: Fixture) -> None:
    """Ideas of an account in every state, in Souss-Massa."""
    content = {
        "title": {"fr": "Argan", "ar": "أركان"},
        "summary": {"fr": "Un lot.", "ar": "دفعة."},
        "regions": ["MA-09"],
    }
    for name in ("draft", "submitted", "published"):
        idea = await fixture.done("POST", "/ideas", "the account itself", json=content)
        fixture.names[name] = idea["idea_id"]
    for name in ("submitted", "published"):
        path = f"/ideas/{fixture.names[name]}/submit"
        await fixture.done("POST", path, "the account itself")
    await fixture.done("POST", f"/ideas/{fixture.names['published']}/publish")
    french = content | {"title": {"fr": "Argan"}}
    idea = await fixture.done("POST", "/ideas", "the account itself", json=french)
    fixture.names["french"] = idea["idea_id"]
    await fixture.done("POST", f"/ideas/{idea['idea_id']}/submit", "the account itself")
    filed = await fixture.done(
        "POST", "/ideas", json=content | {"on_behalf_of": str(fixture.cooperative)}
    )
    fixture.names |= {
        "filed": filed["idea_id"],
        "idea_id": fixture.names["submitted"],
        "record_id": fixture.names["submitted"],
    }


async def funding_fixture(fixture: Fixture) -> None:
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
        call = await fixture.done("POST", "/calls", "the partner", json=terms)
        fixture.names[name] = call["call_id"]
    await fixture.done("POST", f"/calls/{fixture.names['open']}/open", "the partner")
    much_later = (datetime.now(UTC) + timedelta(days=60)).strftime("%Y-%m-%dT%H:%M")
    fixture.names |= {
        "call_id": fixture.names["open"],
        "record_id": fixture.names["open"],
        "terms": json.dumps(terms),
        "much_later": much_later,
    }


async def notifications_fixture(fixture: Fixture) -> None:
    """A cooperative that was alerted of a call, and a partner with a subscription and a feed."""
    sample = files("shared.contracts") / "samples" / "funding.call.opened.v1.json"
    call = CallOpened.model_validate_json(sample.read_text(encoding="utf-8"))
    everyone = call.call.tracks[0].model_copy(
        update={"criteria": type(call.call.tracks[0].criteria)(provinces=("MA-TIZ",))}
    )
    content = call.call.model_copy(update={"tracks": (everyone,), "funder_slug": "oasis"})
    call = call.model_copy(update={"call": content})
    record = CooperativeRecord(
        cooperative_id=fixture.cooperative,
        version=1,
        name_fr="Coopérative d'essai",
        region="MA-09",
        province="MA-TIZ",
        language="fr",
    )
    batch = CooperativesImported(
        batch_id=uuid.uuid4(), import_id=uuid.uuid4(), cooperatives=(record,)
    )
    made = await fixture.done("POST", "/subscriptions", "the partner", json={})
    async with fixture.sessions.begin() as session:
        await audience_handlers.store_imported_cooperatives(batch, session)
        await handlers.follow_call(call, session)
        await partners_handlers.feed_partners(call, session)
        session.add(
            PartnerQueue(
                slug="oasis",
                queue="p.oasis.walk.events",
                username="p-oasis",
                password_hash="x",
                state=PartnerQueueState.READY,
                requested_by=PARTNER,
                delivered_position=1,
                requested_at=datetime.now(UTC),
            )
        )
    inbox = await fixture.done("GET", f"/cooperatives/{fixture.cooperative}/alerts")
    fixture.names |= {
        "cooperative_id": str(fixture.cooperative),
        "subject_id": str(call.call_id),
        "number": str(inbox["items"][0]["number"]),
        "subscription_id": made["subscription_id"],
        "record_id": str(fixture.cooperative),
        "slug": "oasis",
        "partner_id": str(partner_id_of("oasis")),
    }


async def a_replay(fixture: Fixture) -> None:
    """A replay that no worker takes up."""
    run = uuid.uuid4()
    async with fixture.sessions.begin() as session:
        session.add(
            ReplayRow(
                run=run, kind="log", queue="x.y", topics=[], requested_by="walk", reason="walk"
            )
        )
    fixture.names["run"] = str(run)


MAKERS: dict[str, Callable[[Fixture], Awaitable[None]]] = {
    "registry": registry_fixture,
    "ideas": ideas_fixture,
    "funding": funding_fixture,
    "notifications": notifications_fixture,
}


def app_of(service: str, settings: Settings) -> FastAPI:
    """The application of an installed service."""
    return build(spec_of(service), settings)


@asynccontextmanager
async def fixture_of(service: str, url: str, tokens: Tokens) -> AsyncIterator[Fixture]:
    """The service with its records, in one transaction that is rolled back at the end."""
    async with pytest_plugin.api(partial(app_of, service), service, url, tokens) as api:
        connection = api.sessions.kw["bind"]
        fixture = Fixture(service, api.app, api.http, connection, api.sessions, tokens)
        fixture.names["id"] = str(uuid.UUID(int=7))
        await a_replay(fixture)
        await MAKERS[service](fixture)
        yield fixture
