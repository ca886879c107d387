"""Every route of every service, called by every kind of caller, against the declared matrices."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from string import Template
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRouter
from sqlalchemy import func, select, text

from devkit import pytest_plugin
from shared.kernel.data.tables import AuditRow

from .fixtures import PERSONAL, Fixture, app_of, fixture_of
from .rows import CALLERS, SERVICES, Row, rows_of

NO_DATABASE = "postgresql+asyncpg://nobody@127.0.0.1:1/none"
Fixtures = Callable[[str], Awaitable[Fixture]]
ROWS = [row for service in SERVICES for row in rows_of(service)]
TAKE_A_KEY = {
    service: {
        path
        for path, methods in app_of(service, pytest_plugin.test_settings(service, NO_DATABASE))
        .openapi()["paths"]
        .items()
        if any(
            each["name"] == "idempotency-key"
            for each in methods.get("post", {}).get("parameters", ())
        )
    }
    - {"/replays", "/imports"}
    for service in SERVICES
}
KINDS = {401: "sign in first", 403: "forbidden", 404: "hidden"}


@dataclass(frozen=True)
class AuditWritten:
    """What a route left in the audit."""

    number: int
    action: str
    subject_id: UUID | None


@pytest.fixture(scope="module")
async def fixtures(
    databases: pytest_plugin.TestDatabases, tokens: pytest_plugin.Tokens
) -> AsyncIterator[Fixtures]:
    """One fixture per service, made at its first call."""
    made: dict[str, Fixture] = {}
    async with AsyncExitStack() as stack:

        async def find(service: str) -> Fixture:
            if service not in made:
                url = databases.migrated(service)
                made[service] = await stack.enter_async_context(fixture_of(service, url, tokens))
            return made[service]

        yield find


def routes_of(app: FastAPI | APIRouter, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every method and path that the application answers, shown in its documents or not."""
    for route in app.routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from routes_of(inner, prefix + route.include_context.prefix)
            continue
        for method in getattr(route, "methods", None) or ():
            if method != "HEAD":
                yield method, prefix + route.path


@pytest.mark.parametrize("service", SERVICES)
def test_every_route_has_a_row_and_every_row_a_route(service: str) -> None:
    settings = pytest_plugin.test_settings(service, NO_DATABASE)
    routes = set(routes_of(app_of(service, settings)))
    declared = {row.route for row in rows_of(service)}

    undeclared = [f"{method} {path}" for method, path in sorted(routes - declared)]
    gone = [f"{method} {path}" for method, path in sorted(declared - routes)]

    assert len(routes) > 10
    assert undeclared == [], (
        f"who may use these? Add one line for each to tests/permissions/{service}.txt"
        " (rows.py says how; a new {parameter} gets its value in fixtures.py)"
    )
    assert gone == [], f"no such route: take its line out of tests/permissions/{service}.txt"


def test_every_route_of_the_documents_is_called_too() -> None:
    for service in SERVICES:
        settings = pytest_plugin.test_settings(service, NO_DATABASE)
        app = app_of(service, settings)
        shown = {
            (method.upper(), path)
            for path, methods in app.openapi()["paths"].items()
            for method in methods
        }
        assert shown <= set(routes_of(app)), service


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.service} {row.method} {row.path}")
async def test_a_route_lets_in_whom_its_row_names(row: Row, fixtures: Fixtures) -> None:
    fixture = await fixtures(row.service)

    seen = {}
    for caller in CALLERS:
        seen[caller] = await kind_of_answer(fixture, row, caller)

    wrong = {
        caller: f"{seen[caller]}, declared {row.expected[caller]}"
        for caller in CALLERS
        if not seen[caller].startswith(row.expected[caller])
    }
    assert wrong == {}, f"{row.method} {row.path}: see {row.place}"


async def kind_of_answer(fixture: Fixture, row: Row, caller: str) -> str:
    """Call as this caller, look at what is left behind, and undo it."""
    undone = await fixture.connection.begin_nested()
    try:
        before = await fixture.connection.scalar(select(func.max(AuditRow.id))) or 0
        answer = await call(fixture, row, caller)
        left = await audit_after(fixture, before)
        if left:
            await assert_nothing_personal(fixture)
        lost = await out_of_reach(fixture, left)
    finally:
        await undone.rollback()
    if answer.is_success:
        if bool(left) is not row.leaves_audit:
            return f"status {answer.status_code} with {len(left)} audit rows"
        return f"GET /audit shows no row of {lost}" if lost else "answered"
    return KINDS.get(answer.status_code, f"status {answer.status_code}: {answer.text[:300]}")


async def call(fixture: Fixture, row: Row, caller: str, **more: str) -> httpx.Response:
    headers = {"If-Match": "*", **fixture.headers(caller), **more}
    body = Template(row.body).substitute(fixture.names)
    content: bytes | None = body.encode() if body else None
    if body.startswith("form "):
        headers["content-type"] = "application/x-www-form-urlencoded"
        content = body.removeprefix("form ").encode()
    elif body.startswith("csv "):
        headers["content-type"] = "text/csv"
        content = body.removeprefix("csv ").replace("\\n", "\n").encode()
    elif body:
        headers["content-type"] = "application/json"
    answer = await fixture.http.request(
        row.method, row.address(fixture.names), content=content, headers=headers
    )
    if row.service == "registry":  # all share one connection, an import in the background too
        await fixture.app.state.imports.ended()
    return answer


CREATES = [row for row in ROWS if row.method == "POST" and row.route[1] in TAKE_A_KEY[row.service]]
"""Not `/replays`, which needs a broker, nor `/imports`, which has several transactions."""


@pytest.mark.parametrize("row", CREATES, ids=lambda row: f"{row.service} {row.path}")
async def test_a_repeated_request_is_answered_as_the_first_and_creates_nothing(
    row: Row, fixtures: Fixtures
) -> None:
    fixture = await fixtures(row.service)
    caller = next(each for each in CALLERS if row.expected[each] == "answered")
    signed = fixture.headers(caller) | {"Idempotency-Key": str(uuid4())}

    undone = await fixture.connection.begin_nested()
    try:
        first = await call(fixture, row, caller, **signed)
        before = await fixture.connection.scalar(select(func.max(AuditRow.id))) or 0
        second = await call(fixture, row, caller, **signed)
        left = await audit_after(fixture, before)
    finally:
        await undone.rollback()

    assert first.is_success, first.text
    assert second.status_code == first.status_code, second.text
    assert second.headers["location"] == first.headers["location"]
    assert second.headers["idempotent-replayed"] == "true"
    assert left == []
    secrets = {name for name, value in first.json().items() if value != second.json()[name]}
    assert secrets <= {"client_secret", "password", "shown_once"}
    assert all(second.json()[name] is None for name in secrets - {"shown_once"})
    assert bool(secrets) is bool(second.json().get("shown_once"))


async def audit_after(fixture: Fixture, before: int) -> Sequence[AuditWritten]:
    rows = select(AuditRow.id, AuditRow.action, AuditRow.subject_id).where(AuditRow.id > before)
    return [AuditWritten(*each) for each in await fixture.connection.execute(rows)]


async def out_of_reach(fixture: Fixture, rows: Sequence[AuditWritten]) -> list[str]:
    """Actions whose row nobody finds, for it has no subject or is not shown under it."""
    lost = []
    for row in rows:
        path = f"/audit/{row.subject_id}?limit=200"
        answer = await fixture.http.get(path, headers=fixture.headers("operator"))
        shown = answer.json().get("items", [])
        if row.number not in {each["number"] for each in shown}:
            lost.append(row.action)
    return lost


async def assert_nothing_personal(fixture: Fixture) -> None:
    """No row of the audit holds anything of a person."""
    rows = await fixture.connection.execute(text("SELECT audit::text FROM audit"))
    everything = "\n".join(row[0] for row in rows)
    assert [value for value in PERSONAL if value in everything] == []
