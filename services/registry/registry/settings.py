"""Settings of the registry, beside those of the kernel."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, field_validator

from shared.kernel.auth.tokens import LONGEST_TOKEN_SECONDS
from shared.kernel.settings import Settings


class RegistrySettings(Settings):
    """Settings of tokens, sign-ins, another issuer, imports, and how long reports are kept."""

    service_name: ClassVar[str] = "registry"

    token_seconds: int = Field(
        default=600,
        ge=60,
        le=LONGEST_TOKEN_SECONDS,
        description="How long an issued token is valid, in seconds.",
    )
    oidc_issuer: str | None = Field(
        default=None, description="Another OpenID Connect issuer whose subjects may be linked."
    )
    oidc_audience: str | None = Field(
        default=None, description="`aud` that tokens of that issuer must name."
    )
    oidc_client_id: str | None = Field(
        default=None, description="Our client id there: a token for another client is refused."
    )
    sign_in_failures: int = Field(
        default=5,
        ge=1,
        description="Failed sign-ins of an e-mail from one network, or one known device, in an"
        " hour; then the next one has to wait, each time twice as long.",
    )
    sign_in_failures_everywhere: int = Field(
        default=100,
        ge=1,
        description="Failed sign-ins of an e-mail from all networks in an hour; then unknown"
        " devices wait after the first failure from their network.",
    )
    sign_in_failures_network: int = Field(
        default=100,
        ge=1,
        description="Failed sign-ins from one network in an hour, of whatever e-mails; then"
        " unknown devices of that network wait.",
    )
    sign_in_wait_seconds: int = Field(
        default=300, ge=1, le=3600, description="The longest wait after a failed sign-in."
    )
    known_device_days: int = Field(
        default=180,
        ge=1,
        le=400,
        description="Days that a device is known after its last sign-in.",
    )
    max_import_bytes: int = Field(
        default=128 * 1024 * 1024, ge=1024, description="The largest register file, in bytes."
    )
    person_report_days: int = Field(
        default=30,
        ge=1,
        description="Days that reports to persons and problems of imports are kept.",
    )

    erased_contact_days: int = Field(
        default=1095,
        ge=1,
        description="Days that it is remembered, by keyed digests, which contacts were erased.",
    )

    @field_validator("oidc_issuer", "oidc_audience", "oidc_client_id", mode="before")
    @classmethod
    def _empty_is_not_set(cls, value: Any) -> Any:
        return value or None
