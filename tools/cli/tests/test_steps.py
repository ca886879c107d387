"""What a command says where a service refuses."""

from __future__ import annotations

import pytest

from cli.steps import _refusal

LATE = "the deadline has passed: give a later one"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"detail": LATE, "errors": [{"field": "deadline", "message": LATE}]}, LATE),
        (
            {"detail": f"deadline: {LATE}", "errors": [{"field": "deadline", "message": LATE}]},
            f"deadline: {LATE}",
        ),
        (
            {"detail": "two are wrong", "errors": [{"field": "a", "message": "x is no number"}]},
            "two are wrong a: x is no number",
        ),
        ({}, "422"),
    ],
)
def test_a_refusal_is_said_once(body: dict[str, object], said: str) -> None:
    assert _refusal(422, body) == said
