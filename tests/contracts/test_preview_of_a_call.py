"""What `GET /calls/{id}` answers is what `POST /previews` takes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import pytest

from devkit import pytest_plugin
from devkit.pytest_plugin import Api, Tokens
from funding.app import create_app as create_funding
from funding.calls.seeds.editions import Seed, replayed_calls
from notifications.app import create_app as create_notifications

SEEDS = replayed_calls(date(2026, 11, 24))
each_seed = pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.seed_key)


@pytest.fixture
async def funding(databases: pytest_plugin.TestDatabases, tokens: Tokens) -> AsyncIterator[Api]:
    url = databases.migrated("funding")
    async with pytest_plugin.api(create_funding, "funding", url, tokens) as api:
        yield api


@pytest.fixture
async def notifications(
    databases: pytest_plugin.TestDatabases, tokens: Tokens
) -> AsyncIterator[Api]:
    url = databases.migrated("notifications")
    async with pytest_plugin.api(create_notifications, "notifications", url, tokens) as api:
        yield api


async def call_of(funding: Api, tokens: Tokens, seed: Seed) -> dict[str, Any]:
    """The call of a seed as its funder reads it."""
    headers = tokens.headers("operator")
    drafted = await funding.http.post("/calls", json=seed.payload, headers=headers)
    assert drafted.status_code == 201, drafted.text
    read = await funding.http.get(f"/calls/{drafted.json()['call_id']}", headers=headers)
    call: dict[str, Any] = read.json()
    return call


@each_seed
async def test_the_tracks_of_a_call_are_previewed_as_they_were_read(
    funding: Api, notifications: Api, tokens: Tokens, seed: Seed
):
    call = await call_of(funding, tokens, seed)
    whole = {"tracks": call["tracks"], "reference_on": call["reference_on"]}
    criteria = {"tracks": [{"criteria": track["criteria"]} for track in call["tracks"]]}

    answers = [
        await notifications.http.post("/previews", json=body, headers=tokens.headers("delegate"))
        for body in (whole, criteria)
    ]

    assert [answer.status_code for answer in answers] == [200, 200], answers[0].text
    assert answers[0].json() == answers[1].json()


@each_seed
async def test_a_call_is_written_with_the_tracks_that_were_read(
    funding: Api, tokens: Tokens, seed: Seed
):
    call = await call_of(funding, tokens, seed)

    again = await call_of(
        funding, tokens, Seed(seed.seed_key, {**seed.payload, "tracks": call["tracks"]})
    )

    assert again["tracks"] == call["tracks"]
