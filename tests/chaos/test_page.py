"""The page shows what a run printed: the rows of the matrix, in its words, and nothing lost."""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from . import report
from .builders import RUN, a_result, a_row
from .faults import Injection
from .matrix import MATRIX, PEER_ROWS
from .peers import RETRY, UNREAD
from .processes import TARGETS
from .report import BEGIN, COLUMNS, END, Circumstances, Run
from .stop_moments import KINDS

ROOT = Path(__file__).parents[2]
MADE = Circumstances(
    seed=7,
    kills=20,
    outages=2,
    freezes=2,
    cuts=3,
    cooperatives=3000,
    replicas=2,
    postgresql="17.1",
    rabbitmq="3.10.8",
    revision="0123abc",
)
BEFORE = Run("make chaos", "2026-11-23T09:15:00+00:00", 60)
COUNT, SPAN = r"[\d,]+", r"\d+\.\d / \d+\.\d"
KIND = f"({'|'.join((*KINDS, RETRY, UNREAD))})"
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


def whole(**other: Any) -> list[report.Row]:
    """A matrix that may be shown."""
    return [{**a_row(f.fault, f.target), "times": 20, **other} for f in MATRIX]


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
    # A run that was made before there were faults of peers is shown as it was.
    of_ours = [fault for fault in MATRIX if fault not in PEER_ROWS]
    shown = [(row[0], row[1]) for row in rows]
    assert shown in [[(f.fault, f.target) for f in faults] for faults in (MATRIX, of_ours)]
    for row in rows:
        for cell, shape in zip(row, SHAPES, strict=True):
            assert re.fullmatch(shape, cell), row
    kills = [int(row[2]) for row in rows if report.is_kill_of_service(row[0], row[1])]
    assert len(kills) == len(TARGETS)
    assert min(kills) >= report.KILLS
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

    report.write_page(page, [a_row(f.fault, f.target) for f in MATRIX], MADE, RUN)
    report.write_page(page, [a_row("kill -9", "ideas")], MADE, RUN)

    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    (row,) = rows_of(text)[1:]
    assert row[:5] == ["kill -9", "ideas", "3", "2 (1 fan-out, 1 publish)", "4,050"]
    assert row[5:] == ["0", "0", "0", "0", "0.7 / 1.5", "2.0 / 3.0"]


def test_the_file_has_the_same_data_for_programs(tmp_path: Path):
    path = tmp_path / "chaos.json"

    report.write_json(path, [a_row("kill -9", "ideas")], MADE, RUN)

    data = json.loads(path.read_text())
    (row,) = data["rows"]
    assert (data["command"], data["seconds"], data["holds"]) == (RUN.command, 660, True)
    assert (data["made"]["seed"], data["made"]["postgresql"]) == (7, "17.1")
    assert (row["times"], row["hits"], row["open"]) == (3, 2, {"fan-out": 1, "publish": 1})
    assert row["recovered"] == {"median": 0.7, "max": 1.5}


def test_rows_that_held_need_no_second_run(tmp_path: Path):
    path = tmp_path / "chaos.json"
    lost = report.row_of(a_result("kill -9", "funding", lost=1), RUN)
    report.write_json(path, [a_row("kill -9", "ideas"), lost], MADE, RUN)

    assert report.rows_that_passed(path, MADE) == [a_row("kill -9", "ideas")]
    assert report.rows_that_passed(tmp_path / "none.json", MADE) == []


@pytest.mark.parametrize("name", [f.name for f in fields(Circumstances)])
def test_rows_of_other_circumstances_are_tried_again(tmp_path: Path, name: str):
    path = tmp_path / "chaos.json"
    other = "other" if isinstance(getattr(MADE, name), str) else 1
    report.write_json(path, [a_row("kill -9", "ideas")], MADE, RUN)

    assert report.rows_that_passed(path, replace(MADE, **{name: other})) == []


@pytest.mark.parametrize("revision", ["", f"0123abc{report.CHANGED}"])
def test_rows_of_code_that_is_in_no_commit_are_tried_again(tmp_path: Path, revision: str):
    path = tmp_path / "chaos.json"
    made = replace(MADE, revision=revision)
    report.write_json(path, [a_row("kill -9", "ideas")], made, RUN)

    assert report.rows_that_passed(path, made) == []


def test_the_page_says_which_rows_are_of_another_run():
    rows = [a_row("kill -9", "ideas"), a_row("frozen", "ideas", run=BEFORE)]

    text = report.section(rows, MADE, RUN)

    assert 'ARGS="--seed 7"`, 24 November 2026: 3,000' in text
    assert (
        "Made before by `make chaos`, 23 November 2026, 09:15 UTC, of the same revision:"
        " frozen, ideas." in text
    )
    assert "Made before" not in report.section(rows[:1], MADE, RUN)


def test_only_a_whole_matrix_that_holds_with_enough_kills_goes_to_the_page():
    assert report.why_not_shown(whole()) == ""
    assert "tried" in report.why_not_shown(whole()[1:])
    assert "holds" in report.why_not_shown(whole(wrong=["1 alerts are lost"]))
    assert "killed" in report.why_not_shown(whole(times=19))


@pytest.mark.parametrize("fault", [{"lost": 1}, {"doubled": 2}])
def test_one_alert_too_few_or_too_many_fails_the_run(fault: dict[str, int]):
    assert a_result("kill -9", "ideas").holds
    assert not a_result("kill -9", "ideas", **fault).holds


def test_a_row_that_hit_nothing_open_fails_the_run():
    result = a_result("kill -9", "ideas")
    result.injections = [Injection(None, 0.5, 1.0)]

    assert not result.holds
    assert "proves nothing" in result.faults()[0]


def test_cuts_that_tore_nothing_fail_the_run():
    assert a_result("line cut in mid-frame", "funding to broker", torn=1).holds
    result = a_result("line cut in mid-frame", "funding to broker", torn=0)

    assert "no frame was torn" in result.faults()[0]
