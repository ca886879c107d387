"""Numbers, days, cities and amounts as Morocco writes them."""

from __future__ import annotations

from datetime import date

import pytest

from shared.i18n.catalogues import translate
from shared.i18n.dates import city, day, numeric_day
from shared.i18n.money import dirhams

MONTHS = {
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "ar": "يناير فبراير مارس أبريل ماي يونيو يوليوز غشت شتنبر أكتوبر نونبر دجنبر",
}


@pytest.mark.parametrize("language", ["fr", "ar"])
def test_months_have_the_names_that_morocco_uses(language):
    shown = [day(language, date(2027, month, 2)) for month in range(1, 13)]

    assert shown == [f"2 {name} 2027" for name in MONTHS[language].split()]


def test_the_first_of_a_month_is_an_ordinal_in_french_alone():
    first = date(2027, 9, 1)

    assert (day("fr", first), day("ar", first)) == ("1er septembre 2027", "1 شتنبر 2027")


@pytest.mark.parametrize("language", ["fr", "ar"])
def test_a_day_in_digits_has_no_marks_of_direction(language):
    assert numeric_day(language, date(2027, 9, 2)) == "02/09/2027"


@pytest.mark.parametrize(
    ("zone", "french", "arabic"),
    [
        ("Africa/Casablanca", "Casablanca", "الدار البيضاء"),
        ("Africa/El_Aaiun", "Laâyoune", "العيون"),
        ("Europe/London", "Londres", "لندن"),
        ("America/Argentina/Buenos_Aires", "Buenos Aires", "Buenos Aires"),
        ("UTC", "UTC", "UTC"),
    ],
)
def test_a_clock_is_named_after_its_city(zone, french, arabic):
    assert (city("fr", zone), city("ar", zone)) == (french, arabic)


@pytest.mark.parametrize(
    ("centimes", "french", "arabic"),
    [
        (100, "1 DH", "1 درهم"),
        (30_000_000, "300 000 DH", "300.000 درهم"),
        (1_234_567_05, "1 234 567,05 DH", "1.234.567,05 درهم"),
        (9, "0,09 DH", "0,09 درهم"),
        (2_50, "2,50 DH", "2,50 درهم"),
    ],
)
def test_an_amount_has_the_separators_of_its_language_and_plain_spaces(centimes, french, arabic):
    assert (dirhams("fr", centimes), dirhams("ar", centimes)) == (french, arabic)


@pytest.mark.parametrize(
    ("count", "french", "arabic"),
    [
        (0, "0 membre", "0 عضو"),
        (1, "1 membre", "عضو واحد"),
        (2, "2 membres", "عضوان"),
        (3, "3 membres", "3 أعضاء"),
        (11, "11 membres", "11 عضوا"),
        (100, "100 membres", "100 عضو"),
        (103, "103 membres", "103 أعضاء"),
        (111, "111 membres", "111 عضوا"),
    ],
)
def test_a_noun_agrees_with_the_number_before_it(count, french, arabic):
    shown = [translate(language, "count.members", count=count) for language in ("fr", "ar")]

    assert shown == [french, arabic]


def test_a_preposition_changes_the_case_of_the_dual_in_arabic():
    shown = translate("ar", "share.of_members", part="امرأتان", count=2)

    assert shown == "امرأتان من أصل عضوين"
