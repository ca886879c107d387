"""The verdict in French. Plain spaces throughout: a no-break space makes an SMS cost double."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from shared import months
from shared.contracts.criteria import MinShare

from .verdict import Rule
from .wording import (
    SHOWN,
    Places,
    Range,
    ShareSeen,
    name_of_sector,
    province_or_none,
    region_name,
)

FIELDS = {
    "province": "province ou préfecture",
    "commune": "commune",
    "sector": "secteur d'activité",
    "branch": "branche d'activité",
    "applicant_type": "forme juridique",
    "legal_status": "situation légale",
    "activity_status": "activité (active ou en sommeil)",
    "members_total": "nombre total de membres",
    "members_women": "nombre de femmes",
    "members_youth": "nombre de jeunes (18-35 ans)",
    "members_women_or_youth": "nombre de femmes ou jeunes (18-35 ans), chacun compté une fois",
    "created_on": "date de création",
}
TITLES = {
    Rule.SECTOR: "Secteur",
    Rule.BRANCH: "Branche",
    Rule.APPLICANT_TYPE: "Forme juridique",
    Rule.LEGAL_STATUS: "Situation légale",
    Rule.ACTIVITY_STATUS: "Activité",
}
VALUES = {
    "cooperative": "coopérative",
    "cooperative_union": "union de coopératives",
    "pre_creation": "groupe en cours de création",
    "gie": "groupement d'intérêt économique",
    "tpme": "très petite, petite ou moyenne entreprise",
    "self_employed": "auto-entrepreneur",
    "association": "association",
    "association_network": "réseau d'associations",
    "project_holder": "porteur de projet",
    "registered": "immatriculée",
    "in_liquidation": "en liquidation",
    "dissolved": "dissoute",
    "struck_off": "radiée",
    "active": "active",
    "dormant": "en sommeil",
}
WITH_ARTICLE = {"MA-02": "de l'Oriental"}
"""Regions whose name does not stand after « région » as it is."""
YOUTH_AGES = "(18-35 ans)"


class French:
    """Sentences in French."""

    def missing(self, absent: Sequence[str], wrong: Mapping[str, int]) -> str:
        parts = []
        if absent:
            parts.append(f"À compléter : {', '.join(FIELDS[field] for field in absent)}")
        if wrong:
            shown = ", ".join(f"{FIELDS[field]} ({value})" for field, value in wrong.items())
            parts.append(f"À vérifier : {shown}")
        return " ; ".join(parts)

    def inside(self, region: str | None, province: str | None, commune: str | None) -> str:
        return f"Votre coopérative est dans {_where(region, province, commune)}"

    def outside(
        self, region: str | None, province: str | None, commune: str | None, asked: Places
    ) -> str:
        return (
            f"{self.inside(region, province, commune)} ; "
            f"territoire demandé : {_short(_places(asked))}"
        )

    def listed(self, is_met: bool, rule: Rule, value: str, asked: Sequence[str]) -> str:
        title = f"{TITLES[rule]} : {_value(rule, value)}"
        if is_met:
            return f"{title}, condition remplie"
        return f"{title} ; demandé : {_short([_value(rule, item) for item in asked])}"

    def share(self, is_met: bool, seen: ShareSeen, asked: MinShare) -> str:
        threshold = f"{'plus de' if asked.strict else 'au moins'} {asked.percent} %"
        of = "de " if asked.strict else "d'"
        return (
            f"{_part(is_met, seen)} : {f'le seuil est {of}' if is_met else 'il faut '}{threshold}"
        )

    def members(self, is_met: bool, total: int, asked: Range) -> str:
        shown = _count(total, "membre")
        if is_met:
            return f"{shown} : condition remplie ({_range(asked)})"
        return f"{shown} : il en faut {_range(asked)}"

    def age(self, is_met: bool, created_on: date, asked: Range, reference_on: date) -> str:
        condition = f"{_range(asked)} mois d'existence au {_day(reference_on)}"
        if is_met:
            return f"Création le {_day(created_on)} : condition remplie ({condition})"
        return f"Création le {_day(created_on)} : il faut {condition}"


FRENCH = French()


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number < 2 or noun.endswith('s') else 's'}"


def _range(asked: Range) -> str:
    if asked.least is None:
        return f"au plus {asked.most}"
    if asked.most is None:
        return f"au moins {asked.least}"
    return f"entre {asked.least} et {asked.most}"


def _day(day: date) -> str:
    return f"{'1er' if day.day == 1 else day.day} {months.FRENCH[day.month - 1]} {day.year}"


def _part(is_met: bool, seen: ShareSeen) -> str:
    women, youth = _count(seen.low, "femme"), f"{_count(seen.low, 'jeune')} {YOUTH_AGES}"
    of_members = f"sur {_count(seen.total, 'membre')}"
    if seen.low != seen.high:
        return f"{_bound(is_met, seen)} {of_members}"
    if seen.rule is Rule.SHARE_WOMEN:
        return f"{women} {of_members}"
    if seen.rule is Rule.SHARE_YOUTH:
        return f"{youth} {of_members}"
    if seen.rule is Rule.SHARE_WOMEN_OR_YOUTH:
        return f"{women} ou {'jeune' if seen.low < 2 else 'jeunes'} {YOUTH_AGES} {of_members}"
    both = f"{_count(seen.women or 0, 'femme')} + {_count(seen.youth or 0, 'jeune')} {YOUTH_AGES}"
    return f"{both} pour {_count(seen.total, 'membre')}"


def _bound(is_met: bool, seen: ShareSeen) -> str:
    nouns = {
        Rule.SHARE_WOMEN: "femmes",
        Rule.SHARE_YOUTH: f"jeunes {YOUTH_AGES}",
        Rule.SHARE_WOMEN_PLUS_YOUTH: f"femmes et jeunes {YOUTH_AGES} additionnés,",
        Rule.SHARE_WOMEN_OR_YOUTH: f"femmes ou jeunes {YOUTH_AGES}",
    }
    return f"{f'au moins {seen.low}' if is_met else f'au plus {seen.high}'} {nouns[seen.rule]}"


def _value(rule: Rule, value: str) -> str:
    if rule is Rule.BRANCH:
        return f"code {value}"
    return name_of_sector(value, "fr") if rule is Rule.SECTOR else VALUES.get(value, value)


def _short(names: Sequence[str]) -> str:
    if len(names) <= SHOWN:
        return ", ".join(names)
    more = len(names) - SHOWN
    return f"{', '.join(names[:SHOWN])} et {_count(more, 'autre')}"


def _where(region: str | None, province: str | None, commune: str | None) -> str:
    in_region = f"la {_region(region)}" if region is not None else ""
    if province is None:
        return in_region
    in_province = f"la {_province(province)}"
    if commune is not None:
        return f"la {_commune(commune)} ({_province(province)})"
    return f"{in_province} ({in_region.removeprefix('la ')})" if in_region else in_province


def _region(code: str) -> str:
    return f"région {WITH_ARTICLE.get(code) or region_name(code, 'fr')}"


def _commune(code: str) -> str:
    """The reference data have no names of communes."""
    return f"commune de code {code}"


def _province(code: str) -> str:
    province = province_or_none(code)
    if province is None:
        return f"province {code}"
    kind = "préfecture" if province.type == "prefecture" else "province"
    of = "d'" if province.fr[0] in "AEIOUÉÈ" else "de "
    return f"{kind} {of}{province.fr}"


def _places(asked: Places) -> list[str]:
    regions, provinces, communes = asked
    return [
        *(_region(code) for code in regions),
        *(_province(code) for code in provinces),
        *(_commune(code) for code in communes),
    ]
