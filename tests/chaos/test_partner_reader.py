"""A partner's queue is compared with its feed, number by number."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from ..journeys.stories import Partner, PartnerQueue
from .partner_reader import StreamReader

ONE, TWO, THREE = (1, uuid4()), (2, uuid4()), (3, uuid4())
FEED = [ONE, TWO, THREE]
STRANGE = (2, uuid4())


def reader(*came: tuple[int, UUID]) -> StreamReader:
    return StreamReader(Partner("", slug="bank"), PartnerQueue("", "", "", ""), list(came))


@pytest.mark.parametrize("came", [FEED, [ONE, ONE, TWO, THREE], [ONE, TWO, ONE, TWO, THREE]])
def test_all_in_order_is_no_fault_and_repeats_are_none_either(came):
    assert reader(*came).faults(FEED) == []
    assert reader(*came).repeats == len(came) - 3


def test_what_did_not_come_is_missed():
    assert reader(ONE, THREE).faults(FEED) == ["bank missed 1 events on its queue"]


def test_what_came_first_too_late_is_out_of_order():
    assert reader(ONE, THREE, TWO).faults(FEED) == ["bank got events out of order"]


def test_what_the_feed_has_not_is_strange():
    wrong = ["bank got 1 events that its feed has not"]

    assert reader(ONE, TWO, STRANGE, THREE).faults(FEED) == wrong
    assert reader(*FEED, (4, uuid4())).faults(FEED) == wrong


def test_one_event_under_two_numbers_is_seen_even_if_the_feed_has_it_so():
    again = (4, TWO[1])

    assert reader(*FEED, again).faults([*FEED, again]) == ["bank got 1 events under two numbers"]
