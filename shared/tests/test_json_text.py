"""Ambiguous JSON is refused, and what is written can be read again."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from shared import json_text
from shared.json_text import NotJson, RepeatedKey

REFUSED = {
    "nothing": (b"", "look at character 0"),
    "a comma too many": (b"[1,]", "at character 3"),
    "a mark before": (b"\xef\xbb\xbf{}", "this is no JSON"),
    "latin-1": (b'"\xe9"', "byte 2 is not UTF-8"),
    "half a character": (b'"\\ud800"', "half a character"),
    "NaN": (b"[NaN]", "NaN is no number"),
    "without end": (b'{"a": -Infinity}', "-Infinity is no number"),
    "too deep": (b"[" * 100_000, "nested too deeply"),
    "5,000 digits": (b"9" * 5_000, "too many digits"),
}


@pytest.mark.parametrize(("body", "said"), REFUSED.values(), ids=REFUSED)
def test_invalid_and_ambiguous_json_is_refused_with_the_reason(body: bytes, said: str):
    with pytest.raises(NotJson, match=said):
        json_text.loads(body)
    with pytest.raises(NotJson, match=said):
        json_text.refuse_ambiguous(body)


@pytest.mark.parametrize(
    "body", [b'{"a":1,"a":1}', b'{"a": 1, "a": 1}', b'[{"b": {"a": 1, "\\u0061": 2}}]']
)
def test_a_key_that_stands_twice_is_refused_at_any_depth(body: bytes):
    with pytest.raises(RepeatedKey, match="the key 'a' stands twice"):
        json_text.loads(body)
    with pytest.raises(RepeatedKey, match="the key 'a' stands twice"):
        json_text.refuse_ambiguous(body)


def test_written_json_is_read_again():
    value = {"ar": "تعاون", "n": [1, 2.5, None, True], "emoji": "\U0001f33f"}

    assert json_text.loads(json_text.dumps(value).encode()) == value
    assert json_text.loads(b'"\\ud83c\\udf3f"') == "\U0001f33f"


@pytest.mark.parametrize(
    "body",
    [
        '{"a":{"b":[1,2.5,null]},"c":"تعاون"}'.encode(),
        b' { "a" : 1.0 } ',
        b"1e999",
        b"9" * 400,
        b"[" * 300 + b"]" * 300,
    ],
    ids=["as we write it", "spaced", "beyond floats", "400 digits", "deep"],
)
def test_unambiguous_json_is_accepted_however_it_is_formatted(body: bytes):
    json_text.refuse_ambiguous(body)


def test_ids_and_times_are_written_as_texts():
    made = {"id": UUID(int=7), "at": datetime(2026, 11, 24, tzinfo=UTC)}

    assert json_text.dumps(made) == (
        '{"id":"00000000-0000-0000-0000-000000000007","at":"2026-11-24T00:00:00+00:00"}'
    )


def test_a_value_that_json_does_not_know_is_written_by_the_default():
    assert json_text.dumps([{1, 2}], default=sorted) == "[[1,2]]"


def test_only_elements_outside_of_strings_count_and_no_depth_beyond_the_limit_passes():
    for few in (
        b'["' + b",[{" * 50 + b'"]',
        b'["\\",[,[,["]',
        b"[[[]]]",
        b"[1,2,3]",
        b'{"a":[],"b":[]}',
    ):
        json_text.refuse_complex(few, elements=5, depth=3)
    for many in (
        b"[[],[],[],[],[]]",
        b"[1,2,3,4,5,6]",
        b'{"a":1,"b":1,"c":1,"d":1,"e":1}, ',
        b"[[[[]]]]",
    ):
        with pytest.raises(json_text.TooComplex):
            json_text.refuse_complex(many, elements=5, depth=3)
