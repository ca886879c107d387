"""The records of the reference data, read once from `data.json` and `communes.csv`."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal, TypedDict

from shared.sentences import Name

Kind = Literal["region", "province", "commune", "sector", "branch", "sdg", "language"]
LabelLanguage = Literal["fr", "ar", "en"]


@dataclass(frozen=True, kw_only=True)
class Record:
    """One entry of a list; French stands in where there is no English label."""

    code: str
    fr: str
    ar: str
    en: str | None = None
    aliases: tuple[str, ...] = ()

    @property
    def name(self) -> Name:
        """The name, for a sentence in any language."""
        return Name(fr=self.fr, ar=self.ar)

    def label(self, language: LabelLanguage) -> str:
        """The name in this language."""
        return {"fr": self.fr, "ar": self.ar, "en": self.en or self.fr}[language]


@dataclass(frozen=True, kw_only=True)
class Region(Record):
    """One of the 12 regions; `population` is that of the 2024 census."""

    hcp_code: str
    population: int


@dataclass(frozen=True, kw_only=True)
class Province(Record):
    """One of the 75 provinces and prefectures; `communes` is how many it has."""

    hcp_code: str
    region: str
    type: Literal["province", "prefecture"]
    population: int
    communes: int


@dataclass(frozen=True, kw_only=True)
class Commune(Record):
    """One of the 1,503 communes; its code begins with that of its province.

    An arrondissement of one of the six largest cities counts as the commune that it is part of.
    """

    province: str
    type: Literal["urban", "rural"]
    arrondissements: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Sector(Record):
    """A sector of activity, as the ODCO, the office that promotes cooperatives, defines them."""


@dataclass(frozen=True, kw_only=True)
class Branch(Record):
    """A branch of activity, below the sector that it is usually counted to.

    A cooperative of another sector may have it too: the sector is never inferred from it.
    """

    sector: str


@dataclass(frozen=True, kw_only=True)
class Sdg(Record):
    """One of the 17 Sustainable Development Goals."""

    number: int


@dataclass(frozen=True, kw_only=True)
class Language(Record):
    """A language of Morocco. Messages are written in those that are `written`; others are spoken"""

    written: bool
    direction: Literal["ltr", "rtl"] | None


class _Row(TypedDict, total=False):
    code: str
    number: int
    fr: str
    ar: str
    en: str
    aliases: list[str]
    hcp_code: str
    region: str
    sector: str
    type: Literal["province", "prefecture"]
    population: int
    communes: int
    written: bool
    direction: Literal["ltr", "rtl"] | None


class Source(TypedDict):
    """Where part of the data comes from, and on what terms; show it where the data is shown."""

    what: str
    origin: str
    licence: str


class _Meta(TypedDict):
    sources: list[Source]
    changes: str


class _Data(TypedDict):
    meta: _Meta
    regions: list[_Row]
    provinces: list[_Row]
    sectors: list[_Row]
    branches: list[_Row]
    sdgs: list[_Row]
    languages: list[_Row]


@cache
def _data() -> _Data:
    data: _Data = json.loads(
        files("shared.reference").joinpath("data.json").read_text(encoding="utf-8")
    )
    return data


@cache
def sources() -> tuple[Source, ...]:
    """The attributions that the licences of the data require."""
    return tuple(_data()["meta"]["sources"])


class _Labels(TypedDict):
    fr: str
    ar: str
    en: str | None
    aliases: tuple[str, ...]


def _labels(row: _Row) -> _Labels:
    return _Labels(
        fr=row["fr"], ar=row["ar"], en=row.get("en"), aliases=tuple(row.get("aliases", ()))
    )


@cache
def regions() -> tuple[Region, ...]:
    """The 12 regions."""
    return tuple(
        Region(
            code=row["code"],
            hcp_code=row["hcp_code"],
            population=row["population"],
            **_labels(row),
        )
        for row in _data()["regions"]
    )


@cache
def provinces() -> tuple[Province, ...]:
    """The 75 provinces and prefectures."""
    return tuple(
        Province(
            code=row["code"],
            hcp_code=row["hcp_code"],
            region=row["region"],
            type=row["type"],
            population=row["population"],
            communes=row["communes"],
            **_labels(row),
        )
        for row in _data()["provinces"]
    )


@cache
def communes() -> tuple[Commune, ...]:
    """The 1,503 communes, in the order of their codes."""
    province_of = {item.hcp_code: item.code for item in provinces()}
    text = files("shared.reference").joinpath("communes.csv").read_text(encoding="utf-8")
    return tuple(
        Commune(
            code=row["code"],
            fr=row["fr"],
            ar=row["ar"],
            province=province_of[row["code"].rpartition(".")[0].rpartition(".")[0]],
            type="urban" if row["type"] == "urban" else "rural",
            arrondissements=tuple(row["arrondissements"].split()),
        )
        for row in csv.DictReader(text.splitlines())
    )


@cache
def sectors() -> tuple[Sector, ...]:
    """The 24 sectors of activity."""
    return tuple(Sector(code=row["code"], **_labels(row)) for row in _data()["sectors"])


@cache
def branches() -> tuple[Branch, ...]:
    """The branches of activity that criteria and registers may name."""
    return tuple(
        Branch(code=row["code"], sector=row["sector"], **_labels(row))
        for row in _data()["branches"]
    )


@cache
def sdgs() -> tuple[Sdg, ...]:
    """The 17 Sustainable Development Goals."""
    return tuple(
        Sdg(code=f"SDG{row['number']:02}", number=row["number"], **_labels(row))
        for row in _data()["sdgs"]
    )


@cache
def languages() -> tuple[Language, ...]:
    """The languages of Morocco."""
    return tuple(
        Language(
            code=row["code"], written=row["written"], direction=row["direction"], **_labels(row)
        )
        for row in _data()["languages"]
    )
