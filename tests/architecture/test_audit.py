"""The audit of every service only grows: held by its migrations, not by its code."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from devkit import pytest_plugin
from devkit.stack_layout import SERVICES


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    "statement", ["UPDATE audit SET action = 'x'", "DELETE FROM audit", "TRUNCATE audit"]
)
async def test_no_statement_changes_or_removes_a_row_of_a_migrated_audit(
    databases: pytest_plugin.TestDatabases, service: str, statement: str
) -> None:
    async with pytest_plugin.database_session(databases.migrated(service)) as session:
        with pytest.raises(DBAPIError, match="never changed or removed"):
            await session.execute(text(statement))
