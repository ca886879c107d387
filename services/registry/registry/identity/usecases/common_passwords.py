"""Which passwords whoever guesses tries first."""

from __future__ import annotations

import gzip
import re
from functools import cache
from importlib.resources import files
from typing import Final

from shared.spelling import plain

_LIST: Final = ("third_party", "django", "common-passwords.txt.gz")
_OURS: Final = ("identity", "platform_names.txt")
_AT_THE_ENDS: Final = re.compile(r"^[\W\d_]+|[\W\d_]+$")
"""Digits and signs before the first letter or after the last one."""
_DIGITS: Final = "0123456789" * 20
_SHORTEST_UNIT: Final = 4


def is_common(password: str) -> bool:
    """Whether it is on the list of the commonest, in any case and with any spaces.

    Also one of the list with digits or signs at its ends, or several times; digits in their order;
    and one to three characters again and again.
    """
    text = "".join(plain(password).casefold().split())
    if text in _DIGITS or text[::-1] in _DIGITS:
        return True
    unit = _repeated(text)
    word = _repeated(_AT_THE_ENDS.sub("", text))
    return len(unit) < _SHORTEST_UNIT or unit in _listed() or word in _listed()


def _repeated(text: str) -> str:
    """What the text is a repetition of: itself, if of nothing shorter."""
    return text[: (text + text).find(text, 1)]


@cache
def _listed() -> frozenset[str]:
    """The list, and the name of this platform. Kept in memory: about 2 MB."""
    packed = files("registry").joinpath(*_LIST).read_bytes()
    lines = gzip.decompress(packed).decode().splitlines()
    ours = files("registry").joinpath(*_OURS).read_text("utf-8").split()
    return frozenset(ours) | {line.strip() for line in lines if len(line.strip()) >= _SHORTEST_UNIT}
