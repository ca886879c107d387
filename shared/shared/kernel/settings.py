"""Settings from the environment, read once at start; a missing one is named at once."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from .heartbeat import DEFAULT_SECONDS


class MissingSettings(SystemExit):
    """Settings are missing or malformed; the message names each. It ends the process."""


class Settings(BaseSettings):
    """What the kernel of every service reads. Prefix of each variable: `TAAWON_`.

    A service adds its own in a subclass that names the service. Times are seconds. Secrets have no
    default.
    """

    service_name: ClassVar[str] = ""
    """The service that a subclass belongs to; empty for the kernel's own settings."""

    model_config = SettingsConfigDict(env_prefix="TAAWON_", frozen=True, extra="ignore")

    service: str = Field(description="Name of the service; set by the program, not by people.")
    database_url: SecretStr = Field(description="postgresql+asyncpg://user:password@host/database")
    amqp_heartbeat: int = Field(
        default=20,
        ge=1,
        le=3600,
        description="A broker connection is given up after silence of two to three times as long.",
    )
    amqp_url: SecretStr = Field(description="amqp://user:password@host:5672/vhost")
    rabbit_management_url: SecretStr | None = Field(
        default=None, description="http://admin:password@host:15672 (topology and provisioner only)"
    )
    issuer: str = Field(default="taawon-registry", description="`iss` of accepted tokens.")
    audience: str = Field(default="taawon", description="`aud` of accepted tokens.")
    jwks_url: str | None = Field(
        default=None, description="Where the issuer publishes its public keys."
    )
    seal_keys: SecretStr | None = Field(
        default=None, description="Fernet keys, newest first, separated by commas."
    )
    http_host: str = "127.0.0.1"
    http_port: int = Field(default=8000, ge=0, le=65535)
    internal_host: str = "127.0.0.1"
    internal_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="Port of /metrics and /openapi.json, never published. Not set: no such port.",
    )
    hsts_seconds: int = Field(
        default=0,
        ge=0,
        description="How long browsers may reach it over TLS only; set it behind TLS. 0: unsaid.",
    )
    log_level: str = "INFO"
    rate_limit: int = Field(
        default=1200, ge=0, description="Requests a minute of one token's subject; 0: no limit."
    )
    rate_limit_address: int = Field(
        default=3000, ge=0, description="Requests a minute from one address; 0: no limit."
    )
    rate_limit_sign_in: int = Field(
        default=60, ge=0, description="Tokens asked for a minute from one address; 0: no limit."
    )
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        default=(),
        description="Networks of proxies whose X-Forwarded-For is believed, separated by commas.",
    )
    max_body_bytes: int = Field(default=256 * 1024, ge=1024)
    http_connections: int = Field(
        default=500, ge=1, description="Connections at once; whoever comes then is answered 503."
    )
    http_request_seconds: float = Field(
        default=10,
        gt=0,
        description="The headers of a request take no longer; its body comes at 1 kB/s or faster.",
    )
    http_keep_alive_seconds: int = Field(
        default=15,
        ge=1,
        description="An idle connection is closed after so long: later than any client or proxy"
        " stops using it, or its next request meets the closing.",
    )
    frozen_seconds: float = Field(
        default=DEFAULT_SECONDS,
        ge=0,
        description="A process whose event loop is blocked for so long ends itself; 0: never.",
    )
    heartbeat_file: Path | None = Field(
        default=None, description="Where the process writes every second that it is not stopped."
    )
    database_statement_seconds: float = Field(
        default=300, gt=0, description="A statement without an answer for so long has failed."
    )
    database_idle_seconds: float = Field(
        default=60,
        gt=0,
        description="A transaction idle for so long is rolled back; longer than a publish takes.",
    )
    database_transaction_seconds: float = Field(
        default=300,
        gt=0,
        description="The longest transaction; it frees the locks of a process that froze in the"
        " middle of a statement.",
    )
    retry_delays: Annotated[tuple[float, ...], NoDecode] = Field(
        default=(5, 30, 120, 600, 3600),
        description="Growing pauses between attempts at a message, separated by commas.",
    )
    probe_seconds: float = Field(
        default=1.0, gt=0, description="Pause between checks whether an outage is over."
    )
    relay_poll_seconds: float = Field(default=1.0, gt=0)
    relay_batch: int = Field(default=100, ge=1, le=1000)
    publish_timeout: float = Field(default=10.0, gt=0)
    graceful_seconds: float = Field(default=20.0, gt=0)
    outbox_retention_days: int = Field(default=7, ge=1)
    dead_letter_retention_days: int = Field(
        default=90,
        ge=1,
        description="How long a redriven or dropped dead letter is kept; an undecided one stays.",
    )

    idempotency_hours: int = Field(
        default=24,
        ge=1,
        description="How long a repeated request with the same Idempotency-Key is recognised.",
    )

    @field_validator("amqp_url", mode="after")
    @classmethod
    def _with_heartbeat(cls, url: SecretStr, known: ValidationInfo) -> SecretStr:
        return with_heartbeat(url, known.data.get("amqp_heartbeat", 20))

    @field_validator("internal_port", mode="after")
    @classmethod
    def _apart(cls, port: int | None, known: ValidationInfo) -> int | None:
        if port and port == known.data.get("http_port"):
            raise ValueError("is the port of the API: choose another, which is not published")
        return port

    @field_validator("retry_delays", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(float(part) for part in value.split(",")) if isinstance(value, str) else value

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(",") if part.strip())

    @classmethod
    def load(cls, service: str | None = None, **overrides: Any) -> Self:
        """Read the environment; `MissingSettings` names every variable that is wrong.

        Only the kernel's own class needs `service`; a subclass knows the service it belongs to.
        """
        service = service or cls.service_name
        try:
            return cls(service=service, **overrides)
        except ValidationError as error:
            raise MissingSettings(_explain(cls, service, error)) from None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The settings that a process was started with, as those of this class.

        Raises TypeError where they are another service's: the process is wired wrongly.
        """
        if not isinstance(settings, cls):
            raise TypeError(
                f"{type(settings).__name__} of {settings.service} are no {cls.__name__}"
            )
        return settings


def with_heartbeat(url: SecretStr, seconds: int) -> SecretStr:
    """The URL with a heartbeat, in seconds, for both ends; one that the URL has already stays."""
    text = url.get_secret_value()
    if "heartbeat=" in text:
        return url
    mark = "&" if "?" in text else "?"
    return SecretStr(f"{text}{mark}heartbeat={seconds}")


def _explain(cls: type[Settings], service: str, error: ValidationError) -> str:
    lines = [f"{service}: its settings are incomplete."]
    for problem in error.errors():
        name = "TAAWON_" + "_".join(str(part) for part in problem["loc"]).upper()
        field = cls.model_fields.get(str(problem["loc"][0])) if problem["loc"] else None
        hint = f" ({field.description})" if field and field.description else ""
        lines.append(f"  {name}: {problem['msg']}{hint}")
    return "\n".join(lines)
