"""What a service is made of: each declares one `ServiceSpec`, and is found by it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from fastapi import APIRouter, FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from shared.kernel.admin.trace import PartnerDeliveries, no_partner_deliveries
from shared.kernel.auth.tokens import FetchedKeys, Keys
from shared.kernel.data.audit import Owner, OwnerOf
from shared.kernel.data.database import Sessions
from shared.kernel.encryption.sealed_columns import NothingSealed, SealedColumns
from shared.kernel.installed import entry_of, installed_services
from shared.kernel.jobs.job import Job
from shared.kernel.messaging.consumers import Consumer, Consumers
from shared.kernel.messaging.replay.sources import Snapshot
from shared.kernel.observability.metrics.scrape import Measure
from shared.kernel.runtime import Runtime
from shared.kernel.settings import Settings

Background = Callable[[Runtime], Coroutine[Any, Any, None]]
"""Work beside the requests; it runs until it is cancelled and survives outages by itself."""
JobOf = Callable[[Runtime], Job | None]
"""Makes a job of a process; None where its settings leave it out."""
KeySource = Callable[[Settings, Sessions], Keys]


def fetched_keys(settings: Settings, _: Sessions) -> Keys:
    """The keys that the issuer publishes; the one HTTP call between services."""
    if settings.jwks_url is None:
        raise SystemExit(f"{settings.service} can't start: TAAWON_JWKS_URL is not set.")
    return FetchedKeys(settings.jwks_url)


async def operators_only(_: AsyncSession, __: UUID) -> Owner | None:
    """No record of the service is anybody else's."""
    return None


def nothing_larger(_: Settings) -> dict[str, int]:
    """Every path has the body limit of the settings."""
    return {}


def nothing_more(_: FastAPI, __: Settings) -> None:
    """The application is complete as the kernel builds it."""


@dataclass(frozen=True, kw_only=True)
class ServiceSpec:
    """A service, declared once as `SPEC` in its `app.py`; nothing is connected by it.

    `settings` is its own class of settings. `routers` have its routes, `consumers` take events,
    `jobs` are its work beside requests and messages, in units; `background` is what does not come
    in units. `snapshots` publish its present state to whoever lost it. `keys`
    says where the keys that verify tokens come from. `sealed` are the columns that it holds sealed:
    a service with any is given the key of personal fields, all others are not. `larger_bodies`
    gives single paths a body limit of their own, in bytes. `owner_of` says who, beside the
    operators, may read the audit of a record. `counts` adds numbers to the status, each by an SQL
    statement that counts, `names` what is concerned, each by one that lists texts. `measures` are
    what a scrape asks the database, `partner_deliveries` reads what partners received of
    events. `complete` adds to the built application what no other field can say.
    """

    name: str
    settings: type[Settings] = Settings
    routers: Sequence[APIRouter] = ()
    consumers: Consumers | None = None
    background: Sequence[Background] = ()
    jobs: Sequence[JobOf] = ()
    snapshots: Sequence[Snapshot] = ()
    keys: KeySource = fetched_keys
    sealed: SealedColumns | None = None
    larger_bodies: Callable[[Settings], Mapping[str, int]] = nothing_larger
    owner_of: OwnerOf = operators_only
    counts: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    measures: Sequence[Measure] = ()
    partner_deliveries: PartnerDeliveries = no_partner_deliveries
    complete: Callable[[FastAPI, Settings], None] = nothing_more

    @property
    def all_consumers(self) -> tuple[Consumer, ...]:
        """All consumers of the service, each with a queue of its own."""
        return () if self.consumers is None else tuple(self.consumers.consumers)


def spec_of(service: str) -> ServiceSpec:
    """The spec of an installed service, which imports it; NotInstalled where there is none."""
    found = entry_of(service).load()
    assert isinstance(found, ServiceSpec)
    return found


def installed_specs() -> tuple[ServiceSpec, ...]:
    """The specs of all installed services, by name; imports every one of them."""
    return tuple(spec_of(service) for service in installed_services())


def installed_consumers() -> tuple[Consumer, ...]:
    """The consumers of every installed service."""
    return tuple(consumer for spec in installed_specs() for consumer in spec.all_consumers)


def sealed_columns_of(service: str) -> SealedColumns:
    """What an installed service holds sealed; NothingSealed where it is nothing."""
    found = spec_of(service).sealed
    if found is None:
        raise NothingSealed(f"{service} holds nothing sealed")
    return found
