"""The two calls of the fan-out rows, each with a bare statement that alerts the same people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from shared.contracts.base import new_id
from shared.contracts.deadline import Deadline
from shared.contracts.funding import CallOpened, CallSnapshot, Track

NARROW_REGION = "MA-09"
REFERENCE_ON = date(2026, 11, 24)
_INSERT = """\
INSERT INTO alert (subject_id, cooperative_id, edition, kind, subject_version, audience_version,
                   eligible_tracks, unknown_tracks, unknown_fields, created_at)
SELECT $1, cooperative_id, 0, 'opened', 2, version, 1, 0, 0, statement_timestamp()
FROM audience
WHERE {where}
ON CONFLICT DO NOTHING"""


@dataclass(frozen=True)
class BenchCall:
    """A call by its criteria, and by the condition that a person would write for it."""

    name: str
    criteria: dict[str, Any]
    where: str

    @property
    def statement(self) -> str:
        """The bare INSERT of its alerts, by the subject's id; their reasons are constants."""
        return _INSERT.format(where=self.where)

    @property
    def ids(self) -> str:
        """Selects whom a peer with one message per recipient has to reach."""
        return f"SELECT cooperative_id, version FROM audience WHERE {self.where}"

    def opened(self) -> CallOpened:
        """The event that a new call with these criteria is open."""
        call = CallSnapshot.model_validate(
            {
                "call_id": new_id(),
                "version": 2,
                "state": "open",
                "funder": "INDH",
                "title": {"fr": "Appel à projets", "ar": "طلب مشاريع"},
                "summary": {"fr": "Pour les coopératives.", "ar": "للتعاونيات."},
                "tracks": [self._track()],
                "deadline": Deadline(at=datetime(2090, 9, 1, 15, tzinfo=UTC), shown="2090"),
                "reference_on": REFERENCE_ON,
                "opened_at": datetime.now(UTC),
            }
        )
        return CallOpened(aggregate_version=call.version, call_id=call.call_id, call=call)

    def _track(self) -> Track:
        return Track.model_validate(
            {
                "name": {"fr": "Coopératives", "ar": "التعاونيات"},
                "criteria": self.criteria,
                "max_grant_centimes": 30_000_000,
            }
        )


WIDE = BenchCall(
    "wide",
    {
        "sectors": ["AGRICULTURE", "ARGAN", "CRAFTS", "FOOD"],
        "legal_statuses": ["registered"],
        "min_age_months": 12,
    },
    "sector IN ('AGRICULTURE', 'ARGAN', 'CRAFTS', 'FOOD') AND legal_status = 'registered'"
    " AND (created_on <= '2025-11-24' OR created_on IS NULL)",
)
NARROW = BenchCall(
    "narrow",
    {"regions": [NARROW_REGION], "sectors": ["ARGAN"], "legal_statuses": ["registered"]},
    f"region = '{NARROW_REGION}' AND sector = 'ARGAN' AND legal_status = 'registered'",
)
