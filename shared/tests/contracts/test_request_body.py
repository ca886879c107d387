"""A body of a request is taken as it is written: no type is guessed, no unknown field ignored."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest
from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError

from shared.contracts.criteria import ApplicantType, CriteriaIn
from shared.contracts.request_body import Day, LocalizedIn, RequestBody


class Stone(RequestBody):
    """A made-up body."""

    name: LocalizedIn
    number: int = 0
    is_round: bool = False
    cut_on: Day | None = None
    laid_at: AwareDatetime | None = None
    wall_id: UUID | None = None
    criteria: tuple[CriteriaIn, ...] = ()
    weight: int | None = Field(default=None, alias="grams")


NAME = {"fr": "Pierre", "ar": "حجر"}
ID = "00000000-0000-4000-8000-000000000001"
GOOD: dict[str, Any] = {
    "name": NAME,
    "number": 7,
    "is_round": True,
    "cut_on": "2026-09-01",
    "laid_at": "2026-09-01T10:00:00Z",
    "wall_id": ID,
    "criteria": [{"applicant_types": ["gie"], "min_share_women": {"percent": 30}}],
    "grams": 9,
}


def test_dates_ids_and_codes_come_as_texts_and_lists_as_lists():
    stone = Stone.model_validate(GOOD)

    assert (stone.cut_on, stone.wall_id, stone.weight) == (date(2026, 9, 1), UUID(ID), 9)
    assert stone.laid_at == datetime(2026, 9, 1, 10, tzinfo=UTC)
    assert stone.criteria[0].applicant_types == (ApplicantType.GIE,)


def test_data_that_were_parsed_before_are_read_as_the_json_that_they_were():
    assert Stone.model_validate(GOOD) == Stone.model_validate_json(json.dumps(GOOD))
    assert Stone.model_validate(Stone.model_validate(GOOD)) == Stone.model_validate(GOOD)


@pytest.mark.parametrize(
    ("field", "guessed"),
    [
        ("number", True),
        ("number", "7"),
        ("number", "5_0"),
        ("number", 7.0),
        ("is_round", "yes"),
        ("is_round", 1),
        ("cut_on", 0),
        ("cut_on", "20260901"),
        ("cut_on", "2026-09-01T00:00:00"),
        ("cut_on", "2026-02-30"),
        ("cut_on", "٢٠٢٦-٠٩-٠١"),
        ("laid_at", 1_756_720_800),
        ("wall_id", 1),
        ("name", "Pierre"),
        ("criteria", {"0": {}}),
    ],
)
def test_no_type_is_guessed(field: str, guessed: Any):
    with pytest.raises(ValidationError) as refused:
        Stone.model_validate({**GOOD, field: guessed})

    assert [error["loc"] for error in refused.value.errors()] == [(field,)]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"colour": "red"}, ("colour",)),
        ({"name": {**NAME, "amz": "x"}}, ("name", "amz")),
        ({"criteria": [{"region": ["MA-09"]}]}, ("criteria", 0, "region")),
        (
            {"criteria": [{"min_share_women": {"percent": 1, "more": 1}}]},
            ("criteria", 0, "min_share_women", "more"),
        ),
    ],
)
def test_an_unknown_field_is_refused_at_any_depth(change: dict[str, Any], place: tuple[Any, ...]):
    with pytest.raises(ValidationError) as refused:
        Stone.model_validate({**GOOD, **change})

    assert [(e["loc"], e["type"]) for e in refused.value.errors()] == [(place, "extra_forbidden")]


@pytest.mark.parametrize("body", [[], None, 7, "x", b"\xff", True])
def test_what_is_no_object_is_no_body(body: Any):
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(Stone).validate_python(body, from_attributes=True)

    assert [error["type"] for error in refused.value.errors()] == ["model_attributes_type"]


def test_the_schema_names_its_parts_and_refuses_other_fields():
    schema = TypeAdapter(Stone | None).json_schema()

    assert schema["anyOf"][0] == {"$ref": "#/$defs/Stone"}
    assert schema["$defs"]["Stone"]["properties"]["name"] == {"$ref": "#/$defs/LocalizedIn"}
    assert not any(each.get("additionalProperties", False) for each in schema["$defs"].values())
