"""A returned idea is announced to the cooperative that it was filed for, and to nobody else."""

from __future__ import annotations

import pytest

from devkit.pytest_plugin import Api
from ideas.ideas.domain import Idea, State

from .api_steps import People, events, submitted
from .builders import COOPERATIVE, NOON, an_idea, as_moderator, some_content


def a_filed_idea(**changes: object) -> Idea:
    return an_idea(state=State.SUBMITTED, on_behalf_of=COOPERATIVE, **changes)


def test_the_cooperative_is_addressed_in_both_languages_with_the_reason():
    event = a_filed_idea().send_back(by=as_moderator(), reason="Chiffrez.", at=NOON)

    assert event is not None
    published = event.announcement
    assert (published.addressed_to, published.kind) == (COOPERATIVE, "returned_idea")
    assert published.title.fr == "Votre idée vous est renvoyée : Huile d'argane traçable"
    assert "زيت أركان" in (published.title.ar or "")
    assert all("Chiffrez." in (text or "") for text in (published.text.fr, published.text.ar))


def test_each_return_is_an_announcement_of_its_own():
    idea = a_filed_idea()
    first = idea.send_back(by=as_moderator(), reason="Chiffrez.", at=NOON)
    idea.submit(by=frozenset({COOPERATIVE}))
    second = idea.send_back(by=as_moderator(), reason="Encore.", at=NOON)

    assert first is not None
    assert second is not None
    assert len({first.announcement_id, second.announcement_id, idea.id}) == 3


def test_an_account_that_wrote_for_itself_has_no_inbox():
    idea = an_idea(state=State.SUBMITTED)

    assert idea.send_back(by=as_moderator(), reason="Chiffrez.", at=NOON) is None
    assert idea.returned_because == "Chiffrez."


@pytest.mark.parametrize("length", [1, 500])
def test_a_title_of_any_length_can_be_named(length):
    idea = a_filed_idea(content=some_content(title={"fr": "x" * length}))

    assert idea.send_back(by=as_moderator(), reason="r" * 500, at=NOON) is not None


async def test_returning_over_http_publishes_it_and_returning_again_is_refused(
    api: Api, people: People
):
    idea = await submitted(api, people.author)
    path = f"/ideas/{idea['idea_id']}/return"

    answers = [
        await api.http.post(path, json={"reason": "chiffrez"}, headers=people.operator)
        for _ in range(2)
    ]

    assert [each.status_code for each in answers] == [200, 409]
    ((topic, event),) = await events(api)
    assert topic == "ideas.announcement.published.v1"
    assert event["announcement"]["addressed_to"] == str(COOPERATIVE)
    assert "author_id" not in str(event)
