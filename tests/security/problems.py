"""What every refusal has: a problem with a status, a cause and, where it is a field's, its name."""

from __future__ import annotations

from typing import Any

import httpx


def problem(answer: httpx.Response, *statuses: int) -> dict[str, Any]:
    """The problem in an answer, which has one of these statuses and says something useful."""
    assert answer.status_code in statuses, f"{answer.status_code} {answer.text[:500]}"
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["detail"]
    if answer.status_code == 422:
        assert all(error["field"] and error["message"] for error in body["errors"])
        assert body["errors"]
    return body
