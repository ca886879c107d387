"""Callers of the idea bank, and the steps over HTTP that its tests begin with."""

from __future__ import annotations

import json
from typing import Any

import httpx
from sqlalchemy import select

from devkit.pytest_plugin import Api, Tokens
from shared.kernel.data.tables import OutboxRow

from .builders import AUTHOR, COOPERATIVE, MODERATOR, a_payload

SOUSS = ["MA-AGD", "MA-CHT", "MA-INE", "MA-TAR", "MA-TAT", "MA-TIZ"]
Json = dict[str, Any]


class People:
    """Headers of callers by what they do."""

    def __init__(self, tokens: Tokens) -> None:
        self.author = tokens.headers("cooperative", subject=AUTHOR, cooperatives=[COOPERATIVE])
        self.operator = tokens.headers("operator", subject=MODERATOR)
        self.delegate = tokens.headers("delegate", provinces=SOUSS)
        self.reader = tokens.headers("holder")


async def drafted(api: Api, headers: dict[str, str], **changes: Any) -> Json:
    answer = await api.http.post("/ideas", json=a_payload(**changes), headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def submitted(api: Api, headers: dict[str, str], **changes: Any) -> Json:
    idea = await drafted(api, headers, **changes)
    return (await api.http.post(f"/ideas/{idea['idea_id']}/submit", headers=headers)).json()


async def published(api: Api, people: People, **changes: Any) -> Json:
    idea = await submitted(api, people.author, **changes)
    answer = await api.http.post(f"/ideas/{idea['idea_id']}/publish", headers=people.operator)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def events(api: Api) -> list[tuple[str, Json]]:
    async with api.sessions() as session:
        rows = (await session.scalars(select(OutboxRow).order_by(OutboxRow.seq))).all()
    return [(row.topic, json.loads(row.body)) for row in rows]


def fields_of(answer: httpx.Response) -> list[str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return [error["field"] for error in answer.json()["errors"]]
