"""Lists of the reference data, as they are shown: every name in Arabic, French and English."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, Field

from shared import reference
from shared.reference import Record


class Names(BaseModel):
    """The name in each language; in English it is the French one where there is no other."""

    ar: str
    fr: str
    en: str

    @classmethod
    def of(cls, record: Record) -> Names:
        """The names of a record."""
        return cls(ar=record.ar, fr=record.fr, en=record.label("en"))


class Coded(BaseModel):
    """A code with its names."""

    code: str
    names: Names


class RegionOut(Coded):
    """A region, by its code of ISO 3166-2."""

    hcp_code: str


class ProvinceOut(Coded):
    """A province or prefecture, by its code of ISO 3166-2."""

    region: str
    type: str
    hcp_code: str


class CommuneOut(Coded):
    """A commune, by its code of the census; its arrondissements count as the commune."""

    province: str
    type: str
    arrondissements: tuple[str, ...]


class BranchOut(Coded):
    """A branch of activity; `synonyms` are read as it in register files."""

    sector: str = Field(description="The sector that it is usually counted to.")
    synonyms: tuple[str, ...]


class LanguageOut(Coded):
    """A language of Morocco; messages are written in those that are `written`."""

    written: bool


def regions() -> list[RegionOut]:
    """The regions."""
    return [
        RegionOut(code=each.code, names=Names.of(each), hcp_code=each.hcp_code)
        for each in reference.regions()
    ]


def provinces(region: str | None) -> list[ProvinceOut]:
    """The provinces and prefectures, in all or of one region. Raises `UnknownCode`."""
    found = reference.provinces()
    if region is not None:
        found = reference.provinces_of(reference.region(region).code)
    return [
        ProvinceOut(
            code=each.code,
            names=Names.of(each),
            region=each.region,
            type=each.type,
            hcp_code=each.hcp_code,
        )
        for each in found
    ]


def communes(province: str | None) -> list[CommuneOut]:
    """The communes, in all or of one province. Raises `UnknownCode`."""
    found = reference.communes()
    if province is not None:
        found = reference.communes_of(reference.province(province).code)
    return [
        CommuneOut(
            code=each.code,
            names=Names.of(each),
            province=each.province,
            type=each.type,
            arrondissements=each.arrondissements,
        )
        for each in found
    ]


def branches(sector: str | None) -> list[BranchOut]:
    """The branches, in all or of one sector. Raises `UnknownCode`."""
    within = None if sector is None else reference.sector(sector).code
    return [
        BranchOut(code=each.code, names=Names.of(each), sector=each.sector, synonyms=each.aliases)
        for each in reference.branches()
        if within in (None, each.sector)
    ]


def languages() -> list[LanguageOut]:
    """The languages of Morocco."""
    return [
        LanguageOut(code=each.code, names=Names.of(each), written=each.written)
        for each in reference.languages()
    ]


def named(records: Sequence[Record]) -> list[Coded]:
    """Codes and names of records that have nothing else to show."""
    return [Coded(code=each.code, names=Names.of(each)) for each in records]
