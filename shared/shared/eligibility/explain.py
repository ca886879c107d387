"""Says to a reader, in their language, why a track is open to them, why not, or what is missing."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from shared.contracts.criteria import Criteria, Profile

from .counts import Counts, bounds
from .evaluate import LISTED_RULES, Ages, members_asked, shares_asked
from .territory import province_of, region_of
from .verdict import Outcome, Rule, RuleResult, Verdict
from .wording import Range, ShareCounts, Wording

SENTENCES: Final = 1024
"""How many sentences of a kind are kept that follow from a few codes alone, such as the place of a
cooperative: most of what people read."""


def explain(verdict: Verdict, criteria: Criteria, profile: Profile, language: str) -> list[str]:
    """One short sentence for each rule of the verdict, in its order; equal sentences once only."""
    wording = Wording(language)
    sentences = (
        _missing(result, profile, wording)
        if result.outcome is Outcome.UNKNOWN
        else _decided(result, verdict, criteria, profile, wording)
        for result in verdict.rules
    )
    return list(dict.fromkeys(sentences))


def _missing(result: RuleResult, profile: Profile, wording: Wording) -> str:
    """A value that cannot be true is to be checked; one that is not there, to be filled in."""
    stated = {field: getattr(profile, field) for field in result.fields}
    absent = [field for field, value in stated.items() if value is None]
    wrong = {field: value for field, value in stated.items() if isinstance(value, int)}
    return wording.missing(absent, wrong)


def _decided(
    result: RuleResult, verdict: Verdict, criteria: Criteria, profile: Profile, wording: Wording
) -> str:
    is_met = result.outcome is Outcome.ELIGIBLE
    if result.rule is Rule.TERRITORY:
        return _territory(result, criteria, profile, wording)
    if result.rule is Rule.MEMBERS:
        asked = members_asked(criteria)
        assert asked is not None
        return wording.members(
            is_met, profile.members_total or 0, Range(asked[0] or None, asked[1])
        )
    if result.rule is Rule.AGE:
        return _age(is_met, verdict, criteria, profile, wording)
    for listed in LISTED_RULES:
        if listed.rule is result.rule:
            value = str(listed.value(profile))
            return _listed(wording.language, is_met, listed.rule, value, listed.allowed(criteria))
    return _share(result.rule, is_met, criteria, profile, wording)


@lru_cache(maxsize=SENTENCES)
def _listed(language: str, is_met: bool, rule: Rule, value: str, asked: tuple[str, ...]) -> str:
    return Wording(language).listed(is_met, rule, value, asked)


@lru_cache(maxsize=SENTENCES)
def _inside(language: str, region: str | None, province: str | None, commune: str | None) -> str:
    return Wording(language).inside(region, province, commune)


def _territory(result: RuleResult, criteria: Criteria, profile: Profile, wording: Wording) -> str:
    province = profile.province if profile.province is not None else province_of(profile.commune)
    region = region_of(province) if province is not None else profile.region
    commune = profile.commune if result.fields == ("commune",) else None
    if result.outcome is Outcome.ELIGIBLE:
        return _inside(wording.language, region, province, commune)
    return wording.outside(
        region, province, commune, (criteria.regions, criteria.provinces, criteria.communes)
    )


def _share(rule: Rule, is_met: bool, criteria: Criteria, profile: Profile, wording: Wording) -> str:
    counts = Counts.of(profile)
    part = bounds(rule, counts)
    counted = ShareCounts(
        rule=rule,
        low=part.low,
        high=part.high,
        total=counts.total or 0,
        women=counts.women,
        youth=counts.youth,
    )
    return wording.share(is_met, counted, dict(shares_asked(criteria))[rule])


def _age(
    is_met: bool, verdict: Verdict, criteria: Criteria, profile: Profile, wording: Wording
) -> str:
    asked = Ages.asked(criteria)
    assert asked is not None
    assert profile.created_on is not None
    within = Range(asked.least, asked.most)
    return wording.age(is_met, profile.created_on, within, verdict.reference_on)
