"""The day in Morocco, an hour ahead of UTC except in Ramadan."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from shared.business_days import business_day, today


@pytest.mark.parametrize(
    ("at", "day"),
    [
        (datetime(2026, 11, 24, 22, 59, tzinfo=UTC), date(2026, 11, 24)),
        (datetime(2026, 11, 24, 23, 0, tzinfo=UTC), date(2026, 11, 25)),
        (datetime(2026, 11, 24, 23, 30, tzinfo=UTC), date(2026, 11, 25)),
        (datetime(2026, 11, 25, 2, 30, tzinfo=timezone(timedelta(hours=4))), date(2026, 11, 24)),
        (datetime(2026, 12, 31, 23, 30, tzinfo=UTC), date(2027, 1, 1)),
        # In Ramadan the clock is put back by an hour.
        (datetime(2026, 2, 24, 23, 30, tzinfo=UTC), date(2026, 2, 24)),
        (datetime(2026, 2, 25, 0, 0, tzinfo=UTC), date(2026, 2, 25)),
    ],
)
def test_a_moment_lies_on_the_day_that_a_calendar_in_morocco_shows(at, day):
    assert business_day(at) == day


def test_a_moment_without_a_zone_lies_on_no_day():
    with pytest.raises(AssertionError):
        business_day(datetime(2026, 11, 24, 23, 30))  # noqa: DTZ001  # that is the mistake


def test_today_is_the_day_in_morocco(set_day):
    set_day(datetime(2026, 11, 24, 23, 30, tzinfo=UTC))

    assert today() == date(2026, 11, 25)
