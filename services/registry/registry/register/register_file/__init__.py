"""Reads register files as they come: every wrong row is reported, every good one is handed on."""

from .columns import COLUMNS, REQUIRED
from .decoding import FileRefused, lines_of
from .findings import Finding, WrongCell
from .reader import RowVerdict, read_rows

__all__ = [
    "COLUMNS",
    "REQUIRED",
    "FileRefused",
    "Finding",
    "RowVerdict",
    "WrongCell",
    "lines_of",
    "read_rows",
]
