"""Which events a filter accepts, how a partner queue moves, and how ranges are cut."""

from __future__ import annotations

import base64
import hashlib
import uuid
from datetime import timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.partners.domain.partner_queue import (
    MOVES,
    PartnerQueue,
    PartnerQueueState,
    broker_hash,
    queue_name,
)
from notifications.partners.domain.ranges import blocks
from notifications.partners.domain.subscriptions import SubscriptionFilter, filter_values_of
from shared.errors import IllegalMove

from ..builders import a_call, a_track, an_idea, opened, published
from .partners import NOW


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


CLIENT = uuid.uuid4()


def a_partner_queue(state):
    return PartnerQueue(
        slug="indh",
        queue="p.indh.0.events",
        username="p-indh",
        password_hash="x",
        state=state,
        requested_by=CLIENT,
        authorized_at=NOW,
        requested_at=NOW,
    )


@pytest.mark.parametrize(
    ("start", "target"),
    [(s, t) for s, t in product(PartnerQueueState, PartnerQueueState) if t not in MOVES[s]],
)
def test_every_partner_queue_move_not_in_the_table_is_refused(start, target):
    partner_queue = a_partner_queue(start)

    with pytest.raises(IllegalMove):
        partner_queue._move_to(target)

    assert partner_queue.state is start


def test_new_credentials_are_requested_of_the_provisioner():
    partner_queue = a_partner_queue(PartnerQueueState.READY)

    partner_queue.renew("y", by=CLIENT, authorized_at=NOW, at=NOW)

    assert (partner_queue.state, partner_queue.password_hash) == (PartnerQueueState.REQUESTED, "y")


@pytest.mark.parametrize(
    ("revoked", "seconds", "ended"),
    [(CLIENT, 1, True), (CLIENT, 0, False), (CLIENT, -1, False), (uuid.uuid4(), 1, False)],
)
def test_a_partner_queue_ends_with_the_token_that_it_was_requested_with(revoked, seconds, ended):
    not_before = NOW + timedelta(seconds=seconds)

    partner_queue = a_partner_queue(PartnerQueueState.READY)

    assert partner_queue.is_ended_by(revoked, not_before=not_before) is ended


def test_the_name_of_a_queue_is_random():
    assert queue_name("indh") != queue_name("indh")


def test_the_password_hash_has_the_form_of_the_broker():
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
