"""What a subject's state asks for, which events a filter accepts, and how a partner queue moves."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.fanout.domain.subjects import (
    AlertKind,
    Step,
    Subject,
    audience_tracks,
    correction_kind,
    decide,
)
from notifications.partners.domain.partner_queue import (
    MOVES,
    PartnerQueue,
    PartnerQueueState,
    broker_hash,
    queue_name,
)
from notifications.partners.domain.ranges import blocks
from notifications.partners.domain.subscriptions import SubscriptionFilter, filter_values_of
from shared.contracts.criteria import LegalStatus
from shared.errors import IllegalMove

from ..builders import (
    a_call,
    a_track,
    an_idea,
    as_announcement,
    cancelled,
    closed,
    extended,
    opened,
    published,
    updated,
    withdrawn,
)

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)


def a_notified_subject(call):
    subject = Subject.first_received(as_announcement(opened(call).call))
    subject.note_alerted(at=NOW, eligible=3, unknown=1, alerted=4)
    return subject


def test_an_open_call_is_alerted_to_everybody_who_matches():
    subject = Subject.first_received(as_announcement(opened(a_call()).call))

    assert decide(subject, None, None, at=NOW) == Step(first=AlertKind.OPENED)


@pytest.mark.parametrize("ending", [cancelled, closed])
def test_a_call_that_ended_before_it_was_alerted_is_alerted_to_nobody(ending):
    call = a_call()
    subject = Subject.first_received(as_announcement(ending(call).call))

    subject.learn(as_announcement(opened(call).call))

    assert decide(subject, None, None, at=NOW).is_nothing


def test_what_arrives_late_changes_nothing():
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


def test_a_subject_that_was_alerted_its_newest_content_needs_nothing():
    call = a_call()

    assert decide(a_notified_subject(call), as_announcement(call), None, at=NOW).is_nothing


def test_a_withdrawn_idea_is_called_withdrawn():
    idea = an_idea()

    assert (
        correction_kind(as_announcement(idea), as_announcement(withdrawn(idea).idea))
        is AlertKind.WITHDRAWN
    )


def test_entities_that_are_no_longer_registered_are_alerted_of_nothing():
    (criteria,) = audience_tracks(as_announcement(an_idea()))

    assert criteria.legal_statuses == (LegalStatus.REGISTERED,)


@pytest.mark.parametrize(
    ("wanted", "accepted"),
    [
        ({}, True),
        ({"topics": ["funding.call.opened"]}, True),
        ({"topics": ["funding.call.opened.v1"]}, True),
        ({"topics": ["funding.call.*"]}, True),
        ({"topics": ["ideas.*"]}, False),
        ({"topics": ["funding.call.closed"]}, False),
        ({"regions": ["MA-09"]}, True),
        ({"regions": ["MA-01"]}, False),
        ({"provinces": ["MA-TIZ"]}, True),
        ({"provinces": ["MA-AGD"]}, False),
        ({"sectors": ["ARGAN"]}, True),
        ({"sectors": ["FISHERIES"]}, False),
        ({"min_amount_centimes": 30_000_000}, True),
        ({"min_amount_centimes": 30_000_001}, False),
        ({"min_readiness": "jury_selected"}, True),
    ],
)
def test_a_filter_accepts_a_call_by_each_of_its_conditions(wanted, accepted):
    values = filter_values_of(opened(a_call(a_track(provinces=["MA-TIZ"], sectors=["ARGAN"]))))

    assert SubscriptionFilter.model_validate(wanted).accepts(values) is accepted


def test_a_call_for_the_whole_country_matches_every_territory():
    values = filter_values_of(opened(a_call(a_track(provinces=["MA-TIZ"]), a_track())))

    assert SubscriptionFilter(regions=("MA-01",)).accepts(values)


def test_an_idea_must_be_ready_enough():
    values = filter_values_of(published(an_idea(readiness="structured")))

    assert SubscriptionFilter(min_readiness="structured").accepts(values)
    assert not SubscriptionFilter(min_readiness="with_business_plan").accepts(values)


def a_partner_queue(state):
    return PartnerQueue(
        slug="indh",
        queue="p.indh.0.events",
        username="p-indh",
        password_hash="x",
        state=state,
        requested_at=NOW,
    )


@pytest.mark.parametrize(
    ("start", "target"),
    [(s, t) for s, t in product(PartnerQueueState, PartnerQueueState) if t not in MOVES[s]],
)
def test_every_partner_queue_move_not_in_the_table_is_refused(start, target):
    api = a_partner_queue(start)

    with pytest.raises(IllegalMove):
        api._move_to(target)

    assert api.state is start


def test_new_credentials_ask_the_provisioner_again():
    api = a_partner_queue(PartnerQueueState.READY)

    api.renew("y", at=NOW)

    assert (api.state, api.password_hash) == (PartnerQueueState.REQUESTED, "y")


def test_nobody_can_guess_the_name_of_a_queue():
    assert queue_name("indh") != queue_name("indh")


def test_the_password_hash_is_the_brokers_own_form():
    decoded = base64.b64decode(broker_hash("secret"))

    assert decoded[4:] == hashlib.sha256(decoded[:4] + b"secret").digest()


@given(st.integers(1, 2**40), st.integers(0, 2000))
def test_blocks_are_the_range_and_each_begins_at_a_multiple_of_its_size(first, length):
    cut = list(blocks(first, first + length))

    assert [n for low, high in cut for n in range(low, high + 1)] == list(
        range(first, first + length + 1)
    )
    for low, high in cut:
        size = high - low + 1
        assert size & (size - 1) == 0
        assert low % size == 0
