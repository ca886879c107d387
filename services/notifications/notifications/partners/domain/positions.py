"""Positions of a partner's feed: what a reader, or a range to be sent again, may name."""

from __future__ import annotations

from shared.errors import Invalid
from shared.sentences import Sentence


class BeyondTheEnd(Invalid):
    """No entry has this position yet: read on from the last one, or leave it out."""


class LastBeforeFirst(Invalid):
    """`last` lies before `first`: exchange them."""


class NotSentYet(Invalid):
    """That position has not been sent to your queue yet: it will come by itself."""


def refuse_beyond_end(after: int, last: int) -> None:
    """Raise BeyondTheEnd for a position that a reader can't have seen: later entries would be taken
    for seen.
    """
    if after > last:
        raise BeyondTheEnd(
            Sentence(
                "position {after} is beyond the end: the last is {last}; read on with after={last}",
                after=after,
                last=last,
            ),
            field="after",
        )


def refuse_backwards(first: int, last: int | None) -> None:
    """Raise LastBeforeFirst for a range that ends before it begins."""
    if last is not None and last < first:
        raise LastBeforeFirst(
            Sentence("`last` {last} lies before `first` {first}", last=last, first=first),
            field="last",
        )


def last_to_replay(first: int, last: int | None, *, sent: int) -> int:
    """The last position to be sent again; without `last`, the newest that was sent.

    Raises NotSentYet for positions after the newest that was `sent`.
    """
    for name, position in (("first", first), ("last", last)):
        if position is not None and position > sent:
            raise NotSentYet(
                Sentence(
                    "position {position} has not been sent to your queue yet: the last is {sent};"
                    " later ones come by themselves",
                    position=position,
                    sent=sent,
                ),
                field=name,
            )
    return sent if last is None else last
