"""Imports libraries that draw in rich wherever it is installed, without it.

structlog and httpx import rich for tracebacks and for a command of their own; neither is used here,
and both together cost a starting service a fifth of its imports. rich itself stays usable: commands
print tables with it. Import this before anything that imports structlog or httpx; later it does
nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module


@contextmanager
def _hidden(name: str) -> Iterator[None]:
    """Importing the library fails meanwhile, as where it is not installed."""
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
