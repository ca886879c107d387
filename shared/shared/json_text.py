"""JSON: written by orjson, and read only where every reader would read the same.

The standard grammar does not say what a repeated key means, and readers differ over NaN and half
characters (lone surrogates). So input that has more than one reading is refused: otherwise two
parts of the platform could read different data from the same bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import accumulate
from typing import Any, NoReturn

import orjson

from shared.sentences import Sentence


class NotJson(ValueError):
    """The bytes are no JSON in UTF-8, or have more than one reading; the message says where."""


class RepeatedKey(NotJson):
    """A key stands twice in one object."""


class TooComplex(NotJson):
    """There are more elements, or deeper ones, than a reader takes."""


def dumps(value: object, *, default: Callable[[Any], Any] | None = None) -> str:
    """The value as compact JSON; `default` turns what JSON does not know into what it does."""
    return orjson.dumps(value, default=default).decode()


_HALF = re.compile(rb"\\ud[89a-f]", re.IGNORECASE)
"""An escape that may be half a character. Only bodies that contain one are checked for it."""


def loads(body: bytes) -> Any:
    """The data of a JSON text in UTF-8; raises `NotJson` where it is none or is ambiguous."""
    try:
        read = json.loads(body.decode(), object_pairs_hook=_unique, parse_constant=_no_number)
        if _HALF.search(body):
            json.dumps(read, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise NotJson(
            Sentence("byte {byte} is not UTF-8: encode it as UTF-8", byte=error.start + 1)
        ) from None
    except UnicodeEncodeError:
        raise NotJson(Sentence("an escape is half a character: send both halves")) from None
    except json.JSONDecodeError as error:
        raise NotJson(
            Sentence("this is no JSON: look at character {place}", place=error.pos)
        ) from None
    except RecursionError:
        raise NotJson(Sentence("lists and objects are nested too deeply: flatten them")) from None
    except NotJson:
        raise
    except ValueError:
        raise NotJson(Sentence("a number has too many digits: no field takes it")) from None
    return read


def refuse_ambiguous(body: bytes) -> None:
    """Raise `NotJson`, as `loads` does, for what is no JSON or has more than one reading.

    Bytes that orjson reads and writes back unchanged have one reading only: of a repeated key, one
    would be gone. So for all that our own services send, this costs a third of `loads`.
    """
    try:
        if orjson.dumps(orjson.loads(body)) == body:
            return
    except (ValueError, TypeError):  # orjson's refusal proves nothing: `loads` decides
        pass
    loads(body)


_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NO_BRACKET = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def refuse_complex(body: bytes, *, elements: int, depth: int) -> None:
    """Raise `TooComplex` for a text with more elements, or more nested ones, without parsing it.

    What parsing costs grows with elements, not with bytes: of empty lists a text holds one in three
    bytes. Every element follows a comma or an opening bracket, so counting these outside of strings
    never counts too few. Strings are looked at only where counting them along would be too many.
    """
    opening = body.count(b"[") + body.count(b"{")
    if opening <= depth and opening + body.count(b",") <= elements:
        return
    bare = _STRING.sub(b"", body)
    brackets = bare.translate(None, _NO_BRACKET)
    if bare.count(b",") + brackets.count(b"[") + brackets.count(b"{") > elements:
        raise TooComplex(
            Sentence(
                "there are more than {elements} elements: send less, or in parts", elements=elements
            )
        )
    if max(accumulate(_STEPS[bracket] for bracket in brackets), default=0) > depth:
        raise TooComplex(
            Sentence(
                "lists and objects are nested more than {depth} deep: flatten them", depth=depth
            )
        )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]  # None is what is wanted
        raise RepeatedKey(
            Sentence("the key {twice} stands twice: keep one of them", twice=ascii(twice[:80]))
        )
    return read


def _no_number(name: str) -> NoReturn:
    raise NotJson(Sentence("{name} is no number in JSON: leave it out or send null", name=name))
