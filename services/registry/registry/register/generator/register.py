"""Writing the drawn columns as the rows of a register file."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from datetime import date
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


def write_register(stream: TextIO, *, count: int = figures.COOPERATIVES, seed: int = 1) -> None:
    """Write a whole register file; the same count and seed give the same bytes."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(generate_rows(count=count, seed=seed))


def generate_rows(*, count: int, seed: int) -> Iterator[tuple[str, ...]]:
    """The rows of a register of `count` cooperatives, in the order of COLUMNS.

    Raises ValueError if `count` is less than 1.
    """
    if count < 1:
        raise ValueError(f"count is {count}: ask for at least 1 cooperative")
    generator = np.random.Generator(np.random.PCG64(seed))
    members = draw_members(count, generator)
    sectors = draw_sectors(members.women_only, generator)
    provinces = draw_provinces(sectors, generator)
    days = draw_days(count, generator)
    columns: tuple[Sequence[str], ...] = (
        _register_numbers(provinces, days),
        [f"TPI {reference.province(code).fr}" for code in provinces],
        _masked([_ice(number) for number in range(count)], "ice", generator),
        *_names(sectors, generator),
        *_forms(members.total, generator),
        _masked(
            [date.fromordinal(int(day)).isoformat() for day in days], "creation_date", generator
        ),
        provinces,
        _masked(_communes(provinces, generator), "commune", generator),
        sectors,
        _masked(_branches(sectors, generator), "branch", generator),
        _numbers(members.total, members.knows_total),
        _numbers(members.women, members.knows_women),
        _numbers(members.youth, members.knows_youth),
        _numbers(members.women_or_youth, members.knows_women_or_youth),
        _capitals(members.total, generator),
        pick(figures.LEGAL_STATUS_SHARES, count, generator),
        _activities(count, generator),
        *_contacts(count, generator),
        pick({"ar": figures.ARABIC_SHARE, "fr": 1 - figures.ARABIC_SHARE}, count, generator),
        [MARK] * count,
        ["yes"] * count,
    )
    return zip(*columns, strict=True)


def _masked(values: Sequence[str], column: str, generator: np.random.Generator) -> list[str]:
    known = generator.random(len(values)) >= figures.UNKNOWN_SHARES[column]
    return [value if is_known else "" for value, is_known in zip(values, known, strict=True)]


def _numbers(values: Numbers, known: Flags) -> list[str]:
    return [str(value) if is_known else "" for value, is_known in zip(values, known, strict=True)]


def _register_numbers(provinces: Sequence[str], days: Numbers) -> list[str]:
    """Numbers that each court gives in the order of creation, as in a chronological register."""
    numbers = [""] * len(provinces)
    last: dict[str, int] = {}
    for row in np.argsort(days, kind="stable"):
        province = provinces[row]
        last[province] = last.get(province, 0) + 1
        numbers[row] = f"{last[province]}/{date.fromordinal(int(days[row])).year}"
    return numbers


def _ice(number: int) -> str:
    """An ICE: nine digits of the enterprise, 0000 of the establishment, two check digits."""
    first = (990_000_000 + number) * 10_000
    return f"{first * 100 + (97 - first * 100 % 97) % 97:015d}"


def _names(sectors: Sequence[str], generator: np.random.Generator) -> tuple[list[str], list[str]]:
    words = [int(word) for word in generator.integers(0, len(FIRST) * len(SECOND), len(sectors))]
    french = [french_name(word, sector) for word, sector in zip(words, sectors, strict=True)]
    arabic = [arabic_name(word, sector) for word, sector in zip(words, sectors, strict=True)]
    return french, _masked(arabic, "name_ar", generator)


def _forms(total: Numbers, generator: np.random.Generator) -> tuple[list[str], list[str]]:
    """Legal form and governance: managers only run small cooperatives (assumption: under 50)."""
    unions = generator.random(len(total)) < figures.UNION_SHARE
    managed = (generator.random(len(total)) < 0.5) & (total < 50) & ~unions
    forms = ["cooperative_union" if is_union else "cooperative" for is_union in unions]
    return forms, ["managers" if is_managed else "board" for is_managed in managed]


def _communes(provinces: Sequence[str], generator: np.random.Generator) -> list[str]:
    """The code of a commune of each province; every commune of it is as likely."""
    drawn = generator.random(len(provinces))
    among = {code: reference.communes_of(code) for code in set(provinces)}
    return [
        among[code][int(part * len(among[code]))].code
        for code, part in zip(provinces, drawn, strict=True)
    ]


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


def _capitals(total: Numbers, generator: np.random.Generator) -> list[str]:
    """In dirhams: one to ten shares of 100 per member, and at least the 1,000 of the law."""
    shares = generator.integers(1, 11, len(total))
    return [str(max(1_000, int(n) * int(s) * 100)) for n, s in zip(total, shares, strict=True)]


def _activities(count: int, generator: np.random.Generator) -> list[str]:
    shares = {"dormant": figures.DORMANT_SHARE, "active": 1 - figures.DORMANT_SHARE}
    return _masked(pick(shares, count, generator), "activity", generator)


def _contacts(count: int, generator: np.random.Generator) -> tuple[list[str], list[str], list[str]]:
    """Numbered presidents, phones +212 600 xxxxxx in two spellings, e-mails under .example."""
    presidents = [f"Présidence d'essai {number + 1}" for number in range(count)]
    digits = [f"{number % 1_000_000:06d}" for number in range(count)]
    spaced = generator.random(count) < 0.2
    phones = [
        f"06 00 {d[:2]} {d[2:4]} {d[4:]}" if is_spaced else f"+212600{d}"
        for d, is_spaced in zip(digits, spaced, strict=True)
    ]
    emails = [f"coop-{number + 1}@taawon.example" for number in range(count)]
    return presidents, _masked(phones, "phone", generator), _masked(emails, "email", generator)
