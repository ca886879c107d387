"""The made-up register adds up to the published figures."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import time
from collections import Counter
from datetime import date

import phonenumbers
import pytest
from stdnum.ma import ice

from registry.register.generator import figures
from registry.register.generator import register as generated
from registry.register.generator.register import COLUMNS, write_register
from registry.register.register_file.reader import read_rows

Rows = list[dict[str, str]]


def a_register(count: int, seed: int) -> str:
    stream = io.StringIO(newline="")
    write_register(stream, count=count, seed=seed)
    return stream.getvalue()


@pytest.fixture(scope="module")
def rows() -> Rows:
    return list(csv.DictReader(io.StringIO(a_register(figures.COOPERATIVES, seed=1))))


def total(rows: Rows, column: str) -> int:
    return sum(int(row[column] or 0) for row in rows)


def is_women_only(row: dict[str, str]) -> bool:
    return row["members_women"] != "" and row["members_women"] == row["members_total"]


def test_the_totals_are_those_published_for_november_2025(rows: Rows) -> None:
    found = [total(rows, f"members_{kind}") for kind in ("total", "women", "youth")]

    assert len(rows) == 65_315
    assert found == [788_969, 272_583, 18_036]


def test_7891_cooperatives_are_women_only_with_more_than_73000_members(rows: Rows) -> None:
    women_only = [row for row in rows if is_women_only(row)]

    assert len(women_only) == 7_891
    assert 73_000 < total(women_only, "members_total") < 74_000


def test_sectors_have_their_published_shares(rows: Rows) -> None:
    everyone = Counter(row["sector"] for row in rows)
    women = Counter(row["sector"] for row in rows if is_women_only(row))

    shares = {code: round(everyone[code] / len(rows), 3) for code in figures.SECTOR_SHARES}
    women_shares = {
        code: round(women[code] / 7_891, 2) for code in figures.WOMEN_ONLY_SECTOR_SHARES
    }

    assert shares == figures.SECTOR_SHARES
    assert women_shares == figures.WOMEN_ONLY_SECTOR_SHARES


@pytest.mark.parametrize(("day", "alive"), figures.ALIVE_AT)
def test_cooperatives_were_created_as_the_published_counts_grew(
    rows: Rows, day: date, alive: int
) -> None:
    known = [row["creation_date"] for row in rows if row["creation_date"]]

    created = sum(value <= day.isoformat() for value in known) / len(known)

    assert created == pytest.approx(alive / figures.COOPERATIVES, abs=0.005)


def test_argan_is_found_only_where_argan_grows(rows: Rows) -> None:
    found = {row["province"] for row in rows if row["sector"] == "ARGAN"}

    assert found == set(figures.ARGAN_PROVINCES)


def test_every_ice_and_every_phone_is_valid_and_in_the_marked_range(rows: Rows) -> None:
    numbers = [row["ice"] for row in rows if row["ice"]]
    phones = [phonenumbers.parse(row["phone"], "MA") for row in rows[:3_000] if row["phone"]]

    assert all(number.startswith("99") and ice.is_valid(number) for number in numbers)
    assert len(set(numbers)) == len(numbers)
    assert all(phonenumbers.is_valid_number(phone) for phone in phones)
    assert all(str(phone.national_number).startswith("600") for phone in phones)


def test_every_row_is_marked_as_test_data(rows: Rows) -> None:
    marks = {(row["is_test_data"], row["consent_source"]) for row in rows}

    assert marks == {("yes", "generated test data")}


def test_counts_of_a_cooperative_never_contradict_each_other(rows: Rows) -> None:
    text = a_register(3_000, seed=5)

    verdicts = list(read_rows(io.BytesIO(text.encode())))

    assert len(verdicts) == 3_000
    assert [finding for verdict in verdicts for finding in verdict.findings] == []


def test_every_field_that_may_be_unknown_is_so_as_often_as_assumed(rows: Rows) -> None:
    empty = {name: sum(row[name] == "" for row in rows) / len(rows) for name in COLUMNS}

    for name, share in figures.UNKNOWN_SHARES.items():
        assert empty[name] == pytest.approx(share, abs=0.15), name
        assert empty[name] > 0


def test_the_same_count_and_seed_give_the_same_bytes() -> None:
    first = a_register(2_000, seed=3)

    assert a_register(2_000, seed=3) == first
    assert a_register(2_000, seed=4) != first


@pytest.mark.parametrize("count", [1, 2, 7, 40, 999])
def test_other_counts_scale_the_published_figures(count: int) -> None:
    rows = list(csv.DictReader(io.StringIO(a_register(count, seed=1))))

    assert len(rows) == count
    assert total(rows, "members_total") == round(788_969 * count / 65_315)


def test_a_whole_register_is_drawn_in_less_than_eight_seconds() -> None:
    started = time.process_time()

    a_register(figures.COOPERATIVES, seed=2)

    assert time.process_time() - started < 8


def test_a_large_register_is_drawn_in_parts_that_keep_the_figures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(generated, "MOST_AT_ONCE", 1_000)

    text = a_register(3_500, seed=1)
    rows = list(csv.DictReader(io.StringIO(text)))
    verdicts = list(read_rows(io.BytesIO(text.encode())))

    assert len(rows) == 3_500
    assert total(rows, "members_total") == pytest.approx(788_969 * 3_500 / 65_315, abs=4)
    assert [finding for verdict in verdicts for finding in verdict.findings] == []
    for column in ("president", "ice", "phone", "email"):
        known = [row[column] for row in rows if row[column]]
        assert len(set(known)) == len(known), column
    numbers = {(row["court"], row["local_register_no"].split("/")[0]) for row in rows}
    assert len(numbers) == len(rows)


MEMORY = """
import sys
import psutil
from registry.register.generator.register import write_register

class Nowhere:
    written = most = 0

    def write(self, text):
        self.written += 1
        if self.written % 1_000 == 0:
            self.most = max(self.most, psutil.Process().memory_info().rss)

stream = Nowhere()
write_register(stream, count=int(sys.argv[1]))
print(stream.most)
"""


def most_memory(count: int) -> int:
    """The bytes that a process of its own takes at most while it writes so many rows."""
    command = [sys.executable, "-c", MEMORY, str(count)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_memory_does_not_grow_with_the_register() -> None:
    few, many = most_memory(20_000), most_memory(200_000)

    assert many - few < 40 * 1024 * 1024
