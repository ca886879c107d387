"""The comparison sees every way to alert too few, too many, too late or of something else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from notifications.fanout.domain.subjects import SubjectState
from shared.contracts.announcement import Announcement

from .load import Subject
from .verification import AlertsWritten, Verdict, due, verify

OPEN, OVER, VOID = SubjectState.OPEN, SubjectState.OVER, SubjectState.VOID
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
AISHA, BRAHIM = uuid4(), uuid4()
MEANT = {AISHA: "eligible", BRAHIM: "unknown"}
STILL = Subject(uuid4(), is_call=True, is_still=True)
MOVING = Subject(uuid4(), is_call=True, is_still=False)
WORDS = {OPEN: "open", OVER: "closed", VOID: "cancelled"}


def content(version: int, state: SubjectState) -> Announcement:
    """Only what the comparison looks at."""
    return Announcement.model_construct(
        announcement_id=STILL.subject_id, kind="call", version=version, state=WORDS[state]
    )


def received(*versions: int) -> dict[int, datetime]:
    """In this order."""
    return {version: NOON + timedelta(seconds=n) for n, version in enumerate(versions)}


OPENED = [content(2, OPEN)]
EXTENDED = [*OPENED, content(3, OPEN)]
CANCELLED = [*OPENED, content(3, VOID)]
CLOSED = [*OPENED, content(3, OVER)]


def alerts(*editions: int, first: int = 2, sure: bool = True) -> AlertsWritten:
    """A first alert of this version, and corrections."""
    return AlertsWritten(list(editions), [first if e == 0 else e for e in editions], sure)


def everybody_with(*editions: int) -> dict[UUID, AlertsWritten]:
    return {AISHA: alerts(*editions), BRAHIM: alerts(*editions, sure=False)}


def verified(
    published: list[Announcement],
    who: dict[UUID, AlertsWritten],
    *,
    notified_version: int | None,
    order: tuple[int, ...] = (),
    subject: Subject = STILL,
    **counts: Any,
) -> Verdict:
    """What is found, where the ledger has the counts of the alerts unless said otherwise."""
    sure = sum(one.is_sure for one in who.values())
    ledger = {
        "notified_version": notified_version,
        "eligible": sure,
        "unknown": len(who) - sure,
        **counts,
    }
    found = Verdict()
    order = order or tuple(one.version for one in published)
    verify(found, subject, ledger, who, MEANT, due(published, received(*order)))
    return found


def faults(found: Verdict) -> tuple[int, int, list[str]]:
    return found.lost, found.doubled, [what.partition(": ")[2] for what in found.wrong]


@pytest.mark.parametrize(
    ("published", "editions", "notified_version"),
    [
        (OPENED, (0,), 2),
        (EXTENDED, (0, 3), 3),
        (CANCELLED, (0, 3), 3),
        (CLOSED, (0,), 2),
        ([*EXTENDED, content(4, VOID)], (0, 3, 4), 4),
        ([*EXTENDED, content(4, OVER)], (0, 3), 3),
    ],
)
def test_what_was_alerted_as_it_should_be_is_no_fault(published, editions, notified_version):
    found = verified(published, everybody_with(*editions), notified_version=notified_version)

    assert faults(found) == (0, 0, [])
    assert found.alerts == 2
    assert found.corrections == 2 * (len(editions) - 1)
    assert found.never_open == 0


def test_an_alert_that_is_not_there_is_lost():
    assert faults(verified(OPENED, {AISHA: alerts(0)}, notified_version=2)) == (1, 0, [])


def test_an_alert_for_somebody_who_does_not_match_is_wrong():
    strange = {**everybody_with(0), uuid4(): alerts(0, sure=False)}

    assert faults(verified(OPENED, strange, notified_version=2)) == (
        0,
        0,
        ["1 alerted who do not match"],
    )


def test_a_correction_of_what_was_said_already_is_doubled():
    twice = {**everybody_with(0, 3), AISHA: alerts(0, 3, first=3)}
    found = verified(EXTENDED, twice, notified_version=3, subject=MOVING)

    assert faults(found) == (0, 1, [])


def test_a_correction_that_some_have_and_some_have_not_is_lost():
    half = {**everybody_with(0, 3), BRAHIM: alerts(0, sure=False)}

    assert faults(verified(EXTENDED, half, notified_version=3)) == (1, 0, [])


@pytest.mark.parametrize("published", [EXTENDED, CANCELLED])
def test_a_correction_that_nobody_has_is_lost_for_each_although_it_is_noted_as_notified(published):
    assert faults(verified(published, everybody_with(0), notified_version=3)) == (2, 0, [])


@pytest.mark.parametrize("published", [EXTENDED, CANCELLED])
def test_a_correction_that_was_never_begun_is_lost_for_each(published):
    wrong = ["alerted up to version 2 instead of 3"]

    assert faults(verified(published, everybody_with(0), notified_version=2)) == (2, 0, wrong)


def test_a_fan_out_that_was_lost_is_not_excused_by_a_close_after_it():
    found = verified(CLOSED, {}, notified_version=None)

    assert faults(found) == (2, 0, ["alerted up to version None instead of 2"])
    assert found.never_open == 0


@pytest.mark.parametrize("published", [CLOSED, CANCELLED])
def test_nobody_is_to_be_alerted_where_the_end_was_received_first(published):
    found = verified(published, {}, notified_version=None, order=(3, 2))

    assert faults(found) == (0, 0, [])
    assert found.never_open == 1


def test_whoever_was_alerted_of_what_had_ended_is_wrong():
    found = verified(CLOSED, everybody_with(0), notified_version=2, order=(3, 2))

    assert "2 alerted who do not match" in faults(found)[2]


def test_a_version_that_overtook_the_one_before_is_the_first_and_no_correction():
    overtaken = {AISHA: alerts(0, first=3), BRAHIM: alerts(0, first=3, sure=False)}

    assert faults(verified(EXTENDED, overtaken, notified_version=3, order=(3, 2))) == (0, 0, [])


def test_the_first_alert_of_a_backfill_is_of_the_version_of_its_moment():
    backfilled = {**everybody_with(0, 3), BRAHIM: alerts(0, first=3, sure=False)}
    wrong = ["1 first alerts are of a wrong version"]

    assert faults(verified(EXTENDED, backfilled, notified_version=3, subject=MOVING)) == (0, 0, [])
    assert faults(verified(EXTENDED, backfilled, notified_version=3, subject=STILL)) == (
        0,
        0,
        wrong,
    )


def test_a_first_alert_about_what_was_taken_back_is_wrong():
    backfilled = {**everybody_with(0, 3), BRAHIM: alerts(0, first=3, sure=False)}
    wrong = ["1 first alerts are of a wrong version"]

    assert faults(verified(CANCELLED, backfilled, notified_version=3, subject=MOVING)) == (
        0,
        0,
        wrong,
    )


def test_a_correction_that_names_another_version_is_wrong():
    other = {**everybody_with(0, 3), BRAHIM: AlertsWritten([0, 3], [2, 2])}
    found = verified(EXTENDED, other, notified_version=3, subject=MOVING)

    assert faults(found) == (0, 0, ["a correction is of another version than its own"])


def test_a_wrong_verdict_is_seen_where_nobody_changes():
    other = {AISHA: alerts(0, sure=False), BRAHIM: alerts(0, sure=False)}

    assert faults(verified(OPENED, other, notified_version=2))[2] == [
        "alerted with a wrong verdict"
    ]
    assert faults(verified(OPENED, other, notified_version=2, subject=MOVING))[2] == []


def test_counts_that_are_not_those_of_the_alerts_are_wrong():
    found = verified(OPENED, everybody_with(0), notified_version=2, eligible=2)

    assert faults(found)[2] == ["its counts are not those of its alerts"]
