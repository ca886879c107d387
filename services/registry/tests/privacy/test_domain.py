"""The rules of a request of a person, without a database."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime
from itertools import product

import pytest

from registry.privacy.domain import MOVES, Ground, PersonRequest, RequestKind, RequestState, due_on
from shared.errors import IllegalMove


def a_request(state: RequestState = RequestState.OPENED) -> PersonRequest:
    request, _ = PersonRequest.open(
        RequestKind.ACCESS,
        id=uuid.uuid4(),
        ground=Ground.PERSON,
        reference="1",
        by=uuid.uuid4(),
        at=datetime(2026, 1, 15, 23, 30, tzinfo=UTC),
        cooperatives={},
        accounts=[],
        services=["ideas", "registry"],
    )
    request.state = state
    return request


@pytest.mark.parametrize(
    ("start", "target"),
    [(s, t) for s, t in product(RequestState, RequestState) if t not in MOVES[s]],
)
def test_every_move_not_in_the_table_is_refused(start: RequestState, target: RequestState) -> None:
    request = a_request(start)

    with pytest.raises(IllegalMove):
        request._move_to(target)

    assert request.state is start


def test_ten_clear_days_are_left_and_an_answer_of_nobody_changes_nothing() -> None:
    request = a_request()

    request.record_response("stranger", at=request.opened_at)

    assert request.due_on == due_on(request.opened_at) == date(2026, 1, 26)
    assert (request.state, request.waiting_for) == (RequestState.OPENED, ["ideas", "registry"])
