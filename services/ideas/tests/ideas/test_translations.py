"""French or Arabic is enough for an idea; the other language may be added later, by its owner."""

from __future__ import annotations

from typing import Any

import pytest

from devkit.pytest_plugin import Api
from ideas.ideas.domain import AlreadyWritten, NotAuthor, State, Translation
from shared.errors import IllegalMove

from .api_steps import People, drafted, events, published
from .builders import NOON, an_idea, as_author, as_moderator, some_content

FRENCH = {"title": {"fr": "Filature de laine"}, "summary": {"fr": "Un atelier partagé."}}
ARABIC = {"title": {"ar": "غزل الصوف"}, "summary": {"ar": "ورشة مشتركة."}}


def translation(**texts: Any) -> Translation:
    return Translation.model_validate(texts)


@pytest.mark.parametrize(
    ("texts", "missing"), [({}, ()), (FRENCH, ("ar",)), (ARABIC, ("fr",))], ids=["both", "fr", "ar"]
)
def test_an_idea_says_what_is_to_be_translated(texts, missing):
    assert some_content(**texts).to_translate == missing


def test_a_summary_alone_may_be_untranslated():
    content = some_content(summary=FRENCH["summary"])

    assert content.to_translate == ("ar",)


def test_a_translation_of_a_public_idea_is_an_event_with_all_texts():
    idea = an_idea(state=State.PUBLISHED, version=3, content=some_content(**FRENCH))

    event = idea.translate(translation(**ARABIC), by=as_author(), at=NOON, is_operator=False)

    assert event is not None
    assert (event.aggregate_version, event.idea.to_translate) == (4, ())
    assert (event.idea.title.fr, event.idea.title.ar) == ("Filature de laine", "غزل الصوف")
    assert "غزل" in idea.words


def test_a_translation_of_a_draft_is_no_event():
    idea = an_idea(content=some_content(**FRENCH))

    assert idea.translate(translation(**ARABIC), by=as_author(), at=NOON, is_operator=False) is None


def test_what_is_written_stays_and_the_field_is_named():
    idea = an_idea(content=some_content(**FRENCH))
    texts = translation(title={"fr": "Autre", "ar": "آخر"})

    with pytest.raises(AlreadyWritten) as refused:
        idea.translate(texts, by=as_author(), at=NOON, is_operator=False)

    assert [each.field for each in refused.value.problems] == ["title.fr"]


def test_only_its_owner_and_operators_translate_an_idea():
    idea = an_idea(content=some_content(**FRENCH))

    with pytest.raises(NotAuthor):
        idea.translate(translation(**ARABIC), by=as_moderator(), at=NOON, is_operator=False)
    idea.translate(translation(**ARABIC), by=as_moderator(), at=NOON, is_operator=True)


def test_nothing_of_a_withdrawn_idea_is_translated():
    idea = an_idea(state=State.WITHDRAWN, content=some_content(**FRENCH))

    with pytest.raises(IllegalMove):
        idea.translate(translation(**ARABIC), by=as_author(), at=NOON, is_operator=False)


async def test_an_idea_in_one_language_is_published_as_it_is_and_translated_later(
    api: Api, people: People
):
    idea = await published(api, people, **FRENCH)
    path = f"/ideas/{idea['idea_id']}"

    answer = await api.http.patch(path, json=ARABIC, headers=people.operator)

    assert idea["to_translate"] == ["ar"]
    assert (answer.status_code, answer.json()["to_translate"]) == (200, [])
    (_, first), (_, second) = await events(api)
    assert (first["idea"]["to_translate"], first["idea"]["title"]["ar"]) == (["ar"], None)
    assert second["idea"]["title"] == {"fr": "Filature de laine", "ar": "غزل الصوف"}
    assert second["aggregate_version"] == first["aggregate_version"] + 1


async def test_a_translation_of_nothing_is_refused(api: Api, people: People):
    idea = await drafted(api, people.author, **FRENCH)

    answer = await api.http.patch(f"/ideas/{idea['idea_id']}", json={}, headers=people.author)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")


async def test_an_idea_in_arabic_alone_is_found_by_its_words(api: Api, people: People):
    idea = await published(api, people, **ARABIC)

    found = await api.http.get("/ideas", params={"q": "غزل"}, headers=people.reader)

    assert [each["idea_id"] for each in found.json()["items"]] == [idea["idea_id"]]


async def test_a_translation_decided_on_an_older_version_is_refused(api: Api, people: People):
    idea = await drafted(api, people.author, **FRENCH)
    headers = {**people.author, "If-Match": '"7"'}

    answer = await api.http.patch(f"/ideas/{idea['idea_id']}", json=ARABIC, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (409, "changed-meanwhile")
