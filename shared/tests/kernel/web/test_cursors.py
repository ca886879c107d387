"""Cursors of pages: opaque, and refused where no list made them."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from devkit.pytest_plugin import Api
from shared.kernel.web.requests import InvalidCursor, decode_cursor, encode_cursor

from .made_up_service import is_problem


def test_a_cursor_comes_back_as_it_was():
    subject = uuid4()

    assert decode_cursor(encode_cursor(7, "ص"), int, str) == (7, "ص")
    assert decode_cursor(encode_cursor(str(subject)), UUID) == (subject,)


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "é",
        "====",
        "a" * 5000,
        encode_cursor(1),
        encode_cursor(1, "a", "b"),
        encode_cursor("1", "a"),
        encode_cursor(2**63, "a"),
        encode_cursor(1, "a\0"),
        encode_cursor(True, "a"),
        "eyJhIjoxfQ",
        "MQ",
    ],
)
async def test_a_cursor_that_no_list_made_is_refused(client: Api, cursor):
    with pytest.raises(InvalidCursor):
        decode_cursor(cursor, int, str)

    response = await client.http.get("/page", params={"after": cursor})
    assert is_problem(response, 422, "invalid-cursor")


def test_a_cursor_for_ids_takes_ids_only():
    with pytest.raises(InvalidCursor):
        decode_cursor(encode_cursor("not-an-id"), UUID)
