"""One reading of a register file: what was read, what went in, what was wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from shared.errors import Conflict, NotFound
from shared.lifecycle import refuse_unless_allowed

PROBLEMS_KEPT = 1_000
"""A report keeps this many problems; the counts are always whole."""


class NoSuchImport(NotFound):
    """No import with this id has been started."""


class ImportUnderWay(Conflict):
    """A register is imported already, or a person erased: wait until that has finished."""


class RegisterInMotion(Conflict):
    """A register is being imported, and the rest of it may name the person: ask again after it."""


class ImportState(StrEnum):
    """Running until the file ends; interrupted when its process died, and then read again."""

    RUNNING = "running"
    FINISHED = "finished"
    REFUSED = "refused"
    INTERRUPTED = "interrupted"


MOVES: dict[ImportState, set[ImportState]] = {
    ImportState.RUNNING: {ImportState.FINISHED, ImportState.REFUSED, ImportState.INTERRUPTED},
    ImportState.FINISHED: set(),
    ImportState.REFUSED: set(),
    ImportState.INTERRUPTED: set(),
}


@dataclass(eq=False, kw_only=True)
class RegisterImport:
    """Counts grow with every batch, in the transaction of the batch."""

    id: UUID
    source: str
    started_at: datetime
    state: ImportState = ImportState.RUNNING
    finished_at: datetime | None = None
    rows_read: int = 0
    rows_added: int = 0
    rows_changed: int = 0
    rows_unchanged: int = 0
    rows_refused: int = 0
    events: int = 0
    refusal: str | None = None
    problems: list[dict[str, str | int | None]] = field(default_factory=list)

    def count(self, *, added: int, changed: int, unchanged: int) -> None:
        """A batch went in."""
        self.rows_added += added
        self.rows_changed += changed
        self.rows_unchanged += unchanged
        self.events += 1 if added or changed else 0

    def finish(self, *, at: datetime) -> None:
        self._move_to(ImportState.FINISHED)
        self.finished_at = at

    def refuse(self, reason: str, *, at: datetime) -> None:
        """The file can't be read on; what went in before stays."""
        self._move_to(ImportState.REFUSED)
        self.refusal, self.finished_at = reason, at

    def interrupt(self, *, at: datetime) -> None:
        """Its process is gone: whoever holds the lock now knows that."""
        self._move_to(ImportState.INTERRUPTED)
        self.finished_at = at

    def _move_to(self, target: ImportState) -> None:
        refuse_unless_allowed(MOVES, "import", self.state, target)
        self.state = target
