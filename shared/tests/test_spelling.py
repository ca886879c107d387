"""Spellings of one text are compared as one, and control characters are found."""

from __future__ import annotations

import unicodedata

import pytest

from shared.spelling import control_character, email_key, identity_key, without_controls


@pytest.mark.parametrize("number", ["1", "١", "۱", "１", "\u200f1", " 1 ", "1\ufeff"])
def test_a_number_is_the_same_in_all_digits_and_whatever_mark_is_in_it(number: str) -> None:
    assert identity_key(f"{number}/RC") == "1/rc"


@pytest.mark.parametrize("local", ["1/2021", "12021", "1-2021"])
def test_numbers_with_other_punctuation_are_other_numbers(local: str) -> None:
    assert identity_key(local) == local


@pytest.mark.parametrize(
    "email",
    [
        "zoé@b.ma",
        "ZOÉ@B.MA",
        "\u200fzoé@b.ma",
        unicodedata.normalize("NFD", "zoé@b.ma"),
        "ｚoé@ｂ.ma",
    ],
)
def test_an_address_is_the_same_in_every_spelling(email: str) -> None:
    assert email_key(email) == "zoé@b.ma"


def test_an_international_domain_is_the_same_as_its_ascii_form() -> None:
    assert (
        email_key("A@بريد.example")
        == email_key("a@xn--ngbof4h.example")
        == ("a@xn--ngbof4h.example")
    )


@pytest.mark.parametrize("email", ["", "a", "@", "a@" + "é" * 300, "a@é..é"])
def test_what_is_no_address_is_compared_as_it_is(email: str) -> None:
    assert email_key(email) == email


@pytest.mark.parametrize(
    ("text", "found", "shown"),
    [
        ("\x1b]0;x\x07", "U+001B", "<U+001B>]0;x<U+0007>"),
        ("a\u202eb", "U+202E", "a<U+202E>b"),
        ("a\x9bb", "U+009B", "a<U+009B>b"),
        ("Coopérative\tتعاونية\u200f\n", None, "Coopérative\tتعاونية\u200f\n"),
    ],
)
def test_control_characters_are_found_and_shown_by_number(
    text: str, found: str | None, shown: str
) -> None:
    assert (control_character(text), without_controls(text)) == (found, shown)
