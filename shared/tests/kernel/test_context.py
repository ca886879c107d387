"""The identifiers that travel with work."""

from __future__ import annotations

import pytest

from shared.kernel.context import is_traceparent

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("value", "is_valid"),
    [
        (f"00-{TRACE}-{PARENT}-01", True),
        (f"00-{'0' * 32}-{PARENT}-01", False),
        (f"00-{TRACE}-{'0' * 16}-01", False),
        (f"01-{TRACE}-{PARENT}-01", False),
        (f"00-{TRACE.upper()}-{PARENT}-01", False),
        (None, False),
    ],
)
def test_a_traceparent_is_of_version_00_and_its_ids_are_not_zero(value, is_valid):
    assert is_traceparent(value) is is_valid
