"""Ideas as the tests of this service need them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from ideas.ideas.domain import Idea, IdeaContent, State

AUTHOR = uuid.UUID("00000000-0000-4000-8000-0000000000a1")
MODERATOR = uuid.UUID("00000000-0000-4000-8000-0000000000b2")
COOPERATIVE = uuid.UUID("00000000-0000-4000-8000-0000000000c3")
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def a_payload(**changes: Any) -> dict[str, Any]:
    """The body of `POST /ideas` for an argan idea in Souss-Massa."""
    return {
        "title": {"fr": "Huile d'argane traçable", "ar": "زيت أركان قابل للتتبع"},
        "summary": {"fr": "Un lot, un village.", "ar": "لكل دفعة قريتها."},
        "regions": ["MA-09"],
        "sectors": ["ARGAN"],
        "budget_centimes": 25_000_000,
        "jobs": 14,
        "sdgs": [5, 8],
        "readiness": "structured",
        **changes,
    }


def some_content(**changes: Any) -> IdeaContent:
    return IdeaContent.model_validate(a_payload(**changes))


def an_idea(*, state: State = State.DRAFT, version: int = 1, **changes: Any) -> Idea:
    fields: dict[str, Any] = {"id": uuid.uuid4(), "author_id": AUTHOR, "created_at": NOON}
    content = changes.pop("content", None) or some_content()
    return Idea(**{**fields, **changes}, content=content, state=state, version=version)


def as_author() -> frozenset[uuid.UUID]:
    return frozenset({AUTHOR})


def as_moderator() -> frozenset[uuid.UUID]:
    return frozenset({MODERATOR})
