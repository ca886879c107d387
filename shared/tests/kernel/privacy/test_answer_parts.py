"""A service's answer to a person's request is divided where one event can't carry it."""

from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from devkit import pytest_plugin
from shared.contracts.base import MOST_EVENT_BYTES
from shared.contracts.persons import (
    ACTIONS_LIMIT,
    MOST_PARTS,
    MOST_RECORDS,
    PersonAction,
    PersonRecord,
)
from shared.contracts.registry import RegistryAnswered
from shared.kernel.encryption.sealer import Sealer
from shared.kernel.messaging import outbox
from shared.kernel.privacy.answer_parts import divided_answer, joined

SEALER = Sealer([pytest_plugin.SEAL_KEY])
AT = datetime(2026, 9, 1, tzinfo=UTC)
ALERTS = [{"alert": number, "state": "read"} for number in range(60_000)]


def an_answer(ids: int = 1) -> RegistryAnswered:
    """An answer about so many cooperatives and accounts, with as many actions as there may be."""
    named = tuple(uuid.uuid4() for _ in range(ids))
    actions = [PersonAction(at=AT, action="a" * 63, subject_id=each) for each in named]
    records = [
        PersonRecord(kind="idea", record_id=uuid.uuid4(), state="draft", created_at=AT)
        for _ in range(ids)
    ]
    return RegistryAnswered(
        request_id=uuid.uuid4(),
        kind="access",
        cooperative_ids=named,
        account_ids=named,
        counts={"alert": len(ALERTS)},
        actions=actions[:ACTIONS_LIMIT],
        records=records[:ACTIONS_LIMIT],
    )


def test_a_small_answer_is_one_part():
    held = {"contacts": [], "accounts": [{"email": None}], "failed_sign_ins": 3}

    (part,) = divided_answer(an_answer(), held, SEALER.seal)

    assert (part.part, part.parts) == (1, 1)
    assert SEALER.open(part.report_sealed or "") == held


def test_a_large_answer_is_divided_into_events_that_fit_and_are_all_of_it_together():
    whole, held = an_answer(), {"alerts_read": ALERTS, "contacts": [], "failed_sign_ins": 3}

    parts = divided_answer(whole, held, SEALER.seal)

    assert [(each.part, each.parts) for each in parts] == [
        (number, len(parts)) for number in range(1, len(parts) + 1)
    ]
    assert len(parts) > 1
    assert len({each.event_id for each in parts}) == len(parts)
    assert {(each.cooperative_ids, each.account_ids) for each in parts} == {
        (whole.cooperative_ids, whole.account_ids)
    }
    assert all(len(outbox.row_for(each).body) <= MOST_EVENT_BYTES for each in parts)
    assert joined(SEALER.open(each.report_sealed or "") for each in parts) == held


def test_the_largest_answer_in_clear_fits_beside_what_is_held_on_one_record():
    held = {"contacts": [{"name_fr": "é" * 500, "number": n} for n in range(1000)]}

    parts = divided_answer(an_answer(MOST_RECORDS), held, SEALER.seal)

    assert all(len(outbox.row_for(each).body) <= MOST_EVENT_BYTES for each in parts)
    assert sum(len(each.actions) for each in parts) == ACTIONS_LIMIT
    assert sum(len(each.records) for each in parts) == ACTIONS_LIMIT


def test_what_is_joined_is_in_the_order_of_its_parts():
    numbers = random.Random(1).sample(range(100), 100)

    assert joined({"numbers": [each], "last": each} for each in numbers) == {
        "numbers": numbers,
        "last": numbers[-1],
    }


@pytest.mark.parametrize(("part", "parts"), [(0, 1), (2, 1), (1, MOST_PARTS + 1)])
def test_a_part_that_can_not_be_is_no_answer(part, parts):
    with pytest.raises(ValidationError):
        RegistryAnswered(request_id=uuid.uuid4(), kind="access", part=part, parts=parts)
