"""What is wrong with a cell, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from shared.sentences import Sentence


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that is wrong. With a warning the cell stays unknown; without, the row stays out.

    `header` is the column as the file calls it. Nothing quotes what may be personal data: columns
    shift, and findings are stored in clear.
    """

    line: int
    column: str
    reason: Sentence
    suggestion: Sentence | None = None
    is_warning: bool = False
    header: str | None = None

    def under(self, headers: Mapping[str, str]) -> Finding:
        """The finding with its columns called as the file, whose headers these are, calls them."""
        other = self.reason.parameters.get("field")
        reason = self.reason.replace_parameters(field=headers.get(str(other), other))
        return replace(self, header=headers.get(self.column), reason=reason)

    def as_data(self) -> dict[str, Any]:
        """The finding as reports of imports show and store it; its sentences are in no language."""
        return {
            "line": self.line,
            "column": self.column,
            "header": self.header,
            "reason": self.reason,
            "suggestion": self.suggestion,
            "severity": "warning" if self.is_warning else "refused",
        }


class WrongCell(ValueError):
    """The cell can't be read; the row stays out. Its text is the reason with the remedy."""

    def __init__(self, reason: Sentence, suggestion: Sentence | None = None) -> None:
        self.reason, self.suggestion = reason, suggestion
        super().__init__(self.sentence)

    @property
    def sentence(self) -> Sentence:
        """The reason with the remedy."""
        if self.suggestion is None:
            return self.reason
        return Sentence("{reason}: {remedy}", reason=self.reason, remedy=self.suggestion)


class UnusableCell(WrongCell):
    """The cell can't be read; it counts as unknown, and the row goes in with a warning."""
