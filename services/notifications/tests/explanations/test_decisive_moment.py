"""As of which moment it is explained that a cooperative was not alerted, and on what ground."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime

import pytest

from notifications.explanations.domain import (
    Because,
    ContentVersion,
    ProfileVersion,
    Situation,
    decisive_moment,
    newest_at,
)
from notifications.fanout.domain.fanout_approval import ApprovalState, Decision
from shared.contracts.criteria import Profile
from shared.contracts.deadline import Deadline

from ..builders import a_call, a_track, as_announcement


def at(hour: int) -> datetime:
    return datetime(2026, 11, 24, hour, tzinfo=UTC)


def content(
    version: int, received: int, state: str = "open", deadline: int | None = None, **criteria
):
    """A call at a version, received at an hour; it ends at an hour if a deadline is given."""
    ends = Deadline(at=at(deadline), shown="ce soir") if deadline else None
    call = a_call(a_track(**criteria), version=version, state=state, deadline=ends)
    return ContentVersion(version, as_announcement(call), date(2026, 11, 24), at(received))


NOW = 20
CASES = {
    "open without an end: now": ([content(2, 9)], 9, NOW),
    "open, the deadline to come: now": ([content(2, 9, deadline=22)], 9, NOW),
    "criteria changed while it is open: now": ([content(2, 9), content(3, 11)], 9, NOW),
    "open and held, never fanned out: now": ([content(2, 9)], None, NOW),
    "closed: when that was received": ([content(2, 9), content(3, 12, "closed")], 9, 12),
    "cancelled: when that was received": ([content(2, 9), content(3, 12, "cancelled")], 9, 12),
    "the deadline passed": ([content(2, 9, deadline=15)], 9, 15),
    "closed long after the deadline: the deadline": (
        [content(2, 9, deadline=15), content(3, 17, "closed", deadline=15)],
        9,
        15,
    ),
    "closed before the deadline: when that was received": (
        [content(2, 9, deadline=15), content(3, 12, "closed", deadline=15)],
        9,
        12,
    ),
    "extended in time: the later deadline": (
        [content(2, 9, deadline=15), content(3, 12, deadline=18)],
        9,
        18,
    ),
    "extended after the deadline: open again, so now": (
        [content(2, 9, deadline=15), content(3, 17, deadline=22)],
        9,
        NOW,
    ),
    "shortened to an hour that was over: when that was received": (
        [content(2, 9, deadline=18), content(3, 14, deadline=10)],
        9,
        14,
    ),
    "older content that arrives late opens nothing again": (
        [content(2, 9), content(4, 12, "closed"), content(3, 14)],
        9,
        12,
    ),
    "never open: when it was first received": (
        [content(3, 12, "closed"), content(2, 14)],
        None,
        12,
    ),
    "received after its deadline: then": ([content(2, 16, deadline=15)], None, 16),
    "never before the fan-out, whatever a clock said": (
        [content(2, 9), content(3, 12, "closed")],
        13,
        13,
    ),
}


@pytest.mark.parametrize(("contents", "fanned_out", "moment"), CASES.values(), ids=CASES.keys())
def test_what_is_open_is_judged_now_and_what_is_over_as_of_its_end(contents, fanned_out, moment):
    decided = decisive_moment(
        contents, fanned_out_at=at(fanned_out) if fanned_out else None, now=at(NOW)
    )

    assert decided == at(moment)


@pytest.mark.parametrize(("hour", "version"), [(8, None), (9, 2), (13, 4), (20, 4)])
def test_the_content_of_a_moment_is_the_newest_that_was_received(hour, version):
    found = newest_at([content(3, 14), content(2, 9), content(4, 12)], at(hour))

    assert (found.version if found else None) == version


HELD = Decision(
    everything=False,
    state=ApprovalState.HELD,
    reason="r",
    decided_by=uuid.uuid4(),
    decided_at=at(9),
)
FITS, MISFIT = {"sectors": ["ARGAN"]}, {"sectors": ["CRAFTS"]}


@pytest.mark.parametrize("was_fanned_out", [True, False])
@pytest.mark.parametrize("decisions", [(), (HELD,)])
@pytest.mark.parametrize("state", ["open", "closed"])
def test_whom_a_rule_excludes_no_approval_and_no_end_keeps_back(was_fanned_out, decisions, state):
    situation = a_situation(content(2, 9, state, **MISFIT), was_fanned_out, decisions)

    assert situation.because() is Because.EXCLUDED


@pytest.mark.parametrize(
    ("state", "decisions", "because"),
    [
        ("open", (HELD,), Because.HELD_BACK),
        ("open", (), Because.NOT_ALERTED_YET),
        ("closed", (HELD,), Because.SUBJECT_NOT_OPEN),
    ],
)
@pytest.mark.parametrize("was_fanned_out", [True, False])
def test_who_matches_waits_for_the_fan_out_unless_it_is_over(
    was_fanned_out, state, decisions, because
):
    situation = a_situation(content(2, 9, state, **FITS), was_fanned_out, decisions)

    assert situation.because() is because


@pytest.mark.parametrize(
    ("was_fanned_out", "because"),
    [(True, Because.NOT_IN_AUDIENCE_THEN), (False, Because.SUBJECT_NOT_OPEN)],
)
def test_who_came_after_the_end_was_not_in_the_audience_or_nobody_was_alerted(
    was_fanned_out, because
):
    situation = a_situation(content(3, 9, "closed", **FITS), was_fanned_out, profile=None)

    assert situation.because() is because


ARGAN = ProfileVersion(1, Profile(sector="ARGAN", legal_status="registered"))


def a_situation(
    seen: ContentVersion,
    was_fanned_out: bool,
    decisions: tuple[Decision, ...] = (),
    profile: ProfileVersion | None = ARGAN,
) -> Situation:
    return Situation(
        cooperative_id=uuid.UUID(int=7),
        at=at(12),
        was_alerted=False,
        was_fanned_out=was_fanned_out,
        content=seen,
        profile=profile,
        decisions=decisions,
    )
