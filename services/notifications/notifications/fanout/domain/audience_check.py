"""Whether a first fan-out is the one that somebody looked at before publishing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AudienceCheckRule:
    """How many more than confirmed may be alerted: `percent` of them, and at least `least`.

    `above`: the most that may be alerted where nobody confirmed a number; None: any.
    """

    percent: int = 10
    least: int = 10
    above: int | None = None

    def applies(self, confirmed: int | None) -> bool:
        """Whether there is anything to compare a match with."""
        return confirmed is not None or self.above is not None

    def objection(self, confirmed: int | None, matched: int) -> str | None:
        """Why so many may not be alerted yet, naming both numbers; None where they may."""
        if confirmed is not None:
            more = matched - confirmed
            if more <= self.least or more * 100 <= confirmed * self.percent:
                return None
            return f"recipients confirmed: {confirmed}, matching now: {matched}"
        if self.above is None or matched <= self.above:
            return None
        return (
            f"nobody confirmed the audience, matching now: {matched},"
            f" alerted without a person: at most {self.above}"
        )
