"""From lines to verdicts, one per row: an entry for the register, or what is wrong with it."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date
from functools import lru_cache
from itertools import chain, islice
from typing import Any, Final

from shared import business_days
from shared.sentences import Sentence

from ..domain.cooperative import Contact, Entry, contradictions
from . import cells
from .columns import (
    NAMES,
    PERSONAL,
    REQUIRED,
    delimiter_of,
    is_header,
    match_headers,
)
from .decoding import FileRefused, RowBroken, decoded
from .findings import Finding, UnusableCell, WrongCell

REFUSING = frozenset({*REQUIRED, *NAMES, "commune"})
"""Columns of identity and territory: a row where one of them is wrong stays out. A wrong cell in
any other column is left unknown, with a warning.
"""
_FIELD_OF = {
    "legal_form": "applicant_type",
    "creation_date": "created_on",
    "capital": "capital_centimes",
    "status": "legal_status",
    "activity": "activity_status",
}
"""Columns whose name differs from the field of the entry that they fill."""

ROW: Final = Sentence("(row)")
"""Instead of a column, where the whole row is meant."""
_FIELDS = frozenset(each.name for each in fields(Entry))
_MOST_BEFORE_HEADER = 10
"""How many lines are looked at for the header: lists have a title, or two, above it."""
_SEPARATOR = re.compile(r'"?sep=(?P<delimiter>[^"\s]|\t)"?', re.IGNORECASE)
"""The line by which a spreadsheet program says how cells are delimited."""

_END = "\0"
"""Follows the last line; no other line has one, for `decoded` refuses it."""

# Cells that occur again and again are read once; refusals are not cached.
_cached = lru_cache(maxsize=4096)
_members = _cached(cells.whole_number)

_READERS: dict[str, Callable[[str], Any]] = {
    "local_register_no": cells.text,
    "court": _cached(cells.text),
    "ice": cells.ice,
    "name_fr": cells.text,
    "name_ar": cells.text,
    "legal_form": _cached(cells.Words(cells.LEGAL_FORMS)),
    "governance": _cached(cells.Words(cells.GOVERNANCES)),
    "province": cells.province,
    "region": cells.region,
    "commune": str.strip,
    "sector": cells.sector,
    "branch": cells.branch,
    "members_total": _members,
    "members_women": _members,
    "members_youth": _members,
    "members_women_or_youth": _members,
    "capital": _cached(cells.centimes),
    "status": _cached(cells.Words(cells.LEGAL_STATUSES)),
    "activity": _cached(cells.Words(cells.ACTIVITIES)),
    "president": cells.text,
    "phone": cells.phone,
    "email": cells.email,
    "language": _cached(cells.Words(cells.LANGUAGES)),
    "consent_source": _cached(cells.text),
    "is_test_data": _cached(cells.Words(cells.YES_OR_NO)),
}


_COLUMN_OF = {name: column for column, name in _FIELD_OF.items()}


def column_of(name: str) -> str:
    """The column that fills a field."""
    return _COLUMN_OF.get(name, name)


@dataclass(frozen=True, kw_only=True, slots=True)
class RowVerdict:
    """A row that goes in has an entry (and maybe warnings); one that stays out has findings only.

    `unread` are the fields of an entry whose cells could not be read, its contact apart. The
    verdict of the header carries what concerns the whole file. `headers` are the file's own names
    of the columns.
    """

    line: int
    is_row: bool = True
    entry: Entry | None = None
    contact: Contact | None = None
    findings: tuple[Finding, ...] = ()
    unread: frozenset[str] = frozenset()
    headers: Mapping[str, str] = field(default_factory=dict)


def read_rows(lines: Iterable[bytes], *, today: date | None = None) -> Iterator[RowVerdict]:
    """One verdict per row that is not blank, in the order of the file.

    Raises FileRefused where the file can't be read on, and RowBroken for an error that nobody
    expected. `today` is the last day that dates may name, the present one unless given.
    """
    texts = decoded(lines)
    head = _find_header(texts)
    everything = chain(head.lines, texts, [_END])
    rows = _numbered(csv.reader(everything, delimiter=head.delimiter), head.line)
    _, names = next(rows, (head.line, []))
    columns, unknown = match_headers(names)
    findings = [_skipped(line) for line in head.skipped]
    findings += [_unknown_column(head.line, *each) for each in unknown.items()]
    if findings:
        yield RowVerdict(line=head.line, is_row=False, findings=tuple(findings))
    reader = _RowReader(columns, names, today or business_days.today())
    for line, row in rows:
        if row and any(cell.strip() for cell in row):
            try:
                verdict = reader.read(line, row)
            except Exception as error:
                raise RowBroken(line) from error
            yield verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class _Header:
    """Where the header stands. `lines` are what was read from it on, `skipped` titles above it."""

    line: int
    delimiter: str
    lines: list[str]
    skipped: list[int]


def _find_header(texts: Iterator[str]) -> _Header:
    """The first row with known headers; where none is found, the first one of all."""
    seen: list[str] = []
    said: str | None = None
    start = 0
    for text in islice(texts, _MOST_BEFORE_HEADER):
        seen.append(text)
        if len(seen) == 1 and (found := _SEPARATOR.fullmatch(text.strip(" \r\n"))):
            said, start = found["delimiter"], 1
            continue
        row = "".join(seen[start:])
        if row.count('"') % 2:
            continue  # a header in quotation marks that goes on in the next line
        delimiter = said or delimiter_of(row)
        if is_header(_cells(seen[start:], delimiter)):
            return _Header(
                line=start + 1,
                delimiter=delimiter,
                lines=seen[start:],
                skipped=_titles(seen[:start], said),
            )
        start = len(seen)
    lines = seen[1:] if said else seen
    delimiter = said or delimiter_of(lines[0] if lines else "")
    return _Header(line=2 if said else 1, delimiter=delimiter, lines=lines, skipped=[])


def _cells(lines: list[str], delimiter: str) -> list[str]:
    try:
        return next(csv.reader(lines, delimiter=delimiter), [])
    except csv.Error:
        return []  # the reader of rows says what is wrong with it


def _titles(above: list[str], said: str | None) -> list[int]:
    """The numbers of the lines above the header that say something, but not of `sep=`."""
    first = 2 if said else 1
    return [n for n, text in enumerate(above, 1) if n >= first and text.strip(" ,;\t\r\n")]


def _numbered(rows: Any, first: int) -> Iterator[tuple[int, list[str]]]:
    """Each row with the line that it starts on: a quoted cell may span several lines.

    `first` is the line of the file that the rows begin with.
    """
    start = first
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error:
            raise FileRefused(
                Sentence(
                    "the row that starts on line {start} can't be read: look for a"
                    " quotation mark that is never closed",
                    start=start,
                )
            ) from None
        if row and row[-1].endswith(_END):
            _refuse_open_quote(start, row)
            return
        yield start, row
        start = first + rows.line_num


def _refuse_open_quote(start: int, row: list[str]) -> None:
    """The end of the file is a row of its own, unless a quotation mark is open before it."""
    if row != [_END]:
        opened = start + sum(len(cell.splitlines()) - 1 for cell in row[:-1] if cell)
        raise FileRefused(
            Sentence(
                "the quotation mark that opens on line {opened} is never closed: close it, or"
                " write it twice where it belongs to the text",
                opened=opened,
            )
        )


def _unknown_column(line: int, column: str, alike: str | None) -> Finding:
    return Finding(
        line=line,
        column=column,
        reason=Sentence("unknown header, the column is not read"),
        suggestion=Sentence("is it {alike}? Rename or remove it", alike=alike)
        if alike
        else Sentence("rename or remove it"),
        is_warning=True,
    )


def _skipped(line: int) -> Finding:
    return Finding(
        line=line,
        column=ROW,
        reason=Sentence("a line above the header, it is not read"),
        suggestion=Sentence("remove it"),
        is_warning=True,
    )


@dataclass(kw_only=True, slots=True)
class _Row:
    line: int
    values: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def refuse(self, column: str, error: WrongCell) -> None:
        self.findings.append(
            Finding(
                line=self.line,
                column=column,
                reason=error.reason,
                suggestion=error.suggestion,
                is_warning=isinstance(error, UnusableCell) or column not in REFUSING,
            )
        )

    @property
    def is_refused(self) -> bool:
        return any(not finding.is_warning for finding in self.findings)


class _RowReader:
    """Reads rows of one file; remembers the first line of each cooperative, to refuse a second."""

    def __init__(self, columns: list[str | None], names: list[str], today: date) -> None:
        called = zip(columns, names, strict=True)
        self._headers = {column: name.strip() for column, name in called if column}
        readers = _READERS | {"creation_date": lambda cell: cells.day(cell, today)}
        self._columns = [
            (name or "", _FIELD_OF.get(name or "", name or ""), readers.get(name or ""))
            for name in columns
        ]
        self._first_line: dict[tuple[str, str], int] = {}

    def read(self, line: int, row: list[str]) -> RowVerdict:
        if len(row) != len(self._columns):
            return _refused(
                line,
                Sentence(
                    "{cells} cells where the header has {columns}",
                    cells=len(row),
                    columns=len(self._columns),
                ),
                Sentence("look for a missing delimiter or quotation mark"),
            )
        found = self._values(line, row)
        if found.is_refused:
            return RowVerdict(line=line, findings=tuple(found.findings), headers=self._headers)
        return self._verdict(found)

    def _values(self, line: int, cells_of_row: list[str]) -> _Row:
        row = _Row(line=line)
        values = row.values
        for (column, name, reader), cell in zip(self._columns, cells_of_row, strict=True):
            if cell and reader is not None and not cells.is_placeholder(cell):
                try:
                    values[name] = reader(cell)
                except WrongCell as error:
                    row.refuse(column, error)
        self._compare_region(row)
        self._read_commune(row)
        wrong = {finding.column for finding in row.findings}
        for column in REQUIRED:
            if column not in values and column not in wrong:
                row.refuse(
                    column,
                    WrongCell(Sentence("empty"), Sentence("every cooperative has one: fill it in")),
                )
        return row

    def _compare_region(self, row: _Row) -> None:
        """The province says the region; a column of its own has to agree with it."""
        region, province = row.values.pop("region", None), row.values.get("province")
        if region and province:
            try:
                cells.refuse_other_region(region, province)
            except WrongCell as error:
                row.refuse("province", error)

    def _read_commune(self, row: _Row) -> None:
        """A commune is read after its province, which may stand in a later column."""
        commune, province = row.values.pop("commune", None), row.values.get("province")
        if commune and province:
            try:
                row.values["commune"] = cells.commune(commune, province)
            except WrongCell as error:
                row.refuse("commune", error)

    def _verdict(self, row: _Row) -> RowVerdict:
        values = row.values
        contact = Contact(**{name: values.pop(name) for name in PERSONAL if name in values})
        entry = Entry(**values)
        entry = _without_contradictions(entry, row)
        first = self._first_line.setdefault(entry.identity, row.line)
        if first != row.line:
            twice = Sentence("same court and number as line {first}", first=first)
            remedy = Sentence("keep one of the two rows; the first one counts")
            row.refuse("local_register_no", WrongCell(twice, remedy))
        return RowVerdict(
            line=row.line,
            entry=None if row.is_refused else entry,
            contact=contact if not row.is_refused and contact.clear_values() else None,
            findings=tuple(row.findings),
            unread=frozenset(
                name
                for each in row.findings
                if (name := _FIELD_OF.get(each.column, each.column)) in _FIELDS
            ),
            headers=self._headers,
        )


def _without_contradictions(entry: Entry, row: _Row) -> Entry:
    """The entry without counts that can't be true beside the others."""
    while problems := contradictions(entry):
        unknown: dict[str, Any] = dict.fromkeys(problem.field for problem in problems)
        for problem in problems:
            row.refuse(problem.field, WrongCell(problem.message, Sentence("correct the counts")))
        if row.is_refused:
            return entry
        entry = replace(entry, **unknown)
    return entry


def _refused(line: int, reason: Sentence, suggestion: Sentence) -> RowVerdict:
    finding = Finding(line=line, column=ROW, reason=reason, suggestion=suggestion)
    return RowVerdict(line=line, findings=(finding,))
