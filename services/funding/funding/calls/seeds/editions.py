"""Seeded calls as published, and as new editions with the same day and hour in a coming year."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from .indh import INDH_CALLS
from .national import NATIONAL_CALLS


@dataclass(frozen=True)
class Seed:
    """One call. `payload` is the body of `POST /calls`; its `seed_key` never changes."""

    seed_key: str
    payload: dict[str, Any]


def real_calls() -> tuple[Seed, ...]:
    """The calls as they were published, deadlines included."""
    published = {**INDH_CALLS, **NATIONAL_CALLS}
    return tuple(Seed(key, copy.deepcopy(payload)) for key, payload in published.items())


def replayed_calls(today: date) -> tuple[Seed, ...]:
    """The same calls as demonstration editions: with the next deadline after `today` that falls on
    the same month, day and hour.
    """
    return tuple(_replayed(seed, today) for seed in real_calls())


def _replayed(seed: Seed, today: date) -> Seed:
    payload = copy.deepcopy(seed.payload)
    year = today.year
    if payload["deadline"] is not None:
        local = _next_after(today, _wall_clock(payload["deadline"]))
        year = local.year
        payload["deadline"] = {
            "local": local.isoformat(timespec="minutes"),
            "zone": payload["deadline"]["zone"],
        }
    first = payload["edition"]
    payload["edition"] = f"Réédition de démonstration {year} (d'après l'édition {first})"
    return Seed(f"{seed.seed_key}-replay-{year}", payload)


def _wall_clock(deadline: dict[str, str]) -> datetime:
    """What the clock showed at the deadline: `at` is written with the offset of that place."""
    return datetime.fromisoformat(deadline.get("local") or deadline["at"]).replace(tzinfo=None)


def _next_after(today: date, local: datetime) -> datetime:
    this_year = local.replace(year=today.year)
    return this_year if this_year.date() > today else local.replace(year=today.year + 1)
