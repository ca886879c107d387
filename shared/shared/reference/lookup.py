"""Finds a record by its code or by any spelling of its name, and suggests the nearest one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from functools import cache, lru_cache
from os.path import commonprefix
from typing import TypeVar

from shared.errors import Invalid
from shared.sentences import Sentence

from .folding import place_key
from .records import (
    Branch,
    Commune,
    Kind,
    LabelLanguage,
    Language,
    Province,
    Record,
    Region,
    Sdg,
    Sector,
    branches,
    communes,
    languages,
    provinces,
    regions,
    sdgs,
    sectors,
)

_COMMUNE = re.compile(r"[0-9]{2}\.[0-9]{3}\.[0-9]{2}\.[0-9]{1,2}")
_LISTS: Mapping[Kind, Callable[[], Sequence[Record]]] = {
    "region": regions,
    "province": provinces,
    "commune": communes,
    "sector": sectors,
    "branch": branches,
    "sdg": sdgs,
    "language": languages,
}
_PROVINCE_PART = len("09.581")
_SHOWN = 12
_QUOTED = 80
"""Most characters of an unknown code that a message repeats and compares with others."""
_R = TypeVar("_R", bound=Record)
WORTH_SUGGESTING = 0.55
"""Least similarity of a suggestion, from 0 to 1: below it a suggestion would mislead."""


class UnknownCode(Invalid):
    """The code is not in the reference data."""

    def __init__(self, kind: Kind, text: object, *, field: str | None) -> None:
        super().__init__(_message(kind, str(text)[:_QUOTED]), field=field or kind)


KINDS: Mapping[Kind, Sentence] = {
    "region": Sentence("region"),
    "province": Sentence("province"),
    "commune": Sentence("commune"),
    "sector": Sentence("sector"),
    "branch": Sentence("branch"),
    "sdg": Sentence("sdg"),
    "language": Sentence("language"),
}
"""What each list is called in a sentence."""


def _message(kind: Kind, text: str) -> Sentence:
    suggestion = nearest(kind, text)
    if suggestion is not None:
        return Sentence(
            'unknown {kind} "{text}": did you mean {code} ({name})?',
            kind=KINDS[kind],
            text=text,
            code=suggestion.code,
            name=suggestion.name,
        )
    if kind == "commune":
        return Sentence(
            'unknown commune "{text}": give its HCP code, such as 01.511.01.0, which starts with'
            " the code of its province",
            text=text,
        )
    codes = [record.code for record in _LISTS[kind]()]
    more = ", …" if len(codes) > _SHOWN else ""
    return Sentence(
        'unknown {kind} "{text}": give one of {codes}',
        kind=KINDS[kind],
        text=text,
        codes=f"{', '.join(codes[:_SHOWN])}{more}",
    )


@cache
def _by_code(kind: Kind) -> Mapping[str, Record]:
    return {record.code: record for record in _LISTS[kind]()}


def _record(kind: Kind, code: str, kind_class: type[_R], field: str | None) -> _R:
    record = _by_code(kind).get(code)
    if not isinstance(record, kind_class):
        raise UnknownCode(kind, code, field=field)
    return record


def region(code: str, *, field: str | None = None) -> Region:
    """The region with this ISO 3166-2 code, such as `MA-09`."""
    return _record("region", code, Region, field)


def province(code: str, *, field: str | None = None) -> Province:
    """The province or prefecture with this ISO 3166-2 code, such as `MA-TIZ`."""
    return _record("province", code, Province, field)


def commune(code: str, *, field: str | None = None) -> Commune:
    """The commune with this HCP code, such as `09.581.01.05`."""
    return _record("commune", code, Commune, field)


def sector(code: str, *, field: str | None = None) -> Sector:
    """The sector with this code, such as `ARGAN`."""
    return _record("sector", code, Sector, field)


def branch(code: str, *, field: str | None = None) -> Branch:
    """The branch with this code, such as `BEEKEEPING`."""
    return _record("branch", code, Branch, field)


def sdg(number: int, *, field: str | None = None) -> Sdg:
    """The Sustainable Development Goal with this number, 1 to 17."""
    for goal in sdgs():
        if goal.number == number:
            return goal
    raise UnknownCode("sdg", number, field=field)


def language(code: str, *, field: str | None = None) -> Language:
    """The language with this tag, `ar` or `shi`."""
    return _record("language", code, Language, field)


def label(kind: Kind, code: str | int, language: LabelLanguage) -> str:
    """The name of a code in this language; a development goal may be given by its number."""
    record = sdg(code) if isinstance(code, int) else _record(kind, code, Record, None)
    return record.label(language)


@cache
def _keys(kind: Kind) -> Mapping[str, Record]:
    """Every spelling of every record; codes come first, so no name can take a code's place."""
    records = _LISTS[kind]()
    keys: dict[str, Record] = {}
    for spellings in (_codes, _names):
        for record in records:
            for spelling in spellings(record):
                keys.setdefault(place_key(spelling), record)
    return keys


def _codes(record: Record) -> Iterator[str]:
    yield record.code
    if isinstance(record, Region | Province):
        yield record.code.removeprefix("MA-")
        yield record.hcp_code
    if isinstance(record, Region):
        yield str(int(record.hcp_code))
    if isinstance(record, Commune):
        yield from record.arrondissements
    if isinstance(record, Sdg):
        yield str(record.number)


def _names(record: Record) -> Iterator[str]:
    yield record.fr
    yield record.ar
    if record.en:
        yield record.en
    yield from record.aliases


def _find(kind: Kind, text: str) -> Record | None:
    return _keys(kind).get(place_key(text))


def find_region(text: str) -> Region | None:
    """The region that this text names in any usual spelling or code, or None."""
    found = _find("region", text)
    return found if isinstance(found, Region) else None


def find_province(text: str) -> Province | None:
    """The province that this text names in any usual spelling or code, or None."""
    found = _find("province", text)
    return found if isinstance(found, Province) else None


def find_sector(text: str) -> Sector | None:
    """The sector that this text names in any usual spelling or code, or None."""
    found = _find("sector", text)
    return found if isinstance(found, Sector) else None


def find_branch(text: str) -> Branch | None:
    """The branch that this text names in any usual spelling or synonym, or None."""
    found = _find("branch", text)
    return found if isinstance(found, Branch) else None


def find_commune(text: str, province_code: str) -> Commune | None:
    """The commune of this province that this text names by code or name, or None.

    Names repeat from province to province. The code of an arrondissement is that of its commune.
    """
    return _communes_of(province_code).get(place_key(text))


@cache
def _communes_of(province_code: str) -> Mapping[str, Commune]:
    within = communes_of(province_code)
    codes = {place_key(code): item for item in within for code in _codes(item)}
    return {place_key(name): item for item in within for name in _names(item)} | codes


@lru_cache(maxsize=4096)
def nearest(kind: Kind, text: str) -> Record | None:
    """The record whose code or name looks most like the text; None where none looks like it.

    A code that begins as those of a province's communes do is compared with these alone.
    """
    wanted = place_key(text[:_QUOTED])
    exact = _keys(kind).get(wanted)
    if exact is not None:
        return exact
    if kind == "commune" and wanted[:1].isdigit():
        province = _by_hcp_code().get(text[:_PROVINCE_PART])
        return _most_alike(wanted, _communes_of(province.code)) if province else None
    return _most_alike(wanted, _keys(kind))


@lru_cache(maxsize=4096)
def nearest_commune(text: str, province_code: str) -> Record | None:
    """The commune of this province whose code or name looks most like the text, or None."""
    return _most_alike(place_key(text[:_QUOTED]), _communes_of(province_code))


def _most_alike(wanted: str, keys: Mapping[str, Record]) -> Record | None:
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(wanted)
    best, best_score = None, (WORTH_SUGGESTING, len(wanted))
    for key, record in keys.items():
        matcher.set_seq1(key)
        if matcher.quick_ratio() >= best_score[0]:
            # Of two that look alike, the one that begins alike: slips are rarer at the beginning.
            score = matcher.ratio(), len(commonprefix((key, wanted)))  # noqa: RUF071  # characters
            if score > best_score:
                best, best_score = record, score
    return best


@cache
def region_of(province_code: str) -> str:
    """The code of the region that a province lies in."""
    return province(province_code).region


@cache
def provinces_of(region_code: str) -> tuple[Province, ...]:
    """The provinces of a region; none for a code that is not a region's."""
    return tuple(item for item in provinces() if item.region == region_code)


@cache
def communes_of(province_code: str) -> tuple[Commune, ...]:
    """The communes of a province; none for a code that is not a province's."""
    return tuple(item for item in communes() if item.province == province_code)


@cache
def _by_hcp_code() -> Mapping[str, Province]:
    return {item.hcp_code: item for item in provinces()}


def province_of_commune(hcp_code: str, *, field: str | None = None) -> Province:
    """The province whose HCP code starts the commune's code (`09.581` for `09.581.01.05`).

    It need not be the code of a commune that there is today: events may be older than the list.
    """
    found = _by_hcp_code().get(hcp_code[:_PROVINCE_PART])
    if found is None or not _COMMUNE.fullmatch(hcp_code):
        raise UnknownCode("commune", hcp_code, field=field)
    return found
