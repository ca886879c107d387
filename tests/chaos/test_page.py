"""The page shows what a run printed: the rows of the matrix, in its words, and nothing lost."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from . import report
from .matrix import MATRIX, Result
from .report import BEGIN, COLUMNS, END, Circumstances
from .strikes import Blow
from .verdict import Verdict
from .windows import KINDS

ROOT = Path(__file__).parents[2]
MADE = Circumstances(
    command='make chaos ARGS="--seed 7"',
    seed=7,
    cooperatives=3000,
    replicas=2,
    postgresql="17.1",
    rabbitmq="3.10.8",
    seconds=660,
)
COUNT, SPAN = r"[\d,]+", r"\d+\.\d / \d+\.\d"
KIND = f"({'|'.join(KINDS)})"
SHAPES = (
    r".+",
    r".+",
    COUNT,
    rf"[1-9]\d* \(\d+ {KIND}(, \d+ {KIND})*\)",
    COUNT,
    "0",
    "0",
    COUNT,
    COUNT,
    SPAN,
    SPAN,
)


def a_row(fault: str, target: str) -> report.Row:
    return report.row_of(a_result(fault, target))


def a_result(fault: str, target: str, **verdict: int) -> Result:
    blows = [Blow("fan-out", 0.5, 1.0), Blow("publish", 1.5, 2.0), Blow(None, 0.7, 3.0)]
    return Result(fault, target, blows, Verdict(alerts=4000, corrections=50, **verdict))


def rows_of(text: str) -> list[list[str]]:
    """The table between the marks, heading first, without the line below it."""
    part = text.partition(BEGIN)[2].partition(END)[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return rows[:1] + rows[2:]


def test_the_page_has_every_row_of_the_matrix_and_no_other():
    text = (ROOT / report.PAGE).read_text("utf-8").partition(BEGIN)[2].partition(END)[0]
    if text.strip() == report.NO_RUN:
        return  # what is not there yet can't be invented
    heading, *rows = rows_of((ROOT / report.PAGE).read_text("utf-8"))

    assert tuple(heading) == COLUMNS
    assert [(row[0], row[1]) for row in rows] == [(f.fault, f.target) for f in MATRIX]
    for row in rows:
        for cell, shape in zip(row, SHAPES, strict=True):
            assert re.fullmatch(shape, cell), row
    assert re.search(r'`make chaos ARGS="[^"`]*--write-docs[^"`]*"`, \d\d \w+ \d{4}:', text)
    assert re.search(r"PostgreSQL 1[78][\d.]*, RabbitMQ [34][\d.]+, Python 3[\d.]+;", text)


@pytest.mark.parametrize("column", [3, 5, 6])
def test_a_table_with_a_row_that_does_not_hold_is_refused(column: int):
    good = list(report.cells(a_row("kill -9", "ideas")))
    bad = [*good[:column], "0" if column == 3 else "1", *good[column + 1 :]]

    assert all(re.fullmatch(s, c) for s, c in zip(SHAPES, good, strict=True))
    assert not all(re.fullmatch(s, c) for s, c in zip(SHAPES, bad, strict=True))


def test_a_run_replaces_the_table_of_the_one_before(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")

    report.write_page(page, [a_row(f.fault, f.target) for f in MATRIX], MADE)
    report.write_page(page, [a_row("kill -9", "ideas")], MADE)

    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    (row,) = rows_of(text)[1:]
    assert row[:5] == ["kill -9", "ideas", "3", "2 (1 fan-out, 1 publish)", "4,050"]
    assert row[5:] == ["0", "0", "0", "0", "0.7 / 1.5", "2.0 / 3.0"]


def test_the_file_has_the_same_facts_for_programs(tmp_path: Path):
    path = tmp_path / "chaos.json"

    report.write_json(path, [a_row("kill -9", "ideas")], MADE)

    data = json.loads(path.read_text())
    (row,) = data["rows"]
    assert (data["seed"], data["postgresql"], data["holds"]) == (7, "17.1", True)
    assert (row["times"], row["hits"], row["open"]) == (3, 2, {"fan-out": 1, "publish": 1})
    assert row["recovered"] == {"median": 0.7, "max": 1.5}


def test_only_rows_that_held_with_the_same_seed_need_no_second_run(tmp_path: Path):
    path = tmp_path / "chaos.json"
    lost = report.row_of(a_result("kill -9", "funding", lost=1))
    report.write_json(path, [a_row("kill -9", "ideas"), lost], MADE)

    assert report.rows_that_held(path, seed=7) == ([a_row("kill -9", "ideas")], 660)
    assert report.rows_that_held(path, seed=8) == ([], 0)
    assert report.rows_that_held(tmp_path / "none.json", seed=7) == ([], 0)


@pytest.mark.parametrize("fault", [{"lost": 1}, {"doubled": 2}])
def test_one_alert_too_few_or_too_many_fails_the_run(fault: dict[str, int]):
    assert a_result("kill -9", "ideas").holds
    assert not a_result("kill -9", "ideas", **fault).holds


def test_a_row_that_hit_nothing_open_fails_the_run():
    result = a_result("kill -9", "ideas")
    result.blows = [Blow(None, 0.5, 1.0)]

    assert not result.holds
    assert "proves nothing" in result.faults()[0]
