"""What a call or another announcement gives, in words: kind of support, cap, rate, own share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import get_args

from shared.contracts.funding import CallKind
from shared.i18n.catalogues import translate
from shared.i18n.money import dirhams
from shared.i18n.terms import Terms

MONEY = (
    "max_grant_centimes",
    "max_rate_percent",
    "min_own_share_percent",
    "max_in_kind_percent_of_own_share",
)
"""The fields of a track that say how much it gives, in the order in which they are read."""
GIFT = Terms("gift", (*MONEY, "payer"), parameters=("value",))
KINDS = Terms("offer.kind", get_args(CallKind))


def terms_in_words(values: Mapping[str, object], language: str) -> Iterator[str]:
    """What a track gives, term by term; `values` by the names of its fields, others are passed
    over."""
    for field in GIFT.ids:
        value = values.get(field)
        if isinstance(value, int) and field == "max_grant_centimes":
            value = dirhams(language, value)
        if isinstance(value, int | str):
            yield GIFT.text(language, field, value=value)


def offer_in_words(kind: str | None, values: Mapping[str, object], language: str) -> str | None:
    """Kind of support, cap, rate and own share in one line; None where nothing of it is said.

    `kind` is the kind of a call; None, or one that is not known, is left out.
    """
    money = {field: values.get(field) for field in MONEY}
    terms = translate(language, "list.comma").join(terms_in_words(money, language))
    shown = KINDS.text(language, kind) if kind is not None and kind in KINDS else None
    if shown is None:
        return terms or None
    return translate(language, "offer.of_kind", kind=shown, terms=terms) if terms else shown
