"""A service's answer to a person's request as events that each fit, and its report joined again.

What is held on a person grows with what they did, and an event may not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from shared.contracts.base import new_id
from shared.contracts.persons import MOST_PARTS, PersonAnswered
from shared.kernel.messaging import outbox

A = TypeVar("A", bound=PersonAnswered)
Seal = Callable[[dict[str, Any]], str | None]

_CLEAR: Final = ("actions", "records")
_HELD: Final = "held"


@dataclass(frozen=True, slots=True)
class _Piece:
    """One thing that an answer tells: an action, a record, or a value held under a name."""

    field: str
    value: Any
    name: str = ""


def divided_answer(whole: A, held: Mapping[str, Any], seal: Seal) -> list[A]:
    """The answer with what is held, sealed; in several parts where one event can't carry it.

    Each part has all ids, for an erasure removes every report about any of them.
    """
    pieces = [_Piece(name, each) for name in _CLEAR for each in getattr(whole, name)]
    pieces += _held_pieces(held)
    empty: dict[str, list[Any]] = {
        name: [] for name, value in held.items() if isinstance(value, list)
    }

    def part_of(some: Sequence[_Piece]) -> A:
        clear = {name: tuple(_values(some, name)) for name in _CLEAR}
        within = joined([empty, *(_held_by(piece) for piece in some if piece.field == _HELD)])
        # Numbered with the longest numbers here: the true ones are as long at most.
        numbers = {"part": MOST_PARTS, "parts": MOST_PARTS}
        return whole.model_copy(update={**clear, **numbers, "report_sealed": seal(within)})

    parts = list(outbox.divided(pieces, part_of))
    return [_numbered(each, number, len(parts)) for number, each in enumerate(parts, start=1)]


def joined(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What several parts hold as one: their lists one after the other, of other values the last."""
    whole: dict[str, Any] = {}
    for part in parts:
        for name, value in part.items():
            if isinstance(value, list):
                whole.setdefault(name, []).extend(value)
            else:
                whole[name] = value
    return whole


def _held_pieces(held: Mapping[str, Any]) -> list[_Piece]:
    """Each element of a list alone, and each other value."""
    return [
        _Piece(_HELD, [each] if isinstance(value, list) else each, name)
        for name, value in held.items()
        for each in (value if isinstance(value, list) else [value])
    ]


def _held_by(piece: _Piece) -> dict[str, Any]:
    return {piece.name: piece.value}


def _values(pieces: Iterable[_Piece], field: str) -> list[Any]:
    return [piece.value for piece in pieces if piece.field == field]


def _numbered(part: A, number: int, parts: int) -> A:
    """The part with its number and an id of its own. Raises ValidationError above `MOST_PARTS`."""
    own = {"event_id": new_id(), "part": number, "parts": parts}
    return type(part).model_validate({**dict(part), **own})
