"""Moments that callers give: with a zone, of a plausible year, converted to UTC."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter, ValidationError

from shared.contracts.request_body import RequestBody
from shared.kernel.web.parameters import Moment
from shared.kernel.web.validation import problem_of
from shared.spelling import is_plain_number

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


@pytest.mark.parametrize("given", ["1756800000", "1756800000.5", "-1"])
def test_a_moment_is_no_count_of_seconds(given: str):
    with pytest.raises(ValidationError) as refused:
        MOMENT.validate_python(given)

    assert "no date with a time" in problem_of(refused.value.errors()[0]).message


@pytest.mark.parametrize("text", ["0", "5", "005", "-5", "12345678901234567890"])
def test_a_number_is_digits_with_a_minus_at_most(text: str):
    assert is_plain_number(text)


@pytest.mark.parametrize("text", ["", "-", "-0", "+5", " 5", "5\n", "5_0", "5.0", "1e2", "٥", "²"])
def test_nothing_else_is_a_number(text: str):
    assert not is_plain_number(text)


class Body(RequestBody):
    """A strict body with a moment."""

    at: Moment


def test_a_strict_body_takes_a_moment_as_a_text_with_its_zone():
    assert Body.model_validate({"at": "2026-09-02T00:30:00+01:00"}).at.hour == 23


@pytest.mark.parametrize("given", [1_700_000_000, "1700000000", True, "2026-09-02", [2026]])
def test_a_strict_body_takes_nothing_else_for_a_moment(given: object):
    with pytest.raises(ValidationError):
        Body.model_validate({"at": given})
