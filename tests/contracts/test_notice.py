"""A notice goes to one addressee, says who asks, and ends."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from shared.contracts import catalogue
from shared.contracts.notice import NoticeRequested


class SeatOffered(NoticeRequested):
    """A service that does not exist yet offers a seat."""

    topic: ClassVar[str] = "academy.notice.requested.v1"


def a_notice(kind: type[NoticeRequested] = NoticeRequested, **changes: Any) -> NoticeRequested:
    return kind.model_validate(
        {**json.loads(catalogue.sample(NoticeRequested.topic)), "service": "academy", **changes}
    )


@pytest.mark.parametrize(
    "addressee",
    [{}, {"account_id": str(uuid.uuid4()), "contact_point_id": str(uuid.uuid4())}],
    ids=["nobody", "two"],
)
def test_a_notice_has_one_addressee(addressee: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="an account or a contact point"):
        a_notice(addressee=addressee)


def test_a_notice_is_valid_until_it_expires() -> None:
    notice = a_notice(SeatOffered)

    assert not notice.is_expired(notice.expires_at - timedelta(seconds=1))
    assert notice.is_expired(notice.expires_at)
    with pytest.raises(ValidationError, match="expires before"):
        a_notice(expires_at=notice.occurred_at)


def test_a_notice_names_the_service_of_its_topic() -> None:
    assert a_notice(SeatOffered).is_from(SeatOffered.topic)
    assert not a_notice().is_from("registry.notice.requested.v1")
    with pytest.raises(ValidationError, match="not the one of the topic"):
        a_notice(SeatOffered, service="registry")


def test_nothing_of_a_notice_is_public_and_what_is_sealed_says_so() -> None:
    notice = a_notice()

    assert notice.public_data() == {}
    assert notice.parameters_sealed is not None
