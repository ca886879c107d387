"""A text that is written in one language alone reaches every reader, marked with its language."""

from __future__ import annotations

import pytest

from shared.contracts.base import PartlyLocalized, PartlyLocalizedLong

from ..builders import a_record, an_idea, as_announcement, published, withdrawn
from ..commands import ask_why, consume, inbox, kinds

FRENCH = {"title": {"fr": "Huile d'argan"}, "summary": {"fr": "Une idée."}}
BOTH = {
    "title": PartlyLocalized(fr="Huile d'argan", ar="زيت أركان"),
    "summary": PartlyLocalizedLong(fr="Une idée.", ar="فكرة."),
}


def translated(idea):
    """The next version of an idea, with its Arabic texts."""
    newer = idea.model_copy(update={"version": idea.version + 1, "to_translate": (), **BOTH})
    return published(newer)


def rewritten(idea, **texts):
    newer = {"version": idea.version + 1, "title": PartlyLocalized(**texts)}
    return published(idea.model_copy(update=newer))


async def test_a_reader_of_arabic_gets_the_french_text_marked_as_such(api, tokens):
    record, idea = a_record(language="ar"), an_idea(**FRENCH, to_translate=["ar"])
    await consume(api.sessions, record, published(idea))

    (alert,) = (await inbox(api, tokens, record))["items"]
    why = await ask_why(api, tokens, idea.idea_id, record, language="ar")

    assert (alert["language"], alert["dir"]) == ("ar", "rtl")
    assert (alert["title"], alert["title_language"], alert["title_dir"]) == (
        "Huile d'argan",
        "fr",
        "ltr",
    )
    assert (alert["summary"], alert["summary_language"], alert["summary_dir"]) == (
        "Une idée.",
        "fr",
        "ltr",
    )
    assert alert["short_text"].startswith("Huile d'argan")
    assert (why["title"], why["title_language"]) == ("Huile d'argan", "fr")


async def test_a_translation_is_shown_by_the_alert_that_is_there_and_alerts_nobody_again(
    api, tokens
):
    record, idea = a_record(language="ar"), an_idea(**FRENCH, to_translate=["ar"])
    await consume(api.sessions, record, published(idea), translated(idea))

    (alert,) = (await inbox(api, tokens, record))["items"]

    assert (alert["title"], alert["title_language"]) == ("زيت أركان", "ar")
    assert (alert["summary"], alert["summary_dir"]) == ("فكرة.", "rtl")
    assert await kinds(api, idea.idea_id) == ["published"]


async def test_a_correction_after_a_translation_names_what_changed_and_no_text(api, tokens):
    record, idea = a_record(language="ar"), an_idea(**FRENCH, to_translate=["ar"])
    translation = translated(idea)
    await consume(api.sessions, record, published(idea), translation, withdrawn(translation.idea))

    correction = (await inbox(api, tokens, record))["items"][0]

    assert correction["kind"] == "withdrawn"
    assert [each["field"] for each in correction["changes"]] == ["state"]


async def test_a_text_that_was_rewritten_is_a_correction(api, tokens):
    record, idea = a_record(), an_idea(**FRENCH, to_translate=["ar"])
    await consume(api.sessions, record, published(idea), rewritten(idea, fr="Autre", ar="آخر"))

    assert await kinds(api, idea.idea_id) == ["published", "updated"]


@pytest.mark.parametrize(
    ("known", "newer", "shown"),
    [
        ({"fr": "a"}, {"fr": "a", "ar": "b"}, {"fr": "a", "ar": "b"}),
        ({"fr": "a"}, {"fr": "c", "ar": "b"}, {"fr": "a", "ar": None}),
        ({"fr": "a", "ar": "b"}, {"fr": "c", "ar": "d"}, {"fr": "a", "ar": "b"}),
    ],
)
def test_only_a_translation_of_the_same_text_completes_it(known, newer, shown):
    text = PartlyLocalized(**known).completed_by(PartlyLocalized(**newer))

    assert text.model_dump() == shown


def test_the_announcement_of_an_idea_keeps_that_a_text_is_missing():
    content = as_announcement(an_idea(**FRENCH, to_translate=["ar"]))

    assert (content.title.ar, content.title.in_language("ar")) == (None, "Huile d'argan")
