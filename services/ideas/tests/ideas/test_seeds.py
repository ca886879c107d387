"""The seeded ideas are accepted by the API that the demonstration uses."""

from __future__ import annotations

import re

import pytest

from devkit.pytest_plugin import Api, Tokens
from ideas.ideas.seeds import Seed, demo_ideas

ARABIC = re.compile(r"[\u0621-\u064a]")
SEEDS = [pytest.param(seed, id=seed.seed_key) for seed in demo_ideas()]


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_seeded_idea_goes_from_draft_to_published(api: Api, tokens: Tokens, seed: Seed):
    author, moderator = tokens.headers("operator"), tokens.headers("operator")
    idea = await api.http.post("/ideas", json=seed.payload, headers=author)
    path = f"/ideas/{idea.json()['idea_id']}"

    await api.http.post(f"{path}/submit", headers=author)
    answer = await api.http.post(f"{path}/publish", headers=moderator)

    assert (idea.status_code, answer.status_code) == (201, 200), idea.text


@pytest.mark.parametrize("seed", SEEDS)
def test_a_seeded_idea_speaks_both_languages(seed: Seed):
    for text in (seed.payload["title"], seed.payload["summary"]):
        assert ARABIC.search(text["ar"])
        assert not ARABIC.search(text["fr"])


def test_seed_keys_are_distinct():
    keys = [seed.seed_key for seed in demo_ideas()]

    assert len(keys) == len(set(keys)) >= 3
