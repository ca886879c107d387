"""Each request has one correlation id, one trace and one line in the log."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from typing import Any
from uuid import UUID

import pytest
import structlog

from devkit.pytest_plugin import Api
from shared.kernel.observability import logs


async def test_the_callers_correlation_id_is_used_and_returned(client: Api):
    response = await client.http.get("/context", headers={"X-Correlation-ID": "order-7"})

    assert response.json()["correlation_id"] == "order-7"
    assert response.headers["x-correlation-id"] == "order-7"


@pytest.mark.parametrize("sent", ["", "a b", "x" * 81, 'x"}', "é".encode("latin-1")])
async def test_a_malformed_correlation_id_is_replaced(client: Api, sent):
    response = await client.http.get("/context", headers={b"X-Correlation-ID": sent})

    UUID(response.headers["x-correlation-id"])


async def test_the_callers_trace_goes_on_and_a_malformed_one_is_replaced(client: Api):
    trace = f"00-{'a' * 32}-{'b' * 16}-01"

    kept = await client.http.get("/context", headers={"traceparent": trace})
    made = await client.http.get("/context", headers={"traceparent": "00-x-y-01"})

    assert kept.json()["traceparent"] == trace
    assert made.json()["traceparent"] != "00-x-y-01"


async def test_requests_at_the_same_time_keep_their_ids_apart(client: Api):
    ids = [f"c-{number}" for number in range(20)]

    answers = await asyncio.gather(
        *(client.http.get("/context", headers={"X-Correlation-ID": one}) for one in ids)
    )

    assert [answer.json()["correlation_id"] for answer in answers] == ids


@pytest.fixture
def logged() -> Any:
    """Returns the lines that the process has logged, as JSON data."""
    kept, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers, root.level
    quiet = {name: logging.getLogger(name).level for name in ("httpx", "httpcore", "faststream")}
    logs.configure("masonry")
    stream = io.StringIO()
    root.handlers[0].setStream(stream)  # type: ignore[attr-defined]  # a StreamHandler
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers, root.level = handlers, level
    for name, before in quiet.items():
        logging.getLogger(name).setLevel(before)
    structlog.reset_defaults()
    structlog.configure(**kept)
    structlog.contextvars.clear_contextvars()


async def test_each_request_is_logged_in_one_line_with_its_id_and_without_its_body(
    client: Api, logged
):
    await client.http.post(
        "/budgets",
        json={"title": "0600000000", "budget_centimes": -1},
        headers={"X-Correlation-ID": "order-9"},
    )

    (line,) = logged()
    assert (line["event"], line["status"], line["service"]) == ("request answered", 422, "masonry")
    assert line["correlation_id"] == "order-9"
    assert "0600000000" not in json.dumps(line)


async def test_an_error_is_logged_with_lines_of_code_and_without_values(committing: Api, logged):
    await committing.http.get("/raises/bug", headers={"X-Correlation-ID": "order-10"})
    await committing.http.post("/stones?number=600000000")

    failed = [line for line in logged() if line["event"] == "request failed"]
    assert [line["level"] for line in failed] == ["error", "error"]
    assert failed[0]["correlation_id"] == "order-10"
    assert "made_up_service.py" in failed[0]["exception"]
    assert "CheckViolationError 23514 stone_n_check" in failed[1]["exception"]
    assert "600000000" not in json.dumps(failed)


async def test_log_lines_of_libraries_are_structured_too(logged):
    logging.getLogger("a.library").warning("something %s", "odd")

    (line,) = logged()
    assert (line["event"], line["level"], line["service"]) == (
        "something odd",
        "warning",
        "masonry",
    )
