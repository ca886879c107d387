"""CSV tables for spreadsheets, streamed."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Sequence

from fastapi.responses import StreamingResponse

BOM = "\ufeff"
"""The byte order mark, without which a spreadsheet does not read the file as UTF-8."""
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""Beginnings of a cell that make a spreadsheet run it instead of showing it."""


def csv_response(lines: AsyncIterator[str], name: str) -> StreamingResponse:
    """A streamed response that offers the lines as a file of this name."""
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
    """Rows as CSV text; an apostrophe before what looks like a formula keeps it from being run."""
    page = io.StringIO()
    csv.writer(page).writerows([_cell(value) for value in row] for row in rows)
    return page.getvalue()


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text
