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
        default=10,
        ge=1,
        description="Most failed sign-ins of an e-mail from one address in 15 minutes.",
    )
    sign_in_failures_everywhere: int = Field(
        default=100,
        ge=1,
        description="Most failed sign-ins of an e-mail from all addresses in 15 minutes.",
    )
    max_import_bytes: int = Field(
        default=128 * 1024 * 1024, ge=1024, description="The largest register file, in bytes."
    )
    person_report_days: int = Field(
        default=30,
        ge=1,
        description="Days that reports to persons and problems of imports are kept.",
    )

    @field_validator("oidc_issuer", "oidc_audience", "oidc_client_id", mode="before")
    @classmethod
    def _empty_is_not_set(cls, value: Any) -> Any:
        return value or None
