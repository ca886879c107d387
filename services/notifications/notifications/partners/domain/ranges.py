"""Cut ranges of positions so that few different pieces occur, whichever ranges are asked for."""

from __future__ import annotations

from collections.abc import Iterator


def blocks(first: int, last: int) -> Iterator[tuple[int, int]]:
    """The positions as blocks of 1, 2, 4, 8 … that each begin at a multiple of their size.

    `first` is at least 1; each block is its first and last position. There are fewer than two such
    blocks per position, so however a feed is cut into pages, no more rows than that are stored.
    """
    while first <= last:
        size = min(first & -first, 1 << (last - first + 1).bit_length() - 1)
        yield first, first + size - 1
        first += size
