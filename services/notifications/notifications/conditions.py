"""A track in words: its name, what it gives, and whom it asks for."""

from __future__ import annotations

from collections.abc import Iterator

from shared.contracts.announcement import AnnouncedTrack
from shared.contracts.base import Language
from shared.contracts.criteria import Criteria, MinShare

from .labels import name_of_value

TERMS: dict[Language, dict[str, str]] = {
    "fr": {
        "gives": "jusqu'à {}",
        "rate": "{} % au plus",
        "own": "apport d'au moins {} %",
        "in_kind": "dont {} % au plus en nature",
        "payer": "payé par {}",
        "regions": "régions : {}",
        "provinces": "provinces et préfectures : {}",
        "communes": "communes : {}",
        "sectors": "secteurs : {}",
        "branches": "branches : {}",
        "applicant_types": "formes juridiques : {}",
        "legal_statuses": "situation légale : {}",
        "activity_statuses": "activité : {}",
        "min_share_women": "femmes : {}",
        "min_share_youth": "jeunes : {}",
        "min_share_women_plus_youth": "femmes et jeunes additionnés : {}",
        "min_share_women_or_youth": "femmes ou jeunes : {}",
        "least": "au moins {} %",
        "above": "plus de {} %",
        "min_members": "au moins {} membres",
        "max_members": "au plus {} membres",
        "min_age_months": "au moins {} mois d'existence",
        "max_age_months": "au plus {} mois d'existence",
        "money": "{} DH",
        "comma": ", ",
        "semicolon": " ; ",
    },
    "ar": {
        "gives": "في حدود {}",
        "rate": "{} % على الأكثر",
        "own": "مساهمة ذاتية لا تقل عن {} %",
        "in_kind": "منها {} % عينا على الأكثر",
        "payer": "تؤديه {}",
        "regions": "الجهات: {}",
        "provinces": "العمالات والأقاليم: {}",
        "communes": "الجماعات: {}",
        "sectors": "القطاعات: {}",
        "branches": "الفروع: {}",
        "applicant_types": "الأشكال القانونية: {}",
        "legal_statuses": "الوضعية القانونية: {}",
        "activity_statuses": "النشاط: {}",
        "min_share_women": "النساء: {}",
        "min_share_youth": "الشباب: {}",
        "min_share_women_plus_youth": "مجموع النساء والشباب: {}",
        "min_share_women_or_youth": "النساء أو الشباب: {}",
        "least": "{} % على الأقل",
        "above": "أكثر من {} %",
        "min_members": "عدد الأعضاء: {} على الأقل",
        "max_members": "عدد الأعضاء: {} على الأكثر",
        "min_age_months": "مدة الوجود بالأشهر: {} على الأقل",
        "max_age_months": "مدة الوجود بالأشهر: {} على الأكثر",
        "money": "{} درهم",
        "comma": "، ",
        "semicolon": "؛ ",
    },
}
GIFTS = {
    "max_rate_percent": "rate",
    "min_own_share_percent": "own",
    "max_in_kind_percent_of_own_share": "in_kind",
    "payer": "payer",
}
CODES = {"regions": "region", "provinces": "province", "sectors": "sector"}


def in_words(track: AnnouncedTrack, language: Language) -> str:
    """The name, and in brackets whatever the track states."""
    terms = TERMS[language]
    stated = [*_gifts(track, language), *_asked(track.criteria, language)]
    words = terms["semicolon"].join(stated)
    if track.name is None:
        return words
    name = track.name.in_language(language)
    return f"{name} ({words})" if words else name


def dirhams(centimes: int, language: Language) -> str:
    """An amount in dirhams; centimes only where there are any."""
    whole, rest = divmod(centimes, 100)
    shown = f"{whole:,}".replace(",", " ") + (f",{rest:02}" if rest else "")
    return TERMS[language]["money"].format(shown)


def names(field: str, codes: tuple[str, ...], language: Language) -> str:
    """Codes of a list as a reader knows them."""
    shown = (name_of_value(CODES.get(field, field), code, language) for code in codes)
    return TERMS[language]["comma"].join(shown)


def _gifts(track: AnnouncedTrack, language: Language) -> Iterator[str]:
    for detail in track.details:
        if detail.label and detail.shown:
            yield f"{detail.label.in_language(language)} : {detail.shown.in_language(language)}"
    terms, known = TERMS[language], {each.code: each.value for each in track.details}
    grant = known.get("max_grant_centimes")
    if isinstance(grant, int):
        yield terms["gives"].format(dirhams(grant, language))
    for field, term in GIFTS.items():
        if field in known:
            yield terms[term].format(known[field])


def _asked(criteria: Criteria, language: Language) -> Iterator[str]:
    terms = TERMS[language]
    for field in Criteria.model_fields:
        value = getattr(criteria, field)
        if value is None or value == ():
            continue
        if isinstance(value, MinShare):
            value = terms["above" if value.strict else "least"].format(value.percent)
        elif isinstance(value, tuple):
            value = names(field, value, language)
        yield terms[field].format(value)
