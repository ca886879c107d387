"""What a running service process is made of."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncEngine

from .auth.tokens import Verifier
from .data.database import Sessions
from .data.revocations import Revocations
from .encryption.sealer import Sealer
from .messaging.message_processor import MessageProcessor
from .messaging.publisher import Publisher
from .messaging.replay.sources import Snapshot
from .outage_causes import Cause
from .settings import Settings


@dataclass
class Runtime:
    """The parts of a process, built once at start and passed down; nothing here is a global.

    `engine`, `publisher` and `processor` are None where a test drives the HTTP API alone.
    `queues` are those of its consumers; `not_consuming_because` is why these do not consume;
    `snapshots` are what it can publish of its present state. `counts` and `names` are what its
    status adds: a name, and the SQL that counts or lists. `database_check_lock` lets one task at a
    time check the database; `database_answered_at` is the last success, in seconds of the monotonic
    clock. `revocations` are the tokens that it refuses before they expire.
    """

    settings: Settings
    sessions: Sessions
    verifier: Verifier
    sealer: Sealer | None = None
    engine: AsyncEngine | None = None
    publisher: Publisher | None = None
    processor: MessageProcessor | None = None
    consuming: bool = field(default=False)
    not_consuming_because: Cause | None = None
    queues: tuple[str, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()
    counts: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    database_check_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    database_answered_at: float = float("-inf")
    revocations: Revocations = field(init=False)

    def __post_init__(self) -> None:
        self.revocations = Revocations(self.sessions)
