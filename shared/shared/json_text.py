"""JSON: written by orjson, read by the standard library in the one way that every reader agrees on.

The standard grammar leaves open what a key means that stands twice, and readers differ over NaN and
halves of characters. What comes from outside is therefore refused where it has more than one
reading: two parts of the platform would otherwise see two different texts in the same bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NoReturn

import orjson


class NotJson(ValueError):
    """The bytes are no JSON in UTF-8, or have more than one reading; says where, and why."""


class RepeatedKey(NotJson):
    """A key stands twice in one object."""


def dumps(value: object, *, default: Callable[[Any], Any] | None = None) -> str:
    """The value as compact JSON; `default` turns what JSON does not know into what it does."""
    return orjson.dumps(value, default=default).decode()


_HALF = re.compile(rb"\\ud[89a-f]", re.IGNORECASE)
"""What may be half of a character: looked at closer only where it occurs."""


def loads(body: bytes) -> Any:
    """The data in JSON that has one reading; `NotJson` for everything else, however deep."""
    try:
        read = json.loads(body.decode(), object_pairs_hook=_unique, parse_constant=_no_number)
        if _HALF.search(body):
            json.dumps(read, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise NotJson(f"byte {error.start + 1} is not UTF-8: encode it as UTF-8") from None
    except UnicodeEncodeError:
        raise NotJson("an escape is half a character: send both halves") from None
    except json.JSONDecodeError as error:
        raise NotJson(f"this is no JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise NotJson("lists and objects are nested too deeply: flatten them") from None
    except NotJson:
        raise
    except ValueError:
        raise NotJson("a number has too many digits: no field takes it") from None
    return read


def refuse_ambiguous(body: bytes) -> None:
    """Refuse, as `loads` does, what is no JSON or has more than one reading.

    What orjson writes again to the same bytes has one: a key that stood twice would be gone. So
    for all that our own services send, this costs a third of `loads`.
    """
    try:
        if orjson.dumps(orjson.loads(body)) == body:
            return
    except (ValueError, TypeError):  # what one of the two can't do says nothing yet
        pass
    loads(body)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]  # None is what is wanted
        raise RepeatedKey(f"the key {twice[:80]!a} stands twice: keep one of them")
    return read


def _no_number(name: str) -> NoReturn:
    raise NotJson(f"{name} is no number in JSON: leave it out or send null")
