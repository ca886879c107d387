"""What is wrong with a cell, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that is wrong. With a warning the cell stays unknown; without, the row stays out.

    It never quotes what may be personal data: columns shift, and findings are stored in clear.
    """

    line: int
    column: str
    reason: str
    suggestion: str | None = None
    is_warning: bool = False

    def as_data(self) -> dict[str, str | int | None]:
        """The finding as reports of imports show and store it."""
        return {
            "line": self.line,
            "column": self.column,
            "reason": self.reason,
            "suggestion": self.suggestion,
            "severity": "warning" if self.is_warning else "refused",
        }


class WrongCell(ValueError):
    """The cell can't be read; the row stays out. Its text is the reason with the remedy."""

    def __init__(self, reason: str, suggestion: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.suggestion = reason, suggestion

    def __str__(self) -> str:
        return f"{self.reason}: {self.suggestion}" if self.suggestion else self.reason


class UnusableCell(WrongCell):
    """The cell can't be read; it counts as unknown, and the row goes in with a warning."""
