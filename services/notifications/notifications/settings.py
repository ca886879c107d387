"""Settings of notifications, beside those of the kernel."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import AnyUrl, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from shared.kernel.settings import Settings, with_heartbeat


class NotificationsSettings(Settings):
    """Partner queues, feeds, and how many recipients may be alerted without a confirmation."""

    service_name: ClassVar[str] = "notifications"

    amqp_partners_url: SecretStr | None = Field(
        default=None,
        description="As amqp_url, for the vhost of partner queues. Not set: no partner queues.",
    )
    partners_address: AnyUrl | None = Field(
        default=None,
        description="Where partners reach the broker, as in amqps://amqp.example.org:5671: they are"
        " shown it with their queue. Not set: they are not.",
    )
    confirm_above: Annotated[int | None, NoDecode] = Field(
        default=None,
        ge=0,
        description="Most recipients that are alerted of a subject whose audience nobody confirmed;"
        " a larger fan-out waits for a person. Not set: any number.",
    )
    confirm_tolerance_percent: int = Field(
        default=10,
        ge=0,
        description="How many more recipients than confirmed may be alerted, in percent.",
    )
    confirm_tolerance_least: int = Field(
        default=10,
        ge=0,
        description="How many more than confirmed may always be alerted, whatever the percentage.",
    )
    feed_retention_days: int = Field(
        default=400,
        ge=1,
        le=36_500,
        description="Days for which an entry of a partner's feed is kept.",
    )

    @field_validator("amqp_partners_url", mode="after")
    @classmethod
    def _with_partners_heartbeat(
        cls, url: SecretStr | None, known: ValidationInfo
    ) -> SecretStr | None:
        return url and with_heartbeat(url, known.data.get("amqp_heartbeat", 20))

    @field_validator("partners_address", mode="before")
    @classmethod
    def _empty(cls, value: Any) -> Any:
        return value or None

    @field_validator("confirm_above", mode="before")
    @classmethod
    def _none(cls, value: Any) -> Any:
        return None if isinstance(value, str) and value.lower() in {"", "none", "off"} else value
