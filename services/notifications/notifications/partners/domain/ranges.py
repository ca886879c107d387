"""Ranges of positions, cut so that few different ones are needed whatever is asked for."""

from __future__ import annotations

from collections.abc import Iterator


def blocks(first: int, last: int) -> Iterator[tuple[int, int]]:
    """The positions as blocks of 1, 2, 4, 8 ... that each begin at a multiple of their size.

    Of all such blocks there are fewer than two per position, so whoever reads a feed in pages of
    every size leaves no more rows than that.
    """
    while first <= last:
        size = min(first & -first, 1 << (last - first + 1).bit_length() - 1)
        yield first, first + size - 1
        first += size
