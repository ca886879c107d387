"""What a call gives, in one line: every kind of support, in Arabic and in French."""

from __future__ import annotations

from typing import get_args

import pytest

from shared.contracts.funding import CallKind
from shared.i18n.languages import LANGUAGES
from shared.offers import offer_in_words

ALL = {
    "max_grant_centimes": 30_000_050,
    "max_rate_percent": 70,
    "min_own_share_percent": 30,
    "max_in_kind_percent_of_own_share": 50,
}


@pytest.mark.parametrize(
    ("kind", "values", "french", "arabic"),
    [
        (
            "grant",
            ALL,
            "Subvention : jusqu'à 300 000,50 DH, 70 % du coût au plus, apport d'au moins 30 %,"
            " dont 50 % au plus en nature",
            "منحة: في حدود 300.000,50 درهم، 70 % من التكلفة على الأكثر،"
            " مساهمة ذاتية لا تقل عن 30 %، منها 50 % عينا على الأكثر",
        ),
        (
            "loan",
            {"max_grant_centimes": 5_000_000, "payer": "CAM"},
            "Prêt : jusqu'à 50 000 DH",
            "قرض: في حدود 50.000 درهم",
        ),
        ("training", {}, "Formation", "تكوين"),
        (None, {"max_rate_percent": 60}, "60 % du coût au plus", "60 % من التكلفة على الأكثر"),
        ("raffle", {"max_rate_percent": None}, None, None),
    ],
)
def test_an_offer_says_kind_cap_rate_and_own_share(kind, values, french, arabic):
    assert offer_in_words(kind, values, "fr") == french
    assert offer_in_words(kind, values, "ar") == arabic


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_of_call_has_a_name_of_its_own(language):
    names = {offer_in_words(kind, {}, language) for kind in get_args(CallKind)}

    assert len(names) == len(get_args(CallKind))
