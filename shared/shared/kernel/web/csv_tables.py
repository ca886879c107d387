"""Tables that a spreadsheet opens, written as they are read."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Sequence

from fastapi.responses import StreamingResponse

BOM = "\ufeff"
"""Without it a spreadsheet reads UTF-8 as something else, and Arabic as signs."""
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What makes a spreadsheet run a cell instead of showing it."""


def csv_response(lines: AsyncIterator[str], name: str) -> StreamingResponse:
    """The lines as a file of this name."""
    return StreamingResponse(
        _marked(lines),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
    )


async def _marked(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    yield BOM
    async for line in lines:
        yield line


def csv_text(rows: Sequence[Sequence[object]]) -> str:
    """Rows as text; an apostrophe keeps what looks like a formula from being one."""
    page = io.StringIO()
    csv.writer(page).writerows([_cell(value) for value in row] for row in rows)
    return page.getvalue()


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text
