"""Moments that callers give: with a zone, of a plausible year, converted to UTC."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter, ValidationError

from shared.kernel.web.parameters import Moment

MOMENT: TypeAdapter[datetime] = TypeAdapter(Moment)


def test_a_moment_is_read_in_its_zone_and_kept_in_utc():
    moment = MOMENT.validate_python("2026-09-02T00:30:00+01:00")

    assert (moment, moment.tzinfo) == (datetime(2026, 9, 1, 23, 30, tzinfo=UTC), UTC)


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        ("0001-01-01T00:00:00+14:00", "year"),
        ("9999-12-31T23:59:59-14:00", "year"),
        ("1969-12-31T23:59:59Z", "year"),
        ("3000-01-01T00:00:00Z", "year"),
        ("2026-09-02T00:30:00", "timezone"),
    ],
)
def test_a_moment_without_a_zone_or_of_an_implausible_year_is_refused(given: str, remedy: str):
    with pytest.raises(ValidationError, match=remedy):
        MOMENT.validate_python(given)
