"""One import of a register file: what was read, what was written, what was wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from shared.errors import Conflict, NotFound
from shared.lifecycle import refuse_unless_allowed
from shared.sentences import Sentence

PROBLEMS_KEPT = 1_000
"""How many problems a report keeps; `problems_total` counts all."""


class NoSuchImport(NotFound):
    """No import with this id has been started."""


class ImportUnderWay(Conflict):
    """A register is imported already, or a person erased: wait until that has finished."""


class RegisterInMotion(Conflict):
    """A register is being imported, and the rest of it may name the person: ask again after it."""


class ImportState(StrEnum):
    """Running until the file ends, can't be read on (refused), or an unexpected error ends the
    import (failed); interrupted if its process died.
    """

    RUNNING = "running"
    FINISHED = "finished"
    REFUSED = "refused"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


MOVES: dict[ImportState, set[ImportState]] = {
    ImportState.RUNNING: {
        ImportState.FINISHED,
        ImportState.REFUSED,
        ImportState.FAILED,
        ImportState.INTERRUPTED,
    },
    ImportState.FINISHED: set(),
    ImportState.REFUSED: set(),
    ImportState.FAILED: set(),
    ImportState.INTERRUPTED: set(),
}


@dataclass(eq=False, kw_only=True)
class RegisterImport:
    """The report of an import. Its counts grow in the transaction of each batch.

    `refusal` and `problems` hold sentences, which are said in the language of each reader.
    """

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
    refusal: Sentence | None = None
    problems_total: int = 0
    problems: list[dict[str, Any]] = field(default_factory=list)

    def count(self, *, added: int, changed: int, unchanged: int, events: int) -> None:
        """Count the rows of a batch that was written, and the events that say so."""
        self.rows_added += added
        self.rows_changed += changed
        self.rows_unchanged += unchanged
        self.events += events

    def finish(self, *, at: datetime) -> None:
        """The file was read to its end."""
        self._move_to(ImportState.FINISHED)
        self.finished_at = at

    def refuse(self, reason: Sentence, *, at: datetime) -> None:
        """The file can't be read on; the rows written before stay."""
        self._move_to(ImportState.REFUSED)
        self.refusal, self.finished_at = reason, at

    def fail(self, reason: Sentence, *, at: datetime) -> None:
        """An unexpected error ended it; the rows written before stay."""
        self._move_to(ImportState.FAILED)
        self.refusal, self.finished_at = reason, at

    def interrupt(self, *, at: datetime) -> None:
        """Its process has died, as whoever holds the lock of imports now can tell."""
        self._move_to(ImportState.INTERRUPTED)
        self.finished_at = at

    def _move_to(self, target: ImportState) -> None:
        refuse_unless_allowed(MOVES, "import", self.state, target)
        self.state = target
