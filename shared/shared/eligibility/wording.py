"""The sentences about a verdict, put together from the catalogue of a language.

There is no grammar of any language here: how a number bends the words after it, and what stands
before a name that begins with a vowel, is in the entries of the catalogues.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from shared import i18n, reference
from shared.contracts.criteria import ActivityStatus, ApplicantType, LegalStatus, MinShare
from shared.i18n.catalogues import translate
from shared.i18n.languages import content_language
from shared.i18n.terms import Terms

from .verdict import UNKNOWN_FIELDS, Rule

SHOWN = 3
"""How many of the places or values asked for are listed by name."""

Places = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
"""Regions, provinces and communes, by code."""

FIELDS = Terms("register.field", ("region", *UNKNOWN_FIELDS))
VALUES = Terms("register.value", (*ApplicantType, *LegalStatus, *ActivityStatus))
TITLES = Terms("rule", Rule)
PLACES = Terms(
    "place",
    (
        "region",
        "region_before_vowel",
        "province",
        "province_before_vowel",
        "prefecture",
        "prefecture_before_vowel",
        "unknown_province",
        "commune",
        "commune_before_vowel",
        "unknown_commune",
    ),
    parameters=("name",),
)
VOWELS = frozenset("AEIOUÉÈ")
SHARES = (
    Rule.SHARE_WOMEN,
    Rule.SHARE_YOUTH,
    Rule.SHARE_WOMEN_PLUS_YOUTH,
    Rule.SHARE_WOMEN_OR_YOUTH,
)
BOUNDS = Terms(
    "share.bound",
    (f"{end}_{rule}" for end in ("least", "most") for rule in SHARES),
    parameters=("count",),
)
THRESHOLDS = Terms(
    "share",
    ("met_least", "met_above", "unmet_least", "unmet_above"),
    parameters=("part", "percent"),
)
RANGES = ("at_least", "at_most", "between")
MEMBERS = Terms("members.asked", RANGES, parameters=("least", "count"))
AGES = Terms("age.asked", RANGES, parameters=("least", "count", "day"))


@dataclass(frozen=True)
class Range:
    """A least and a greatest number, at least one of them set."""

    least: int | None
    most: int | None


@dataclass(frozen=True)
class ShareCounts:
    """The counts behind a share; `low` and `high` differ when a count is missing."""

    rule: Rule
    low: int
    high: int
    total: int
    women: int | None
    youth: int | None


@dataclass(frozen=True)
class Wording:
    """The sentences in one language."""

    language: str

    def missing(self, absent: Sequence[str], wrong: Mapping[str, int]) -> str:
        """Which fields are to be filled in, and which values cannot be true."""
        parts = []
        if absent:
            fields = self._listed(FIELDS.text(self.language, field) for field in absent)
            parts.append(translate(self.language, "missing.absent", fields=fields))
        if wrong:
            fields = self._listed(self._wrong(field, value) for field, value in wrong.items())
            parts.append(translate(self.language, "missing.wrong", fields=fields))
        return translate(self.language, "list.semicolon").join(parts)

    def inside(self, region: str | None, province: str | None, commune: str | None) -> str:
        """The place, given by its codes, lies in the territory of the track."""
        place = self._where(region, province, commune)
        return translate(self.language, "territory.inside", place=place)

    def outside(
        self, region: str | None, province: str | None, commune: str | None, asked: Places
    ) -> str:
        """The place lies outside the territory, whose first places are named."""
        return translate(
            self.language,
            "territory.outside",
            place=self._where(region, province, commune),
            asked=self._short(self._places(asked)),
        )

    def listed(self, is_met: bool, rule: Rule, value: str, asked: Sequence[str]) -> str:
        """Whether the value of a field is among those that the track asks for."""
        title, shown = TITLES.text(self.language, rule), self._value(rule, value)
        if is_met:
            return translate(self.language, "listed.met", title=title, value=shown)
        wanted = self._short([self._value(rule, item) for item in asked])
        return translate(self.language, "listed.unmet", title=title, value=shown, asked=wanted)

    def share(self, is_met: bool, counted: ShareCounts, asked: MinShare) -> str:
        """Whether the share of women or youth reaches its threshold, with the counts."""
        code = f"{'met' if is_met else 'unmet'}_{'above' if asked.strict else 'least'}"
        part = self._part(is_met, counted)
        return THRESHOLDS.text(self.language, code, part=part, percent=asked.percent)

    def members(self, is_met: bool, total: int, asked: Range) -> str:
        """Whether the number of members lies in the range."""
        members = translate(self.language, "count.members", count=total)
        wanted = self._range(MEMBERS, asked)
        if is_met:
            return translate(self.language, "members.met", members=members, asked=wanted)
        return translate(self.language, "members.unmet", members=members, asked=wanted)

    def age(self, is_met: bool, created_on: date, asked: Range, reference_on: date) -> str:
        """Whether the age on the reference day lies in the range, which is in whole months."""
        wanted = self._range(AGES, asked, day=i18n.day(self.language, reference_on))
        created = i18n.day(self.language, created_on)
        if is_met:
            return translate(self.language, "age.met", created_on=created, asked=wanted)
        return translate(self.language, "age.unmet", created_on=created, asked=wanted)

    def _listed(self, names: Iterable[str]) -> str:
        return translate(self.language, "list.comma").join(names)

    def _short(self, names: Sequence[str]) -> str:
        shown, more = self._listed(names[:SHOWN]), len(names) - SHOWN
        if more <= 0:
            return shown
        return translate(self.language, "list.and_more", names=shown, count=more)

    def _wrong(self, field: str, value: int) -> str:
        name = FIELDS.text(self.language, field)
        return translate(self.language, "missing.wrong_field", field=name, value=value)

    def _value(self, rule: Rule, value: str) -> str:
        if rule is Rule.BRANCH:
            name = name_of("branch", value, self.language)
            return translate(self.language, "branch.code", code=value) if name == value else name
        if rule is Rule.SECTOR:
            return name_of("sector", value, self.language)
        return VALUES.name(self.language, value)

    def _range(self, terms: Terms, asked: Range, **parameters: str) -> str:
        if asked.least is None:
            return terms.text(self.language, "at_most", count=asked.most or 0, **parameters)
        if asked.most is None:
            return terms.text(self.language, "at_least", count=asked.least, **parameters)
        return terms.text(
            self.language, "between", least=asked.least, count=asked.most, **parameters
        )

    def _part(self, is_met: bool, counted: ShareCounts) -> str:
        is_exact = counted.low == counted.high
        if is_exact and counted.rule is Rule.SHARE_WOMEN_PLUS_YOUTH:
            return self._women_plus_youth(counted)
        part = self._exact(counted) if is_exact else self._bound(is_met, counted)
        return translate(self.language, "share.of_members", part=part, count=counted.total)

    def _women_plus_youth(self, counted: ShareCounts) -> str:
        return translate(
            self.language,
            "share.women_plus_youth",
            women=translate(self.language, "count.women", count=counted.women or 0),
            youth=translate(self.language, "count.youth", count=counted.youth or 0),
            count=counted.total,
        )

    def _exact(self, counted: ShareCounts) -> str:
        if counted.rule is Rule.SHARE_WOMEN:
            return translate(self.language, "count.women", count=counted.low)
        if counted.rule is Rule.SHARE_YOUTH:
            return translate(self.language, "count.youth", count=counted.low)
        return translate(self.language, "count.women_or_youth", count=counted.low)

    def _bound(self, is_met: bool, counted: ShareCounts) -> str:
        if is_met:
            return BOUNDS.text(self.language, f"least_{counted.rule}", count=counted.low)
        return BOUNDS.text(self.language, f"most_{counted.rule}", count=counted.high)

    def _where(self, region: str | None, province: str | None, commune: str | None) -> str:
        """The narrowest place, with the next wider one in brackets."""
        if province is None and region is None:
            return self._commune(commune or "")
        if province is None:
            return self._region(region or "")
        if commune is not None:
            return self._within(self._commune(commune), self._province(province))
        if region is not None:
            return self._within(self._province(province), self._region(region))
        return self._province(province)

    def _within(self, place: str, wider: str) -> str:
        return translate(self.language, "place.within", place=place, wider=wider)

    def _places(self, asked: Places) -> list[str]:
        regions, provinces, communes = asked
        return [
            *map(self._region, regions),
            *map(self._province, provinces),
            *map(self._commune, communes),
        ]

    def _region(self, code: str) -> str:
        return self._place("region", name_of("region", code, self.language))

    def _province(self, code: str) -> str:
        province = _province_or_none(code)
        if province is None:
            return PLACES.text(self.language, "unknown_province", name=code)
        return self._place(province.type, province.label(content_language(self.language)))

    def _place(self, kind: str, name: str) -> str:
        code = f"{kind}_before_vowel" if name[0] in VOWELS else kind
        return PLACES.text(self.language, code, name=name)

    def _commune(self, code: str) -> str:
        name = name_of("commune", code, self.language)
        if name == code:
            return PLACES.text(self.language, "unknown_commune", name=code)
        return self._place("commune", name)


def name_of(kind: reference.Kind, code: str, language: str) -> str:
    """The name that the reference data have for a code, or the code itself if they have none."""
    try:
        return reference.label(kind, code, content_language(language))
    except reference.UnknownCode:
        return code


def _province_or_none(code: str) -> reference.Province | None:
    return next((item for item in reference.provinces() if item.code == code), None)
