"""The outcome of criteria for a profile, in one word or with the missing fields."""

from __future__ import annotations

from datetime import date

from shared.contracts.criteria import Criteria, MinShare, Profile
from shared.eligibility.evaluate import evaluate, excludes
from shared.eligibility.verdict import Outcome

REFERENCE_ON = date(2026, 12, 31)


def share(percent: int, *, strict: bool = False) -> MinShare:
    return MinShare(percent=percent, strict=strict)


def outcome_of(criteria: Criteria, **profile: object) -> str:
    """`eligible`, `ineligible`, or `unknown: a, b`."""
    known = Profile.model_validate(profile)
    verdict = evaluate(criteria, known, reference_on=REFERENCE_ON)
    is_excluded = excludes(criteria, known, reference_on=REFERENCE_ON)
    assert is_excluded is (verdict.outcome is Outcome.INELIGIBLE)
    if verdict.outcome is Outcome.UNKNOWN:
        return f"unknown: {', '.join(verdict.unknown_fields)}"
    assert verdict.unknown_fields == ()
    return verdict.outcome
