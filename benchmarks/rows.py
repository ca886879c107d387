"""A row of the table: our measure, what stands beside it, and whether the budget holds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Sense(StrEnum):
    """On which side of its budget a ratio must lie."""

    AT_MOST = "at most"
    AT_LEAST = "at least"


@dataclass(frozen=True, kw_only=True)
class Row:
    """`ratio` is ours ÷ reference, or reference ÷ ours where a peer is the reference.

    `note` says what the reference is and whatever a reader must know to believe the number.
    """

    name: str
    ours: float
    reference: float
    unit: str
    ratio: float
    note: str
    budget: float | None = None
    sense: Sense = Sense.AT_MOST
    samples: dict[str, list[float]] = field(default_factory=dict)

    @property
    def holds(self) -> bool | None:
        """None without a budget."""
        if self.budget is None:
            return None
        if self.sense is Sense.AT_MOST:
            return self.ratio <= self.budget
        return self.ratio >= self.budget

    def as_data(self) -> dict[str, Any]:
        """What goes into `.run/bench.json`."""
        return {
            "name": self.name,
            "ours": self.ours,
            "reference": self.reference,
            "unit": self.unit,
            "ratio": self.ratio,
            "budget": self.budget,
            "sense": self.sense.value,
            "holds": self.holds,
            "note": self.note,
            "samples": self.samples,
        }


def compared(
    name: str,
    ours: Sequence[float],
    reference: Sequence[float],
    *,
    unit: str,
    note: str,
    budget: float | None = None,
    sense: Sense = Sense.AT_MOST,
    peer: bool = False,
) -> Row:
    """A row of two series of samples, by their medians; of a peer, how many times it takes."""
    mine, other = statistics.median(ours), statistics.median(reference)
    return Row(
        name=name,
        ours=mine,
        reference=other,
        unit=unit,
        ratio=other / mine if peer else mine / other,
        note=note,
        budget=budget,
        sense=sense,
        samples={"ours": list(ours), "reference": list(reference)},
    )


def limited(name: str, ours: float, limit: float, *, unit: str, note: str) -> Row:
    """A row whose budget is a plain limit rather than something measured beside it."""
    ratio = ours / limit
    return Row(name=name, ours=ours, reference=limit, unit=unit, ratio=ratio, note=note, budget=1.0)
