"""What notifications publishes."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from .announcement import Code
from .base import Event, Id, Version
from .numbers import Count
from .persons import PersonAnswered


class FanoutCompleted(Event):
    """Every cooperative that matches a subject has its alert.

    Of those that matched, `eligible` meet the criteria for certain and `unknown` may meet them.
    This fan-out wrote `first_alerts` to cooperatives that had no alert about the subject, and
    `corrections` to those alerted about older content; `alerted` is the sum of the two.
    """

    topic: ClassVar[str] = "notifications.fanout.completed.v1"
    aggregate_field: ClassVar[str] = "subject_id"

    subject_id: Id
    subject_kind: Code = Field(description="As published: call, idea, session…")
    subject_version: Version
    eligible: Count
    unknown: Count
    alerted: Count
    first_alerts: Count = 0
    corrections: Count = 0


class NotificationsAnswered(PersonAnswered):
    """Notifications has answered a person's request."""

    topic: ClassVar[str] = "notifications.person.answered.v1"
