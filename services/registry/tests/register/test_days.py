"""A day has come once it has in Morocco: half past midnight there is the day before in UTC."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from devkit.pytest_plugin import SEAL_KEY, Api, TestDatabases
from registry.register.cli import app as register
from registry.register.register_file.decoding import lines_of
from registry.register.register_file.reader import read_rows

from ..builders import People, a_body, a_file, a_row

SetDay = Callable[[datetime], None]

nights = pytest.mark.parametrize(
    ("at", "today"),
    [
        (datetime(2026, 11, 24, 23, 30, tzinfo=UTC), date(2026, 11, 25)),
        # In Ramadan the clock in Morocco is that of UTC.
        (datetime(2026, 2, 24, 23, 30, tzinfo=UTC), date(2026, 2, 24)),
    ],
    ids=["half past midnight", "before midnight in Ramadan"],
)


def with_tomorrow(today: date) -> list[str]:
    return [today.isoformat(), (today + timedelta(days=1)).isoformat()]


@nights
@pytest.mark.parametrize("field", ["created_on", "as_of_on"])
async def test_a_date_by_hand_may_be_today_and_not_tomorrow(
    api: Api, people: People, set_day: SetDay, at: datetime, today: date, field: str
) -> None:
    set_day(at)

    answers = [
        await api.http.post("/cooperatives", json=a_body(**{field: day}), headers=people.operator)
        for day in reversed(with_tomorrow(today))
    ]

    assert [answer.status_code for answer in answers] == [422, 201]


@nights
async def test_what_is_entered_or_changed_by_hand_is_true_as_of_today(
    api: Api, people: People, set_day: SetDay, at: datetime, today: date
) -> None:
    set_day(at - timedelta(days=1))
    entered = (await api.http.post("/cooperatives", json=a_body(), headers=people.operator)).json()
    path = f"/cooperatives/{entered['cooperative_id']}"
    set_day(at)

    changed = await api.http.patch(path, json={"members_total": 12}, headers=people.operator)

    assert entered["as_of_on"] == (today - timedelta(days=1)).isoformat()
    assert changed.status_code == 200, changed.text
    read = (await api.http.get(path, headers=people.operator)).json()
    assert read["provenance"]["members_total"]["as_of_on"] == today.isoformat()


@nights
def test_a_date_in_a_file_may_be_today_and_not_tomorrow(
    set_day: SetDay, at: datetime, today: date
) -> None:
    set_day(at)
    rows = [
        a_row(local_register_no=f"{number}/2021", creation_date=day)
        for number, day in enumerate(with_tomorrow(today), start=1)
    ]

    verdicts = [each for each in read_rows(lines_of(io.BytesIO(a_file(*rows)))) if each.is_row]

    assert [each.entry.created_on for each in verdicts if each.entry] == [today, None]


@nights
def test_a_file_may_be_true_as_of_today_and_not_of_tomorrow(
    databases: TestDatabases,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    set_day: SetDay,
    at: datetime,
    today: date,
) -> None:
    monkeypatch.setenv("TAAWON_DATABASE_URL", databases.fresh("registry"))
    monkeypatch.setenv("TAAWON_SEAL_KEYS", SEAL_KEY)
    file = tmp_path / "register.csv"
    file.write_bytes(a_file(a_row()))
    set_day(at)

    done = [
        CliRunner().invoke(register, ["import", str(file), "--as-of", day])
        for day in with_tomorrow(today)
    ]

    assert [each.exit_code for each in done] == [0, 2]
    assert "in the future" in " ".join(done[1].stderr.split())
