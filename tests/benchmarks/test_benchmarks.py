"""The benchmarks themselves: they run, compare rightly, and write down what they measured."""

from __future__ import annotations

import time
from pathlib import Path

import orjson
import pytest
from benchmarks import page, plot, refusing, starting
from benchmarks.calls import NARROW, WIDE, BenchCall
from benchmarks.fanout import FanoutRuns
from benchmarks.measured_system import TINY, Broken, MeasuredSystem
from benchmarks.report import Report
from benchmarks.rows import Sense, compared, limited
from benchmarks.run import GROUPS, run, services_of

from devkit.nodes import Broker, Postgres
from devkit.stack import Stack
from devkit.stack_layout import SERVICES

TIMED = ["fanout", "inbox", "consumer", "relay", "backfill", "feeds", "disk"]


@pytest.fixture(scope="module")
def system(run_folder: Path, postgres: Postgres, rabbitmq: Broker):
    """A system on the servers of the test run, with the processes that these rows need."""
    stack = Stack(run_folder / "bench")
    stack.postgres, stack.broker = postgres, rabbitmq
    system = MeasuredSystem(stack, TINY, time.monotonic() + 600, say=lambda _: None)
    system.open(services_of(TIMED))
    yield system
    for service in services_of(TIMED):
        stack.process(service).kill9()


async def test_a_run_measures_every_row_and_writes_it_down(system: MeasuredSystem, tmp_path: Path):
    report = await run(system, TIMED)

    report.write(tmp_path / "bench.json")
    found = orjson.loads((tmp_path / "bench.json").read_bytes())
    assert [row["name"].partition(",")[0].partition(":")[0] for row in found["rows"]] == [
        "fan-out",
        "fan-out",
        "inbox",
        "inbox",
        "consumer",
        "relay",
        "matches to backfill",
        "matches to backfill",
        "partner feeds",
        "disk",
        "disk",
    ]
    for row in found["rows"]:
        assert row["ours"] > 0
        assert row["reference"] > 0
        assert row["ratio"] == pytest.approx(row["ours"] / row["reference"])
    assert set(found["versions"]) >= {"python", "postgresql", "rabbitmq"}


async def test_methods_that_alert_different_numbers_are_not_compared(system: MeasuredSystem):
    wrong = BenchCall("narrow", NARROW.criteria, WIDE.where)
    async with FanoutRuns.begun(system) as fanout_runs:
        await fanout_runs.bare(wrong)
        with pytest.raises(Broken, match="the methods differ"):
            await fanout_runs.ours(wrong)


async def test_what_no_time_was_left_for_is_named(system: MeasuredSystem):
    over = MeasuredSystem(system.stack, TINY, time.monotonic() - 1, urls=system.urls)

    report = await run(over, ["fanout"])

    assert report.rows == []
    assert report.left_out == ["fanout (out of time)"]


def test_a_row_compares_medians_and_knows_its_budget():
    slower = compared("a", [3.0, 1.0, 2.0], [1.0], unit="s", note="", budget=1.4)
    faster = compared("b", [90.0], [100.0], unit="/s", note="", budget=0.8, sense=Sense.AT_LEAST)
    peer = compared(
        "c", [0.5], [20.0], unit="s", note="", budget=90, sense=Sense.AT_LEAST, peer=True
    )

    assert (slower.ratio, slower.holds) == (2.0, False)
    assert (faster.ratio, faster.holds) == (0.9, True)
    assert (peer.ratio, peer.holds) == (40.0, False)
    assert limited("d", 150, 200, unit="MiB", note="").holds
    assert compared("e", [1.0], [1.0], unit="s", note="").holds is None


def test_the_processes_of_all_rows_are_all_services():
    assert services_of(list(GROUPS)) == list(SERVICES)


async def test_starting_is_measured_in_processor_time_of_processes_of_their_own(
    system: MeasuredSystem,
):
    help_, *services = await starting.measure(system)

    assert (help_.reference, help_.unit) == (starting.HELP_SECONDS, "s")
    assert [row.name for row in services] == [f"start: {service}" for service in SERVICES]
    for row in (help_, *services):
        assert row.ours > 0
        assert row.budget is not None


async def test_a_refusal_is_measured_in_processor_time_of_a_server_of_its_own(
    system: MeasuredSystem,
):
    (row,) = await refusing.measure(system)

    assert (row.reference, row.unit) == (refusing.MOST_MS, "ms")
    assert row.ours > 0


def test_the_page_keeps_what_people_wrote(tmp_path: Path):
    report = _report()
    (tmp_path / "performance.md").write_text(f"before\n{page.BEGIN}\nstale\n{page.END}\nafter\n")
    quotes = '[1 h](performance.md "a"), [7 s](performance.md "not of this run"), [3](elsewhere)'
    (tmp_path / "scaling.md").write_text(quotes)

    page.write(report, tmp_path)

    text = (tmp_path / "performance.md").read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "stale" not in text
    assert "| a | 2.00 | 1.00 | s | 2.00 | ≤ 1.4 | **no** |" in text
    assert "1,000,000" in (tmp_path / "growth.svg").read_text()
    assert (tmp_path / "scaling.md").read_text() == quotes.replace("1 h", "2.00 s")


def test_every_number_that_is_quoted_is_that_of_the_table():
    table = (page.DOCS / "performance.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in row.split("|")] for row in table.splitlines()]
    measured = {row[1]: f"{row[2]} {row[4]}" for row in rows if len(row) == 9}
    scaling = (page.DOCS / "scaling.md").read_text(encoding="utf-8")
    quoted = {each["row"]: each["value"] for each in page.QUOTED.finditer(scaling)}

    assert len(quoted) > 8
    assert {row: measured.get(row) for row in quoted} == quoted


def test_a_page_without_its_marks_is_left_alone(tmp_path: Path):
    (tmp_path / "performance.md").write_text("words")

    with pytest.raises(ValueError, match="put both back"):
        page.write(_report(), tmp_path)

    assert (tmp_path / "performance.md").read_text() == "words"


def test_the_drawing_names_both_axes():
    drawn = plot.svg(plot.Panel("title", "cooperatives", "ms", [(1, 2.0), (10, 4.0)]))

    assert ">cooperatives</text>" in drawn
    assert ">ms</text>" in drawn
    assert drawn.count("<circle") == 2


def _report() -> Report:
    machine = {
        "cores": 2,
        "processor": "a processor",
        "memory_gib": 8,
        "system": "Linux",
        "load_before": 0.1,
        "load_after": 1.0,
    }
    return Report(
        rows=[compared("a", [2.0], [1.0], unit="s", note="why", budget=1.4)],
        environment={
            "machine": machine,
            "versions": {"python": "3.11"},
            "rounds": 5,
            "minutes": 3,
            "command": "make bench",
            "began_at": "2026-11-24T10:00:00+00:00",
        },
        growth={
            "narrow": [(65_315, 0.02), (1_000_000, 0.03)],
            "wide": [(65_315, 0.3), (1_000_000, 5.0)],
            "alerted": [(65_315, 56_000), (1_000_000, 860_000)],
        },
    )
