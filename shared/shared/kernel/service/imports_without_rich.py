"""Imports structlog and httpx without rich, which they import wherever it is installed.

structlog needs rich for tracebacks, httpx for a command of its own; neither is used here, and
importing it takes a fifth of the imports of a starting service. rich itself stays usable: commands
print tables with it. Import this before anything that imports structlog or httpx; later it has no
effect.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module


@contextmanager
def _hidden(name: str) -> Iterator[None]:
    """Inside, importing the library fails as if it were not installed."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # how Python marks what can't be imported
    try:
        yield
    finally:
        del sys.modules[name]


with _hidden("rich"):
    for _library in ("structlog", "httpx"):
        import_module(_library)
