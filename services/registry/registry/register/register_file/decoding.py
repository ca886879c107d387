"""From bytes to lines of text; what is no UTF-8 text is refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final

from shared.errors import Invalid
from shared.sentences import Sentence

MAX_LINE_BYTES: Final = 64 * 1024

_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_REMEDY: Final = Sentence("save it again as « CSV UTF-8 »")


class FileRefused(Invalid):
    """The file can't be read as a register, or can't be read on."""

    def __init__(self, detail: Sentence) -> None:
        super().__init__(detail, field="file")


class RowBroken(Exception):
    """An unexpected error while a row was read; `line` is where the row starts."""

    def __init__(self, line: int) -> None:
        super().__init__(f"line {line}")
        self.line = line


def lines_of(stream: BinaryIO) -> Iterator[bytes]:
    """The lines of a file as bytes, whether they end in LF, CR LF or CR alone.

    What is longer than 64 KiB is cut; `decoded` refuses it.
    """
    rest = b""
    while part := stream.readline(MAX_LINE_BYTES + 1):
        # A CR at the end may be half of a CR LF, so the last line waits for the next part.
        *lines, rest = (rest + part).splitlines(keepends=True)
        yield from lines
        if rest.endswith(b"\n") or len(rest) > MAX_LINE_BYTES:
            yield rest
            rest = b""
    if rest:
        yield rest


def decoded(lines: Iterable[bytes]) -> Iterator[str]:
    """The lines as text, without a byte order mark.

    Raises FileRefused, with line, byte and remedy, for another encoding, a NUL byte, a line that is
    too long, and an empty file.
    """
    offset = 0
    for number, line in enumerate(lines, start=1):
        if number == 1 and line.startswith(_UTF_16):
            raise FileRefused(Sentence("the file is UTF-16: {remedy}", remedy=_REMEDY))
        _refuse_unreadable(line, number, offset)
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise FileRefused(
                Sentence(
                    "line {number}, byte {byte} of the file is not UTF-8 (the file may be"
                    " Windows-1252 or Windows-1256): {remedy}",
                    number=number,
                    byte=offset + error.start + 1,
                    remedy=_REMEDY,
                )
            ) from None
        yield text.removeprefix("\ufeff") if number == 1 else text
        offset += len(line)
    if offset == 0:
        raise FileRefused(
            Sentence("the file is empty: it needs a header line and one line per cooperative")
        )


def _refuse_unreadable(line: bytes, number: int, offset: int) -> None:
    if len(line) > MAX_LINE_BYTES:
        raise FileRefused(
            Sentence(
                "line {number} is longer than {max_line_bytes} bytes: check that it is a register"
                " file",
                number=number,
                max_line_bytes=MAX_LINE_BYTES,
            )
        )
    if (nul := line.find(b"\0")) >= 0:
        raise FileRefused(
            Sentence(
                "line {number}, byte {byte} of the file is a NUL byte, so this is no plain text:"
                " {remedy}",
                number=number,
                byte=offset + nul + 1,
                remedy=_REMEDY,
            )
        )
