"""What services promise each other: samples parse, schemas stay, nothing private is shown."""

from __future__ import annotations

import json
import re
import uuid
from datetime import date
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from devkit.pytest_plugin import SEAL_KEY
from shared import reference
from shared.contracts import catalogue
from shared.contracts.base import (
    MOST_EVENT_BYTES,
    TOPIC_PATTERN,
    Contract,
    Event,
    is_public,
)
from shared.contracts.catalogue import ANSWERS, EVENTS
from shared.contracts.registry import (
    BATCH_LIMIT,
    CooperativeRecord,
    CooperativesImported,
    PersonErasureRequested,
)
from shared.kernel.encryption.sealer import Sealer
from shared.kernel.messaging import outbox
from shared.kernel.service.spec import installed_consumers

each = pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)

PRIVATE = {
    "author_id",
    "on_behalf_of",
    "belongs_to",
    "addressed_to",
    "contact_sealed",
    "actor_id",
    "subject_id",
}
PERSONAL = (r"\+212|\b0[5-7]\d{8}\b", r"[\w.]+@(?!example\.(org|com))[\w.]+", r"\b(M\.|Mme|Mlle)\s")


def sample(event: type[Event]) -> Event:
    return event.model_validate_json(catalogue.sample(event.topic))


@each
def test_a_sample_parses_and_comes_back_as_it_was(event):
    text = catalogue.sample(event.topic)

    parsed = event.model_validate_json(text)

    assert parsed.model_dump(mode="json") == json.loads(text)


@each
def test_a_sample_satisfies_the_stored_schema(event):
    stored = json.loads((catalogue.SCHEMAS / f"{event.topic}.json").read_text())

    Draft202012Validator(stored).validate(json.loads(catalogue.sample(event.topic)))


@each
def test_a_stored_schema_is_the_one_of_the_code(event):
    stored = (catalogue.SCHEMAS / f"{event.topic}.json").read_text()

    assert catalogue.schema_text(event) == stored, (
        "consumers rely on this schema. A new optional field: `taawon docs contracts --accept`;"
        " anything else needs a new topic."
    )


@pytest.mark.parametrize("folder", [catalogue.SAMPLES, catalogue.SCHEMAS], ids=["sample", "schema"])
def test_there_is_one_file_for_every_event_and_none_for_others(folder):
    assert {path.stem for path in folder.iterdir()} == set(EVENTS)


@each
def test_a_topic_names_service_aggregate_and_what_happened(event):
    assert re.match(TOPIC_PATTERN, event.topic)
    service = "service" if event.is_generic() else event.__module__.rsplit(".", 1)[1]
    assert event.topic.split(".")[0] == service


@each
def test_an_event_says_in_a_sentence_what_is_so_now(event):
    assert event.__doc__
    assert event.__doc__.split("\n")[0].endswith(".")


@each
def test_an_event_names_its_aggregate(event):
    assert isinstance(sample(event).aggregate_id, uuid.UUID)


@each
def test_a_newer_sender_may_add_fields(event):
    body = {**json.loads(catalogue.sample(event.topic)), "added_later": 1}

    assert event.model_validate(body) == sample(event)


@each
def test_partners_see_marked_fields_and_nothing_else(event):
    full = sample(event)

    assert _names(full.public_data()) & PRIVATE == set()
    assert _unmarked(type(full), full.public_data()) == set()


def test_a_record_of_the_register_has_no_public_field():
    record = sample(EVENTS["registry.cooperatives.imported.v1"])

    assert record.public_data() == {}
    assert not any(map(is_public, CooperativeRecord.model_fields.values()))


@each
def test_a_sample_holds_nobodys_data(event):
    text = catalogue.sample(event.topic)

    assert [found for pattern in PERSONAL for found in re.findall(pattern, text)] == []


@each
def test_codes_in_a_sample_are_those_of_the_reference_data(event):
    for name, value in _pairs(json.loads(catalogue.sample(event.topic))):
        if name in {"region", "regions"}:
            reference.region(value)
        if name in {"province", "provinces"}:
            reference.province(value)
        if name in {"sector", "sectors"}:
            reference.sector(value)


def test_a_full_batch_with_sealed_contacts_fits_into_one_message():
    person = {"name": "ا" * 40, "phone": "+000000000000", "email": "a" * 40 + "@example.org"}
    sealed = Sealer([SEAL_KEY]).seal(person)
    records = tuple(_a_long_record(sealed) for _ in range(BATCH_LIMIT))

    full = CooperativesImported(batch_id=uuid.uuid4(), import_id=uuid.uuid4(), cooperatives=records)

    assert len(sealed) >= 300
    assert len(outbox.row_for(full).body) < MOST_EVENT_BYTES


def _a_long_record(sealed: str) -> CooperativeRecord:
    return CooperativeRecord(
        cooperative_id=uuid.uuid4(),
        version=12,
        name_fr="é" * 80,
        name_ar="ت" * 80,
        region="MA-09",
        province="MA-TAR",
        commune="C" * 40,
        sector="AROMATIC_MEDICINAL_PLANTS",
        branch="B" * 60,
        members_total=1000,
        members_women=1000,
        members_youth=1000,
        members_women_or_youth=1000,
        created_on=date(2020, 1, 31),
        contact_sealed=sealed,
    )


def _pairs(data: Any, name: str = "") -> list[tuple[str, str]]:
    """Every text in the data with the name of its field."""
    if isinstance(data, dict):
        return [pair for key, value in data.items() for pair in _pairs(value, key)]
    if isinstance(data, list):
        return [pair for value in data for pair in _pairs(value, name)]
    return [(name, data)] if isinstance(data, str) else []


def _names(data: Any) -> set[str]:
    if isinstance(data, dict):
        return set(data) | {name for value in data.values() for name in _names(value)}
    if isinstance(data, list):
        return {name for value in data for name in _names(value)}
    return set()


def _unmarked(model: type[Contract], shown: dict[str, Any]) -> set[str]:
    return {name for name in shown if not is_public(model.model_fields[name])}


def test_each_service_that_declares_a_person_response_consumes_the_requests_and_no_other_does():
    declared = {answer.service() for answer in ANSWERS}

    consumers = {c.queue for c in installed_consumers() if PersonErasureRequested.topic in c.topics}
    assert consumers == {f"{service}.answer_person" for service in declared}
    assert len(declared) == len(ANSWERS)
