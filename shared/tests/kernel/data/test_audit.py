"""The audit: rows are added, and no statement changes or removes them."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from devkit.pytest_plugin import TestDatabases, database_session
from shared.kernel import context
from shared.kernel.auth.tokens import Principal, Role
from shared.kernel.data import audit
from shared.kernel.data.tables import AuditRow


@pytest.fixture
async def session(databases: TestDatabases) -> AsyncIterator[AsyncSession]:
    async with database_session(databases.kernel()) as session:
        yield session


async def test_a_change_is_kept_with_who_what_and_the_request_it_came_from(session):
    caller = Principal(subject=uuid.uuid4(), roles=frozenset({Role.DELEGATE}))
    behalf = uuid.uuid4()

    with context.working(context.WorkContext.of(correlation_id="order-7")):
        audit.record(
            session, caller, action="wall raised", after={"height": 3}, on_behalf_of=behalf
        )
    await session.flush()

    row = (await session.scalars(select(AuditRow))).one()
    assert (row.actor_id, row.actor_roles) == (caller.subject, ["delegate"])
    assert (row.on_behalf_of, row.after, row.correlation_id) == (behalf, {"height": 3}, "order-7")


@pytest.mark.parametrize(("given", "recorded"), [(None, uuid.UUID(int=4)), (audit.NOBODY, None)])
async def test_a_change_on_nobodys_behalf_is_recorded_so_whomever_the_caller_acts_for(
    session: AsyncSession, given: audit.Nobody | None, recorded: uuid.UUID | None
):
    acting = Principal(subject=uuid.uuid4(), on_behalf_of=uuid.UUID(int=4))
    audit.record(session, acting, action="wall raised", on_behalf_of=given)
    await session.flush()

    row = (await session.scalars(select(AuditRow))).one()
    assert row.on_behalf_of == recorded


@pytest.mark.parametrize(
    "statement", ["UPDATE audit SET action = 'x'", "DELETE FROM audit", "TRUNCATE audit"]
)
async def test_no_statement_changes_or_removes_an_audit_row(session, statement):
    audit.record(session, None, action="wall raised")
    await session.flush()

    with pytest.raises(DBAPIError, match="never changed or removed"):
        await session.execute(text(statement))


@pytest.mark.parametrize(
    "values", [{"email": "x"}, {"contact": {"phone": "x"}}, {"a": [{"president": 1}]}]
)
def test_a_row_with_a_personal_field_is_refused(values):
    with pytest.raises(ValueError, match="must not hold"):
        audit.record(AsyncSession(), None, action="x", after=values)
