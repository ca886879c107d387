"""What notifications publishes."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from pydantic import Field

from .announcement import Code
from .base import Event
from .persons import PersonAnswered


class FanoutCompleted(Event):
    """Every cooperative that matches a subject has its alert; the counts are those of the commit.

    `matched` = `eligible` + `unknown`. This fan-out wrote `first_alerts` to cooperatives that were
    told for the first time, and `corrections` to those told older content; `alerted` is their sum.
    """

    topic: ClassVar[str] = "notifications.fanout.completed.v1"
    aggregate_field: ClassVar[str] = "subject_id"

    subject_id: UUID
    subject_kind: Code = Field(description="As published: call, idea, session…")
    subject_version: int = Field(ge=1)
    eligible: int = Field(ge=0)
    unknown: int = Field(ge=0)
    alerted: int = Field(ge=0)
    first_alerts: int = Field(default=0, ge=0)
    corrections: int = Field(default=0, ge=0)


class NotificationsAnswered(PersonAnswered):
    """Notifications has answered a person's request."""

    topic: ClassVar[str] = "notifications.person.answered.v1"
