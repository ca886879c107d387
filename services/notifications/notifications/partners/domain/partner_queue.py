"""The partner queue: a queue on our broker for one partner, whose user may read nothing else."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from shared.lifecycle import refuse_unless_allowed


class PartnerQueueState(StrEnum):
    """`requested` until the provisioner has made queue and user, then `ready`.

    `closing` until the provisioner has ended the user, then `closed`; the queue stays with what it
    holds, and nothing is sent to it, until somebody requests it again.
    """

    REQUESTED = "requested"
    READY = "ready"
    CLOSING = "closing"
    CLOSED = "closed"


MOVES: dict[PartnerQueueState, set[PartnerQueueState]] = {
    PartnerQueueState.REQUESTED: {PartnerQueueState.READY, PartnerQueueState.CLOSING},
    PartnerQueueState.READY: {PartnerQueueState.REQUESTED, PartnerQueueState.CLOSING},
    PartnerQueueState.CLOSING: {PartnerQueueState.CLOSED, PartnerQueueState.REQUESTED},
    PartnerQueueState.CLOSED: {PartnerQueueState.REQUESTED, PartnerQueueState.CLOSING},
}


@dataclass(eq=False, kw_only=True)
class PartnerQueue:
    """A partner's queue. Only a salted hash of the password is kept, in the broker's own form.

    `requested_by` is the account or the API client that was given the password, and
    `authorized_at` when the token was issued with which it asked; None where the token did not say.
    """

    slug: str
    queue: str
    username: str
    password_hash: str
    state: PartnerQueueState = PartnerQueueState.REQUESTED
    delivered_position: int = 0
    requested_by: UUID
    authorized_at: datetime | None = None
    requested_at: datetime
    ready_at: datetime | None = None
    closing_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether its user may read it, or will once the provisioner has made it."""
        return self.state in {PartnerQueueState.REQUESTED, PartnerQueueState.READY}

    def renew(
        self, password_hash: str, *, by: UUID, authorized_at: datetime | None, at: datetime
    ) -> None:
        """New credentials for the same queue; the old ones end when the provisioner acts.

        A closed queue opens again.
        """
        if self.state is not PartnerQueueState.REQUESTED:
            self._move_to(PartnerQueueState.REQUESTED)
        self.password_hash = password_hash
        self.requested_by, self.authorized_at = by, authorized_at
        self.requested_at, self.closing_at = at, None

    def close(self, *, at: datetime) -> None:
        """End its user. Raises IllegalMove if that is under way already."""
        self._move_to(PartnerQueueState.CLOSING)
        self.closing_at = at

    def note_closed(self) -> None:
        """The broker has no user of it any more."""
        self._move_to(PartnerQueueState.CLOSED)

    def is_ended_by(self, revoked: UUID, *, not_before: datetime) -> bool:
        """Whether it was requested with one of these revoked tokens."""
        is_older = self.authorized_at is None or self.authorized_at < not_before
        return self.is_open and self.requested_by == revoked and is_older

    def note_made(self, *, at: datetime) -> None:
        """The broker has queue and user: the partner may read."""
        self._move_to(PartnerQueueState.READY)
        self.ready_at = at

    def note_lost(self, *, delivered_position: int) -> None:
        """The broker lacks the queue, or has another password: it is to be made again.

        Once made, it is sent the entries after `delivered_position`. A closed one stays closed.
        """
        if self.is_open:
            self._move_to(PartnerQueueState.REQUESTED)
        self.delivered_position = delivered_position

    def _move_to(self, target: PartnerQueueState) -> None:
        refuse_unless_allowed(MOVES, "partner_queue", self.state, target)
        self.state = target


def queue_name(slug: str) -> str:
    """`p.<slug>.<random>.events`: any user of a vhost may look at a queue whose name it guesses."""
    return f"p.{slug}.{secrets.token_hex(8)}.events"


def user_name(slug: str) -> str:
    """The broker user of a partner."""
    return f"p-{slug}"


def new_password() -> str:
    """A random password of 24 bytes, in URL-safe characters."""
    return secrets.token_urlsafe(24)


def broker_hash(password: str) -> str:
    """RabbitMQ's salted SHA-256: base64(salt + sha256(salt + password)), 4 bytes of salt."""
    salt = secrets.token_bytes(4)
    digest = hashlib.sha256(salt + password.encode()).digest()
    return base64.b64encode(salt + digest).decode()
