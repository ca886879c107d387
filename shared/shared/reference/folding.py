"""Brings spellings of one name together: case, accents, Arabic letter variants, punctuation."""

from __future__ import annotations

import re
import unicodedata

_LETTERS = str.maketrans(
    {"ة": "ه", "ى": "ي", "ی": "ي", "ٱ": "ا", "ک": "ك", "گ": "ك", "ڭ": "ك", "ـ": "", "œ": "oe"}
    | {"æ": "ae"}
)
_KIND_OF_PLACE = re.compile(
    r"^(?:(?:la |l )?(?:province|prefecture|region|wilaya|commune)(?: des?| du| d)?(?: la| l)? "
    r"|(?:اقليم|عماله|جهه|ولايه|محافظه|جماعه) )"
)
_ARTICLE = re.compile(r"\bel\b")


def fold(text: str) -> str:
    """The text in lower case without accents, Arabic marks or punctuation, single-spaced."""
    decomposed = unicodedata.normalize("NFKD", text.casefold().translate(_LETTERS))
    folded = "".join(_folded(character) for character in decomposed)
    return " ".join(folded.translate(_LETTERS).split())


def _folded(character: str) -> str:
    category = unicodedata.category(character)
    if category in ("Mn", "Cf"):
        return ""
    if category == "Nd":
        return str(unicodedata.digit(character))
    return character if category[0] == "L" else " "


def place_key(text: str) -> str:
    """One key for all spellings of a place: `Province de Tan-Tan` and `tantan` have the same."""
    folded = fold(text)
    bare = _KIND_OF_PLACE.sub("", folded)
    return _ARTICLE.sub("al", bare).replace(" ", "")
