"""Under which keys the sealed fields of a stored body rest, read from the body as it is.

A sealed value begins with the fingerprint of its key and a point, so that values are counted by
key without a key, and by the database.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, Final

UNREADABLE: Final = "unreadable"
"""Stands for the key of values that begin with no fingerprint."""
FINGERPRINT: Final = "^([0-9a-f]{8})[.]"
"""The beginning of a sealed value, for PostgreSQL and for Python."""
_FIELD: Final = re.compile(rb'_sealed"\s*:\s*"(?:([0-9a-f]{8})[.])?')


def sealed_keys_of(body: bytes) -> dict[str, int] | None:
    """How many sealed fields of a JSON body each key seals, by fingerprint; None: it has none."""
    found = Counter(key.decode() or UNREADABLE for key in _FIELD.findall(body))
    return dict(found) or None


def of_inserted(context: Any) -> dict[str, int] | None:
    """The same of the body of a row that is inserted: the default of a column."""
    return sealed_keys_of(context.get_current_parameters()["body"])
