"""The deadline of a call or an announcement."""

from __future__ import annotations

from pydantic import AwareDatetime, Field

from .base import PUBLIC, Contract, Language, Text


class Deadline(Contract):
    """When something closes: the instant that counts, its zone, and the words that readers saw.

    The instant is never computed again from the text: Morocco's clock changes around Ramadan.
    """

    at: AwareDatetime = Field(json_schema_extra=PUBLIC)
    zone: str = Field(default="Africa/Casablanca", max_length=64, json_schema_extra=PUBLIC)
    shown: Text = Field(json_schema_extra=PUBLIC, description="Wall-clock text as published.")
    shown_ar: Text | None = Field(
        default=None, json_schema_extra=PUBLIC, description="The same words for Arabic readers."
    )

    def in_language(self, language: Language) -> str:
        """The words of the deadline; as published where there are none in Arabic."""
        return self.shown_ar if language == "ar" and self.shown_ar else self.shown
