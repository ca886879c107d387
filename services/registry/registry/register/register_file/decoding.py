"""From bytes to lines of text, refusing what is no UTF-8 text file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final

from shared.errors import Invalid

LONGEST_LINE: Final = 64 * 1024

_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_REMEDY = 'save it again as "CSV UTF-8"'


class FileRefused(Invalid):
    """The file can't be read as a register."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, field="file")


def lines_of(stream: BinaryIO) -> Iterator[bytes]:
    """The lines of a file; one that is too long is cut, and refused when it is decoded."""
    while line := stream.readline(LONGEST_LINE + 1):
        yield line


def decoded(lines: Iterable[bytes]) -> Iterator[str]:
    """Text lines, or a refusal that names the line, the byte and the remedy."""
    offset = 0
    for number, line in enumerate(lines, start=1):
        if number == 1 and line.startswith(_UTF_16):
            raise FileRefused(f"the file is UTF-16: {_REMEDY}")
        _refuse_unreadable(line, number, offset)
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise FileRefused(
                f"line {number}, byte {offset + error.start + 1} of the file is not UTF-8"
                f" (the file may be Windows-1252 or Windows-1256): {_REMEDY}"
            ) from None
        yield text.removeprefix("\ufeff") if number == 1 else text
        offset += len(line)
    if offset == 0:
        raise FileRefused("the file is empty: it needs a header line and one line per cooperative")


def _refuse_unreadable(line: bytes, number: int, offset: int) -> None:
    if len(line) > LONGEST_LINE:
        raise FileRefused(
            f"line {number} is longer than {LONGEST_LINE} bytes: check that it is a register file"
        )
    if (nul := line.find(b"\0")) >= 0:
        raise FileRefused(
            f"line {number}, byte {offset + nul + 1} of the file is a NUL byte, so this is no"
            f" plain text: {_REMEDY}"
        )
