"""What a register file says by itself: who should be alerted, computed without any service."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from uuid import UUID, uuid4

from registry.register.domain.cooperative import record_of
from registry.register.register_file.decoding import lines_of
from registry.register.register_file.reader import read_rows
from shared.contracts.criteria import Criteria, Profile
from shared.eligibility.evaluate import evaluate
from shared.eligibility.verdict import Outcome

Identity = tuple[str, str]
"""Court and number in its local register: what a file knows a cooperative by."""


def read_profiles(path: Path) -> dict[Identity, Profile]:
    """The profile of the cooperative of every good row."""
    profiles = {}
    with path.open("rb") as stream:
        for row in read_rows(lines_of(stream)):
            if row.entry is not None:
                record = record_of(row.entry, None, id=uuid4(), version=1)
                profiles[row.entry.court, row.entry.local_register_no] = record.profile()
    return profiles


def verdict_of(tracks: Sequence[Criteria], profile: Profile, reference_on: date) -> str | None:
    """`eligible` if some track is for it, `unknown` if some may be, None if none is."""
    outcomes = {evaluate(track, profile, reference_on=reference_on).outcome for track in tracks}
    if Outcome.ELIGIBLE in outcomes:
        return "eligible"
    return "unknown" if Outcome.UNKNOWN in outcomes else None


def matching(
    register: dict[UUID, Profile], tracks: Sequence[Criteria], reference_on: date
) -> dict[UUID, str]:
    """Everybody whom the tracks are, or may be, for, with the verdict."""
    verdicts = {who: verdict_of(tracks, profile, reference_on) for who, profile in register.items()}
    return {who: verdict for who, verdict in verdicts.items() if verdict is not None}
