"""Whom a call or an idea belongs to reads what became of its alerts, and nobody else's."""

from __future__ import annotations

import uuid

import pytest

from ..builders import a_call, a_record, an_idea, opened, published
from ..commands import decide, follow, register

PLACES = ("totals", "approval")


async def read(api, headers, subject_id):
    """What each place answers: status and body."""
    answers = [
        await api.http.get(f"/subjects/{subject_id}/{place}", headers=headers) for place in PLACES
    ]
    return [answer.status_code for answer in answers], [answer.json() for answer in answers]


async def test_a_funder_reads_that_its_call_is_held_and_why(api, tokens):
    call = a_call(confirmed_audience=1, funder_slug="indh")
    await register(api, *(a_record() for _ in range(12)))
    await follow(api, opened(call))

    status, (totals, approval) = await read(
        api, tokens.headers("partner", partner="indh"), call.call_id
    )

    assert status == [200, 200]
    assert (totals["alerted"], totals["not_alerted"], totals["provinces"]) == (0, 12, None)
    assert (totals["approval"]["state"], totals["approval"]["by"]) == ("held", "notifications")
    assert approval["reason"] == "recipients confirmed: 1, matching now: 12"


@pytest.mark.parametrize("subject", ["of another", "unknown"])
async def test_what_belongs_to_another_is_refused_as_what_is_unknown(api, tokens, subject):
    call = a_call(funder_slug="indh")
    await follow(api, opened(call))
    subject_id = call.call_id if subject == "of another" else uuid.uuid4()

    status, answers = await read(api, tokens.headers("partner", partner="fm5"), subject_id)

    assert status == [403, 403]
    assert {each["code"] for each in answers} == {"not-your-subject"}


@pytest.mark.parametrize("who", ["author_id", "on_behalf_of"])
async def test_the_author_of_an_idea_reads_by_whom_it_is_held_and_not_the_words(api, tokens, who):
    idea = an_idea(on_behalf_of=uuid.uuid4())
    await register(api, a_record())
    await decide(api, tokens, "held", idea.idea_id, reason="written for operators")
    await follow(api, published(idea))
    headers = tokens.headers("cooperative", cooperatives=[getattr(idea, who)])

    status, (totals, approval) = await read(api, headers, idea.idea_id)

    assert status == [200, 200]
    assert (totals["not_alerted"], totals["approval"]["by"]) == (1, "operator")
    assert (approval["state"], approval["reason"]) == ("held", None)
    assert "written for operators" not in str(totals)
