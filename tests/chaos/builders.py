"""Rows and results of a run that was never made."""

from __future__ import annotations

from . import report
from .faults import Injection
from .matrix import Result
from .report import Run
from .verification import Verdict

RUN = Run('make chaos ARGS="--seed 7"', "2026-11-24T18:05:00+00:00", 660)


def a_row(fault: str, target: str, *, run: Run = RUN) -> report.Row:
    return report.row_of(a_result(fault, target), run)


def a_result(fault: str, target: str, *, torn: int | None = None, **verdict: int) -> Result:
    injections = [
        Injection("fan-out", 0.5, 1.0, torn=torn),
        Injection("publish", 1.5, 2.0, torn=torn),
        Injection(None, 0.7, 3.0, torn=torn),
    ]
    return Result(fault, target, injections, Verdict(alerts=4000, corrections=50, **verdict))
