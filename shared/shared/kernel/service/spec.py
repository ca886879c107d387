"""`ServiceSpec`: the declaration of a service, by which the kernel finds and runs it."""

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
from shared.sentences import Sentence

Background = Callable[[Runtime], Coroutine[Any, Any, None]]
"""Work beside the requests; it runs until it is cancelled and survives outages by itself."""
JobOf = Callable[[Runtime], Job | None]
"""Makes a job for a process; None where its settings leave the job out."""
KeySource = Callable[[Settings, Sessions], Keys]
"""Makes the source of the keys that verify tokens."""


def fetched_keys(settings: Settings, _: Sessions) -> Keys:
    """The keys that the issuer publishes, fetched by the only HTTP call between services.

    Raises SystemExit where TAAWON_JWKS_URL is not set.
    """
    if settings.jwks_url is None:
        raise SystemExit(f"{settings.service} can't start: TAAWON_JWKS_URL is not set.")
    return FetchedKeys(settings.jwks_url)


async def operators_only(_: AsyncSession, __: UUID) -> Owner | None:
    """The `owner_of` of a service whose records belong to nobody but operators."""
    return None


def nothing_larger(_: Settings) -> dict[str, int]:
    """The `larger_bodies` of a service whose paths all have the body limit of the settings."""
    return {}


def nothing_more(_: FastAPI, __: Settings) -> None:
    """The `complete` of a service that adds nothing to the application."""


@dataclass(frozen=True, kw_only=True)
class ServiceSpec:
    """A service, declared once as `SPEC` in its `app.py`; declaring it connects nothing.

    `about` and `tags` describe it and the tags of its routes to readers of its OpenAPI document.
    `settings` is its own class of settings. `routers` have its routes, `consumers` take events,
    `jobs` are its work beside requests and messages, in units; `background` is work that does not
    come in units. `snapshots` publish its present state to consumers that lost it. `keys` makes the
    source of the keys that verify tokens. `sealed` are the columns that it stores sealed: only a
    service with any is given the keys of personal fields. `larger_bodies` gives single paths a
    higher body limit, in bytes. `owner_of` finds who, beside the operators, may read the audit of a
    record. `counts` adds numbers to the status, each by an SQL statement that counts; `names` adds
    the names of what is counted, each by one that lists texts. `measures` are what a scrape reads
    from the database; `partner_deliveries` reads which events partners received. `documents` are
    AsyncAPI documents for others than services, each with the name of its file in `docs/asyncapi`.
    `complete` adds to the built application what no other field can declare.
    """

    name: str
    about: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
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
    documents: Mapping[str, Callable[[], dict[str, Any]]] = field(default_factory=dict)
    complete: Callable[[FastAPI, Settings], None] = nothing_more

    @property
    def all_consumers(self) -> tuple[Consumer, ...]:
        """All consumers of the service, each with a queue of its own."""
        return () if self.consumers is None else tuple(self.consumers.consumers)


def spec_of(service: str) -> ServiceSpec:
    """The spec of an installed service, which is imported; raises `NotInstalled` for any other."""
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
    """The sealed columns of an installed service; raises `NothingSealed` where it has none."""
    found = spec_of(service).sealed
    if found is None:
        raise NothingSealed(Sentence("{service} stores nothing sealed", service=service))
    return found
