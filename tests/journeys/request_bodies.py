"""Bodies of requests that make calls and ideas, and names that no other journey uses."""

from __future__ import annotations

import secrets
from typing import Any


def a_track(**criteria: Any) -> dict[str, Any]:
    return {
        "name": {"fr": "Coopératives", "ar": "التعاونيات"},
        "criteria": criteria,
        "max_grant_centimes": 30_000_000,
    }


def a_call(*tracks: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The body of `POST /calls`; without tracks it is for argan in Tiznit."""
    return {
        "funder": "INDH",
        "title": {"fr": "Appel à projets", "ar": "طلب مشاريع"},
        "summary": {"fr": "Pour les coopératives.", "ar": "للتعاونيات."},
        "tracks": list(tracks) or [a_track(provinces=["MA-TIZ"], sectors=["ARGAN"])],
        "deadline": {"local": "2090-09-01T16:00"},
        **fields,
    }


def an_idea(**fields: Any) -> dict[str, Any]:
    """The body of `POST /ideas`."""
    return {
        "title": {"fr": "Huile d'argane traçable", "ar": "زيت أركان قابل للتتبع"},
        "summary": {"fr": "Un lot, un village.", "ar": "لكل دفعة قريتها."},
        "regions": ["MA-09"],
        "sectors": ["ARGAN"],
        "budget_centimes": 20_000_000,
        **fields,
    }


def unique(word: str) -> str:
    """A slug that no other journey uses."""
    return f"{word}-{secrets.token_hex(4)}"
