"""Writing the drawn columns as the rows of a register file."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import chain, repeat
from typing import Final, TextIO

import numpy as np

from shared import reference

from . import figures
from .draw import Flags, Numbers, draw_days, draw_members, draw_provinces, draw_sectors, pick
from .names import FIRST, SECOND, arabic_name, french_name

COLUMNS: Final = (
    "local_register_no", "court", "ice", "name_fr", "name_ar", "legal_form", "governance",
    "creation_date", "province", "commune", "sector", "branch", "members_total", "members_women",
    "members_youth", "members_women_or_youth", "capital", "status", "activity", "president",
    "phone", "email", "language", "consent_source", "is_test_data",
)  # fmt: skip

MARK: Final = "generated test data"
MOST_AT_ONCE: Final = figures.COOPERATIVES
"""Drawn together; a larger register is drawn in equal parts, so its memory has a limit."""


def write_register(stream: TextIO, *, count: int = figures.COOPERATIVES, seed: int = 1) -> None:
    """Write a whole register file; the same count and seed give the same bytes."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(generate_rows(count=count, seed=seed))


def generate_rows(*, count: int, seed: int) -> Iterator[tuple[str, ...]]:
    """The rows of a register of `count` cooperatives, in the order of COLUMNS.

    Numbers are drawn part by part, texts are made row by row. Raises ValueError if `count` is less
    than 1.
    """
    if count < 1:
        raise ValueError(f"count is {count}: ask for at least 1 cooperative")
    generator = np.random.Generator(np.random.PCG64(seed))
    last_numbers: dict[str, int] = {}
    return chain.from_iterable(
        _part(first, size, generator, last_numbers) for first, size in _parts(count)
    )


def _parts(count: int) -> Iterator[tuple[int, int]]:
    """The first row and the size of each part: as few as possible, and about equal."""
    parts = -(-count // MOST_AT_ONCE)
    for part in range(parts):
        first, end = count * part // parts, count * (part + 1) // parts
        yield first, end - first


def _part(
    first: int, count: int, generator: np.random.Generator, last_numbers: dict[str, int]
) -> Iterator[tuple[str, ...]]:
    """The rows from `first` on; every number is drawn here, before the first row is taken."""
    members = draw_members(count, generator)
    sectors = draw_sectors(members.women_only, generator)
    provinces = draw_provinces(sectors, generator)
    days = draw_days(count, generator)
    places = range(first, first + count)
    columns: tuple[Iterable[str], ...] = (
        _register_numbers(provinces, days, last_numbers),
        (f"TPI {reference.province(code).fr}" for code in provinces),
        _masked(map(_ice, places), "ice", count, generator),
        *_names(sectors, generator),
        *_forms(members.total, generator),
        _masked(_dates(days), "creation_date", count, generator),
        provinces,
        _masked(_communes(provinces, generator), "commune", count, generator),
        sectors,
        _masked(_branches(sectors, generator), "branch", count, generator),
        _numbers(members.total, members.knows_total),
        _numbers(members.women, members.knows_women),
        _numbers(members.youth, members.knows_youth),
        _numbers(members.women_or_youth, members.knows_women_or_youth),
        _capitals(members.total, generator),
        pick(figures.LEGAL_STATUS_SHARES, count, generator),
        _activities(count, generator),
        *_contacts(places, generator),
        pick({"ar": figures.ARABIC_SHARE, "fr": 1 - figures.ARABIC_SHARE}, count, generator),
        repeat(MARK, count),
        repeat("yes", count),
    )
    return zip(*columns, strict=True)


def _masked(
    values: Iterable[str], column: str, count: int, generator: np.random.Generator
) -> Iterator[str]:
    known = generator.random(count) >= figures.UNKNOWN_SHARES[column]
    return (value if is_known else "" for value, is_known in zip(values, known, strict=True))


def _numbers(values: Numbers, known: Flags) -> Iterator[str]:
    return (str(value) if is_known else "" for value, is_known in zip(values, known, strict=True))


def _dates(days: Numbers) -> Iterator[str]:
    return (date.fromordinal(int(day)).isoformat() for day in days)


def _register_numbers(
    provinces: Sequence[str], days: Numbers, last: dict[str, int]
) -> Iterator[str]:
    """Numbers that each court gives in the order of creation, as in a chronological register.

    `last` are the numbers that courts gave in the parts before, whose order goes before this one's.
    """
    numbers = np.zeros(len(provinces), dtype=np.int64)
    for row in np.argsort(days, kind="stable"):
        province = provinces[row]
        last[province] = last.get(province, 0) + 1
        numbers[row] = last[province]
    return (
        f"{number}/{date.fromordinal(int(day)).year}"
        for number, day in zip(numbers, days, strict=True)
    )


def _ice(number: int) -> str:
    """An ICE: nine digits of the enterprise, 0000 of the establishment, two check digits."""
    first = (990_000_000 + number) * 10_000
    return f"{first * 100 + (97 - first * 100 % 97) % 97:015d}"


def _names(
    sectors: Sequence[str], generator: np.random.Generator
) -> tuple[Iterator[str], Iterator[str]]:
    words = generator.integers(0, len(FIRST) * len(SECOND), len(sectors))
    french = (french_name(int(word), each) for word, each in zip(words, sectors, strict=True))
    arabic = (arabic_name(int(word), each) for word, each in zip(words, sectors, strict=True))
    return french, _masked(arabic, "name_ar", len(sectors), generator)


def _forms(total: Numbers, generator: np.random.Generator) -> tuple[Iterator[str], Iterator[str]]:
    """Legal form and governance: managers only run small cooperatives (assumption: under 50)."""
    unions = generator.random(len(total)) < figures.UNION_SHARE
    managed = (generator.random(len(total)) < 0.5) & (total < 50) & ~unions
    forms = ("cooperative_union" if is_union else "cooperative" for is_union in unions)
    return forms, ("managers" if is_managed else "board" for is_managed in managed)


def _communes(provinces: Sequence[str], generator: np.random.Generator) -> Iterator[str]:
    """The code of a commune of each province; every commune of it is as likely."""
    return map(_commune, provinces, generator.random(len(provinces)))


def _commune(province: str, drawn: float) -> str:
    among = reference.communes_of(province)
    return among[int(drawn * len(among))].code


def _branches(sectors: Sequence[str], generator: np.random.Generator) -> list[str]:
    branches = [figures.SINGLE_BRANCHES.get(sector, "") for sector in sectors]
    for sector, shares in (
        ("AGRICULTURE", figures.AGRICULTURE_BRANCHES),
        ("CRAFTS", figures.CRAFTS_BRANCHES),
    ):
        rows = [row for row, value in enumerate(sectors) if value == sector]
        for row, branch in zip(rows, pick(shares, len(rows), generator), strict=True):
            branches[row] = branch
    return branches


def _capitals(total: Numbers, generator: np.random.Generator) -> Iterator[str]:
    """In dirhams: one to ten shares of 100 per member, and at least the 1,000 of the law."""
    shares = generator.integers(1, 11, len(total))
    return (str(max(1_000, int(n) * int(s) * 100)) for n, s in zip(total, shares, strict=True))


def _activities(count: int, generator: np.random.Generator) -> Iterator[str]:
    shares = {"dormant": figures.DORMANT_SHARE, "active": 1 - figures.DORMANT_SHARE}
    return _masked(pick(shares, count, generator), "activity", count, generator)


def _contacts(
    places: range, generator: np.random.Generator
) -> tuple[Iterator[str], Iterator[str], Iterator[str]]:
    """Numbered presidents, phones +212 600 xxxxxx in two spellings, e-mails under .example."""
    spaced = generator.random(len(places)) < 0.2
    return (
        (f"Présidence d'essai {place + 1}" for place in places),
        _masked(map(_phone, places, spaced), "phone", len(places), generator),
        _masked(
            (f"coop-{place + 1}@taawon.example" for place in places),
            "email",
            len(places),
            generator,
        ),
    )


def _phone(place: int, is_spaced: bool) -> str:
    digits = f"{place % 1_000_000:06d}"
    spaced = f"06 00 {digits[:2]} {digits[2:4]} {digits[4:]}"
    return spaced if is_spaced else f"+212600{digits}"
