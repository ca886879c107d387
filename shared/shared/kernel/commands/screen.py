"""Tables and progress on the operator's terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from shared.spelling import without_controls


class Screen(Console):
    """A console that shows texts as they are: brackets are no markup, control characters numbers.

    What is to be bold is a `Text` with that style.
    """

    def __init__(self, **known: Any) -> None:
        super().__init__(markup=False, **known)

    def render_str(self, text: str, **known: Any) -> Text:
        """The text made harmless before anything is measured by it."""
        return super().render_str(without_controls(text), **known)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """What is shown; a `Text` too is made harmless."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(without_controls(segment.text), segment.style)
