"""Calls as the tests of this service need them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from funding.calls.domain.call import Call, State
from funding.calls.domain.terms import CallTerms
from shared.contracts.deadline import Deadline

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
IN_A_WEEK = NOON + timedelta(days=7)
FUNDER = uuid.UUID("00000000-0000-4000-8000-0000000000f1")


def a_track(**criteria: Any) -> dict[str, Any]:
    return {
        "name": {"fr": "Coopératives", "ar": "التعاونيات"},
        "criteria": {"applicant_types": ["cooperative"], **criteria},
        "max_grant_centimes": 30_000_000,
        "max_rate_percent": 60,
    }


def a_payload(**changes: Any) -> dict[str, Any]:
    """The body of `POST /calls` for a call of the prefecture of Agadir."""
    return {
        "funder_slug": "indh-agadir",
        "funder": "INDH, préfecture d'Agadir-Ida-Ou-Tanane",
        "title": {"fr": "Appel à projets", "ar": "طلب مشاريع"},
        "summary": {"fr": "Investissement seul.", "ar": "الاستثمار فقط."},
        "tracks": [a_track(provinces=["MA-AGD"])],
        "deadline": {"local": "2027-09-02T16:00", "zone": "Africa/Casablanca"},
        **changes,
    }


def some_terms(**changes: Any) -> CallTerms:
    return CallTerms.model_validate(a_payload(**changes))


def a_deadline(at: datetime = IN_A_WEEK, shown: str = "1er décembre 2026 à 13 h") -> Deadline:
    return Deadline(at=at, zone="Africa/Casablanca", shown=shown)


def a_call(*, state: State = State.DRAFT, terms: CallTerms | None = None, **changes: Any) -> Call:
    """A call closing in a week; past the draft it was opened at noon today."""
    fields: dict[str, Any] = {
        "id": uuid.uuid4(),
        "funder_slug": "indh-agadir",
        "created_by": FUNDER,
        "created_at": NOON,
        "closes_at": IN_A_WEEK,
        "closes_shown": "1er décembre 2026 à 13 h",
    }
    call = Call(**{**fields, **changes}, terms=terms or some_terms())
    if state is not State.DRAFT:
        call.open(at=min(NOON, (call.closes_at or NOON) - timedelta(days=1)))
    if state is State.CLOSED:
        call.close(at=IN_A_WEEK)
    if state is State.CANCELLED:
        call.cancel(reason="budget retiré", at=NOON)
    return call
