"""Nobody is alerted of their own idea; what is addressed to one cooperative reaches it alone."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime
from typing import Any

import pytest

from notifications.fanout.usecases.fanout_approval import fan_out_waiting
from shared.contracts.announcement import Announcement
from shared.contracts.ideas import IdeaReturned

from ..builders import a_record, an_idea, published
from ..commands import ask_why, decide, follow, inbox, read_ledger, recipients, register

pytestmark = pytest.mark.servers


def returned(record: Any, **changes: Any) -> IdeaReturned:
    """An idea of this cooperative was returned to it."""
    announcement_id = uuid.uuid4()
    content = {
        "announcement_id": announcement_id,
        "service": "ideas",
        "kind": "returned_idea",
        "version": 1,
        "state": "open",
        "title": {"fr": "Votre idée vous est renvoyée", "ar": "أُعيدت إليكم فكرتكم"},
        "text": {"fr": "Motif : chiffrez.", "ar": "السبب: chiffrez."},
        "tracks": [{"criteria": {}}],
        "reference_on": date(2026, 11, 24),
        "addressed_to": record.cooperative_id,
    }
    announcement = Announcement.model_validate(content | changes)
    return IdeaReturned(
        announcement_id=announcement_id,
        announcement=announcement,
        occurred_at=datetime(2026, 11, 24, 9, tzinfo=UTC),
    )


async def alerted(api: Any, subject_id: uuid.UUID) -> set[uuid.UUID]:
    async with api.sessions() as session:
        return await recipients(session, subject_id)


async def totals(api: Any, tokens: Any, subject_id: uuid.UUID) -> dict[str, Any]:
    answer = await api.http.get(
        f"/subjects/{subject_id}/totals", headers=tokens.headers("operator")
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_the_cooperative_that_filed_an_idea_is_not_alerted_of_it(api, tokens):
    own, other = a_record(), a_record()
    idea = an_idea(on_behalf_of=own.cooperative_id)
    await register(api, own, other)

    await follow(api, published(idea))

    assert await alerted(api, idea.idea_id) == {other.cooperative_id}
    counts = await totals(api, tokens, idea.idea_id)
    assert (counts["matched"], counts["alerted"], counts["not_alerted"]) == (1, 1, 0)
    rows = await read_ledger(api, tokens, idea.idea_id)
    assert [row["cooperative_id"] for row in rows] == [str(other.cooperative_id)]


async def test_an_explanation_says_that_it_is_their_own_idea(api, tokens):
    own = a_record()
    idea = an_idea(on_behalf_of=own.cooperative_id)
    await register(api, own)
    await follow(api, published(idea))

    why = await ask_why(api, tokens, idea.idea_id, own, language="fr")

    assert (why["alerted"], why["because"]) == (False, "own_idea")
    assert "sa propre idée" in why["summary"]


async def test_a_backfill_passes_over_the_own_idea(api, tokens):
    own, other = a_record(), a_record()
    idea = an_idea(on_behalf_of=own.cooperative_id)
    await follow(api, published(idea))

    await register(api, own, other)

    assert await alerted(api, idea.idea_id) == {other.cooperative_id}


async def test_those_who_are_kept_back_are_counted_without_the_owner(api, tokens):
    own, other = a_record(), a_record()
    idea = an_idea(on_behalf_of=own.cooperative_id)
    await register(api, own, other)
    await decide(api, tokens, "held", idea.idea_id)
    await follow(api, published(idea))

    assert (await totals(api, tokens, idea.idea_id))["not_alerted"] == 1
    waiting = await read_ledger(api, tokens, idea.idea_id)
    assert [row["cooperative_id"] for row in waiting] == [str(other.cooperative_id)]
    await decide(api, tokens, "released", idea.idea_id)
    async with api.sessions.begin() as session:
        await fan_out_waiting(session)
    assert await alerted(api, idea.idea_id) == {other.cooperative_id}


@pytest.mark.parametrize(
    ("language", "title", "reason"),
    [("fr", "Votre idée vous est renvoyée", "Motif : "), ("ar", "أُعيدت إليكم فكرتكم", "السبب: ")],
)
async def test_its_cooperative_alone_reads_that_an_idea_was_returned_in_its_language(
    api, tokens, language, title, reason
):
    owner, other = a_record(language=language), a_record()
    await register(api, owner, other)
    event = returned(owner)

    await follow(api, event)

    (alert,) = (await inbox(api, tokens, owner))["items"]
    assert (alert["subject_kind"], alert["title"]) == ("returned_idea", title)
    assert alert["summary"] == f"{reason}chiffrez."
    assert (await inbox(api, tokens, other))["items"] == []
    assert (await ask_why(api, tokens, event.announcement_id, other))["because"] == "for_another"


@pytest.mark.parametrize(
    "profile", [{"legal_status": "in_liquidation"}, {"members_total": None, "sector": None}]
)
async def test_what_is_addressed_reaches_its_cooperative_whatever_its_profile(api, tokens, profile):
    owner = a_record(**profile)
    await register(api, owner)

    await follow(api, returned(owner))

    assert len((await inbox(api, tokens, owner))["items"]) == 1


async def test_what_arrives_before_its_cooperative_is_alerted_once_it_is_known(api, tokens):
    owner = a_record()
    event = returned(owner)
    await follow(api, event)

    await register(api, a_record())
    await register(api, owner)

    assert await alerted(api, event.announcement_id) == {owner.cooperative_id}


async def test_a_list_of_subjects_shows_nothing_that_is_addressed_to_one(api, tokens):
    owner = a_record()
    await register(api, owner)
    await follow(api, returned(owner))

    answer = await api.http.get("/subjects", headers=tokens.headers("delegate"))

    assert answer.json() == []
