"""What notifications announces."""

from __future__ import annotations

from typing import ClassVar, Literal
from uuid import UUID

from pydantic import Field

from .base import Event


class FanoutCompleted(Event):
    """Every cooperative that matches a subject has its alert; the counts are those of the commit.

    `matched` = `eligible` + `unknown`; `alerted` is how many alert rows this fan-out wrote.
    """

    topic: ClassVar[str] = "notifications.fanout.completed.v1"
    aggregate_field: ClassVar[str] = "subject_id"

    subject_id: UUID
    subject_kind: Literal["call", "idea"]
    subject_version: int = Field(ge=1)
    eligible: int = Field(ge=0)
    unknown: int = Field(ge=0)
    alerted: int = Field(ge=0)
