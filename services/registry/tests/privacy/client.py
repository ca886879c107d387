"""The registry as an operator uses it for requests of persons."""

from __future__ import annotations

import io
import uuid
from typing import Any

import httpx
import orjson
from sqlalchemy import select

from devkit import pytest_plugin
from devkit.pytest_plugin import Api
from registry.privacy import handlers
from registry.register.register_file.decoding import lines_of
from registry.register.usecases import imports
from shared.contracts.catalogue import ANSWERS
from shared.contracts.persons import PersonAnswered, PersonRequested
from shared.contracts.registry import PersonErasureRequested, RegistryAnswered
from shared.kernel.auth.local_operator import LOCAL_OPERATOR
from shared.kernel.data.tables import OutboxRow
from shared.kernel.encryption.sealer import Sealer

from ..builders import a_body, a_file

SEALER = Sealer([pytest_plugin.SEAL_KEY])
EMAIL, PHONE, NAME = "coop-1@taawon.example", "+212600000001", "Présidence d'essai 1"
PASSWORD = "correct horse battery"
CONTACT = {"president": NAME, "phone": PHONE, "email": EMAIL}
Json = dict[str, Any]


class PrivacyClient:
    """The HTTP API of the registry, used by an operator for requests of persons."""

    def __init__(self, api: Api, headers: dict[str, str]) -> None:
        self.api = api
        self.headers = headers

    async def post(self, path: str, body: Json) -> httpx.Response:
        return await self.api.http.post(path, json=body, headers=self.headers)

    async def get(self, path: str) -> httpx.Response:
        return await self.api.http.get(path, headers=self.headers)

    async def cooperative(self, number: str, **contact: Any) -> str:
        body = a_body(local_register_no=number, contact=contact or CONTACT)
        return str((await self.post("/cooperatives", body)).json()["cooperative_id"])

    async def account(self, email: str = EMAIL) -> str:
        body = {"email": email, "password": PASSWORD, "roles": ["juror"]}
        return str((await self.post("/accounts", body)).json()["account_id"])

    async def proposes(self, kind: str, **how: Any) -> Json:
        """What a proposed request would concern."""
        body = {"kind": kind, "ground": "person", "reference": "2026/114", **how}
        answer = await self.post("/persons/requests", body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def confirms(self, proposed: Json, **decided: list[str]) -> httpx.Response:
        """The answer to a confirmation of the version that was proposed."""
        path = f"/persons/requests/{proposed['request_id']}/confirm"
        read = {"If-Match": f'"{proposed["version"]}"'}
        return await self.api.http.post(path, json=decided, headers=self.headers | read)

    async def asks(self, kind: str, **how: Any) -> Json:
        """A confirmed request, for all records that it found."""
        proposed = await self.proposes(kind, **how)
        answer = await self.confirms(proposed, include=shared_of(proposed))
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def contact(self, cooperative_id: str) -> tuple[int, Json]:
        shown = (await self.get(f"/cooperatives/{cooperative_id}")).json()
        known = {name: value for name, value in shown["contact"].items() if value}
        return shown["version"], known

    async def signs_in(self, email: str = EMAIL) -> int:
        form = {"grant_type": "password", "username": email, "password": PASSWORD}
        return (await self.api.http.post("/token", data=form)).status_code

    async def imports(self, *rows: Json) -> Any:
        lines = lines_of(io.BytesIO(a_file(*rows)))
        steps = imports.import_register(
            self.api.sessions, SEALER, LOCAL_OPERATOR, lines, source="p.csv"
        )
        async for step in steps:
            report = step.report
        return report

    async def events(self, topic: str) -> list[Any]:
        async with self.api.sessions() as session:
            query = select(OutboxRow.body).where(OutboxRow.topic == topic).order_by(OutboxRow.seq)
            return [orjson.loads(body) for body in await session.scalars(query)]

    async def gets(self, answer: PersonAnswered) -> None:
        """Let the registry take an answer from its queue."""
        async with self.api.sessions.begin() as session:
            await handlers.record_person_response(answer, session)

    async def answers(self, request_id: str, *, kind: str = "access", **said: Any) -> None:
        for answer in ANSWERS:
            await self.gets(answer(request_id=uuid.UUID(request_id), kind=kind, **said))


def shared_of(proposed: Json) -> list[str]:
    """The records of a proposal that others may share."""
    return [each["id"] for each in proposed["records"] if each["is_shared"]]


async def answered(
    privacy: PrivacyClient,
    request_id: str,
    kind: type[PersonRequested] = PersonErasureRequested,
) -> Json:
    """Run the registry's own consumer on the event of a request; what it publishes."""
    (event,) = [
        each for each in await privacy.events(kind.topic) if each["request_id"] == request_id
    ]
    (consumer,) = [r for r in handlers.consumers.consumers if r.queue.endswith(".answer_person")]
    async with privacy.api.sessions.begin() as session:
        await consumer.handler(kind.model_validate(event), session)
    return dict((await privacy.events(RegistryAnswered.topic))[-1])
