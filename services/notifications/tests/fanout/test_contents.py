"""Contents are parsed once, and each text is a content of its own."""

from __future__ import annotations

from notifications.fanout.domain.contents import KEPT, read_content
from notifications.fanout.handlers import announcement_of_call
from notifications.inbox.content_text import words_of
from shared.contracts.base import Localized

from ..builders import a_call


def stored(**fields: object) -> str:
    return announcement_of_call(a_call(**fields)).model_dump_json()


def test_a_content_is_parsed_once():
    text = stored()

    assert read_content(text) is read_content(text)


def test_another_text_is_another_content_though_of_the_same_version():
    """Nothing but the text decides: a database that was restored shows what it has."""
    call = a_call()
    renamed = call.model_copy(update={"title": Localized(fr="Autre", ar="آخر")})
    before, after = (
        read_content(announcement_of_call(each).model_dump_json()) for each in (call, renamed)
    )

    assert words_of(before, "fr").title != words_of(after, "fr").title == "Autre"


def test_a_process_keeps_a_bounded_number_of_contents():
    for _ in range(KEPT + 1):
        read_content(stored())

    assert read_content.cache_info().currsize == KEPT
    assert words_of.cache_info().maxsize is not None
