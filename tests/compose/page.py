"""The commands of docs/operations.md, run as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
_BLOCK = re.compile(r"<!-- executed: (?P<name>[^>]+?) -->\n```sh\n(?P<script>.*?)```", re.DOTALL)


def scripts() -> dict[str, str]:
    """Each block of commands that the page says is executed, by its name."""
    text = PAGE.read_text(encoding="utf-8")
    return {found["name"]: found["script"] for found in _BLOCK.finditer(text)}
