"""What the state of a subject asks for."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from notifications.fanout.domain.subjects import (
    AlertKind,
    Step,
    Subject,
    audience_tracks,
    correction_kind,
    decide,
)
from shared.contracts.criteria import LegalStatus

from ..builders import (
    a_call,
    a_track,
    an_idea,
    as_announcement,
    cancelled,
    closed,
    extended,
    opened,
    updated,
    withdrawn,
)

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)


def a_notified_subject(call):
    subject = Subject.first_received(as_announcement(opened(call).call))
    subject.note_alerted(at=NOW, eligible=3, unknown=1, alerted=4)
    return subject


def test_everybody_who_matches_is_alerted_of_an_open_call():
    subject = Subject.first_received(as_announcement(opened(a_call()).call))

    assert decide(subject, None, None, at=NOW) == Step(first=AlertKind.OPENED)


@pytest.mark.parametrize("ending", [cancelled, closed])
def test_nobody_is_alerted_of_a_call_that_ended_before_its_fan_out(ending):
    call = a_call()
    subject = Subject.first_received(as_announcement(ending(call).call))

    subject.learn(as_announcement(opened(call).call))

    assert decide(subject, None, None, at=NOW).is_nothing


def test_an_older_version_that_arrives_late_changes_nothing():
    call = a_call()
    subject = Subject.first_received(as_announcement(extended(call).call))

    subject.learn(as_announcement(opened(call).call))

    assert subject.version == 3
    assert decide(subject, None, None, at=NOW) == Step(first=AlertKind.OPENED)


def test_those_alerted_are_corrected_when_the_deadline_moves():
    call = a_call()
    subject = a_notified_subject(call)

    subject.learn(as_announcement(extended(call).call))

    assert decide(subject, as_announcement(call), None, at=NOW) == Step(
        correction=AlertKind.DEADLINE_EXTENDED
    )


def test_wider_criteria_correct_those_alerted_and_alert_those_who_match_only_now():
    call = a_call()
    subject = a_notified_subject(call)

    subject.learn(as_announcement(updated(call, tracks=(a_track(regions=["MA-09"]),)).call))

    assert decide(subject, as_announcement(call), None, at=NOW) == Step(
        first=AlertKind.OPENED, correction=AlertKind.UPDATED
    )


def test_closing_corrects_nobody():
    call = a_call()
    subject = a_notified_subject(call)

    subject.learn(as_announcement(closed(call).call))

    assert decide(subject, as_announcement(call), None, at=NOW).is_nothing


def test_nothing_has_to_be_done_once_recipients_have_the_newest_content():
    call = a_call()

    assert decide(a_notified_subject(call), as_announcement(call), None, at=NOW).is_nothing


def test_the_correction_of_a_withdrawn_idea_says_withdrawn():
    idea = an_idea()

    assert (
        correction_kind(as_announcement(idea), as_announcement(withdrawn(idea).idea))
        is AlertKind.WITHDRAWN
    )


def test_an_idea_is_for_registered_entities():
    (criteria,) = audience_tracks(as_announcement(an_idea()))

    assert criteria.legal_statuses == (LegalStatus.REGISTERED,)


@pytest.mark.parametrize(
    ("published_at", "day"),
    [
        (datetime(2026, 11, 24, 23, 30, tzinfo=UTC), date(2026, 11, 25)),
        # In Ramadan the clock in Morocco is that of UTC.
        (datetime(2026, 2, 24, 23, 30, tzinfo=UTC), date(2026, 2, 24)),
    ],
)
def test_ages_for_an_idea_count_on_the_day_in_morocco_on_which_it_was_published(published_at, day):
    assert as_announcement(an_idea(published_at=published_at)).reference_on == day


@pytest.mark.parametrize("statuses", [(), (LegalStatus.DISSOLVED,)])
def test_the_legal_statuses_of_a_track_are_those_that_were_published(statuses):
    (criteria,) = audience_tracks(as_announcement(a_call(a_track(legal_statuses=statuses))))

    assert criteria.legal_statuses == statuses
