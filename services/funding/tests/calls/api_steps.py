"""Callers of funding, and the steps over HTTP that its tests begin with."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from sqlalchemy import select, update

from devkit.pytest_plugin import Api, Tokens
from funding.calls.models import calls
from shared.kernel.data.tables import OutboxRow

from .builders import a_payload

Json = dict[str, Any]
LATER = {"local": "2027-09-30T16:00", "zone": "Africa/Casablanca"}
A_MINUTE_AGO = timedelta(minutes=1)


class People:
    """Headers of callers by what they do."""

    def __init__(self, tokens: Tokens) -> None:
        self.operator = tokens.headers("operator")
        self.funder = tokens.headers("partner", partner="indh-agadir")
        self.rival = tokens.headers("partner", partner="indh-tiznit")
        self.reader = tokens.headers("cooperative")


async def drafted(api: Api, people: People, **changes: Any) -> Json:
    answer = await api.http.post("/calls", json=a_payload(**changes), headers=people.funder)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def opened(api: Api, people: People, **changes: Any) -> Json:
    call = await drafted(api, people, **changes)
    answer = await api.http.post(f"/calls/{call['call_id']}/open", headers=people.funder)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def expired(api: Api, people: People) -> Json:
    """An open call whose deadline passed a minute ago, not yet stored as closed."""
    call = await opened(api, people)
    async with api.sessions.begin() as session:
        moment = datetime.now(UTC) - A_MINUTE_AGO
        await session.execute(update(calls).values(closes_at=moment))
    return call


async def events(api: Api) -> list[tuple[str, Json]]:
    async with api.sessions() as session:
        rows = (await session.scalars(select(OutboxRow).order_by(OutboxRow.seq))).all()
    return [(row.topic, json.loads(row.body)) for row in rows]


def fields_of(answer: httpx.Response) -> list[str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return [error["field"] for error in answer.json()["errors"]]
