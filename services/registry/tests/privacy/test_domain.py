"""The rules of a request of a person, without a database."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta
from itertools import product

import pytest

from registry.privacy.domain.found_records import FoundRecords
from registry.privacy.domain.requests import (
    MOVES,
    Ground,
    PersonRequest,
    ProposalExpired,
    RequestKind,
    RequestState,
    due_on,
)
from shared.errors import IllegalMove

AT = datetime(2026, 1, 15, 23, 30, tzinfo=UTC)


def a_request(state: RequestState = RequestState.PROPOSED) -> PersonRequest:
    request = PersonRequest.propose(
        RequestKind.ACCESS,
        id=uuid.uuid4(),
        ground=Ground.PERSON,
        reference="1",
        records=FoundRecords(),
        sealed="ciphertext",
        by=uuid.uuid4(),
        at=AT,
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
    request.confirm(
        by=uuid.uuid4(), at=AT, cooperatives={}, accounts=[], services=["registry", "ideas"]
    )

    request.record_response("stranger", at=AT)

    assert request.due_on == due_on(AT) == date(2026, 1, 26)
    assert (request.state, request.waiting_for) == (RequestState.OPENED, ["ideas", "registry"])
    assert (request.proposal_sealed, request.version) == (None, 2)


def test_a_proposal_waits_a_day() -> None:
    request = a_request()

    assert request.choose(include=[], leave=[], at=AT + timedelta(hours=23)) == set()
    with pytest.raises(ProposalExpired):
        request.choose(include=[], leave=[], at=AT + timedelta(hours=24))
