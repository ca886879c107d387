"""A message to one addressee: a one-time code, the state of an application, the offer of a seat.

A service that has one to send declares its own event beside its others and publishes it:

    class SeatOffered(NoticeRequested):
        topic: ClassVar[str] = "programmes.notice.requested.v1"

Unlike an announcement, it is matched with nobody and not kept for those who come later.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Self

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from .announcement import Code
from .base import Contract, Event, Id

Sealed = Annotated[str, StringConstraints(min_length=1, max_length=16_000)]
"""Ciphertext, as the kernel's `Sealer` makes it."""


class Addressee(Contract):
    """An account, or a contact point: exactly one of them."""

    account_id: Id | None = None
    contact_point_id: Id | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.account_id is None) is (self.contact_point_id is None):
            raise ValueError("name an account or a contact point, and not both")
        return self


class NoticeRequested(Event):
    """A service requests a message to one addressee, to be sent before it expires.

    The topic begins with the name of the service that requests it. A notice is never replayed: its
    consumer is not rebuildable, and an expired notice is dropped. Nothing in it is public.
    """

    topic: ClassVar[str] = "service.notice.requested.v1"
    any_service: ClassVar[bool] = True
    aggregate_field: ClassVar[str] = "notice_id"

    notice_id: Id
    service: Code = Field(description="The service that requests it.")
    addressee: Addressee
    purpose: Code = Field(
        description="What it is for, such as sign_in_code: it names the texts and the consent."
    )
    is_immediate: bool = Field(
        default=False, description="Sent past digest, quiet hours and caps: one-time codes."
    )
    parameters_sealed: Sealed | None = Field(
        default=None, description='What fills the texts, sealed: {"fr": {…}, "ar": {…}}.'
    )
    expires_at: AwareDatetime = Field(description="Not sent, and not shown, from then on.")

    @model_validator(mode="after")
    def _expires_later(self) -> Self:
        if self.expires_at <= self.occurred_at:
            raise ValueError("it expires before it is asked for")
        if not self.is_generic() and not self.is_from(self.topic):
            raise ValueError("service is not the one of the topic")
        return self

    def is_from(self, topic: str | None) -> bool:
        """Whether the notice names the service of the topic, which the broker verifies."""
        return self.service == (topic or "").partition(".")[0]

    def is_expired(self, at: datetime) -> bool:
        """Whether it is too late to send it."""
        return self.expires_at <= at
