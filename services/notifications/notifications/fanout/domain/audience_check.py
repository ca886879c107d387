"""Whether a first fan-out is as large as the audience that was confirmed before publishing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AudienceCheckRule:
    """How many more than confirmed may be alerted: `percent` of them, but at least `least`.

    `above` is the most that may be alerted where nobody confirmed a number; None: any number.
    """

    percent: int = 10
    least: int = 10
    above: int | None = None

    def applies(self, confirmed: int | None) -> bool:
        """Whether there is a number to compare the matches with."""
        return confirmed is not None or self.above is not None

    def objection(self, confirmed: int | None, matched: int) -> str | None:
        """Why so many may not be alerted yet, with both numbers; None where they may."""
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
