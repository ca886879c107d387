"""What can be read of the registry, straight from the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from registry import models
from registry.domain import (
    Account,
    ApiClient,
    LinkedIdentity,
    NoReport,
    NoSuchAccount,
    NoSuchImport,
    NoSuchPartner,
    NoSuchRequest,
    NotInTheRegister,
    Partner,
    PersonRequest,
    RegisterImport,
    RequestKind,
    RequestState,
    SigningKey,
)
from shared.audit import Owner
from shared.auth import Role
from shared.contracts.base import now
from shared.privacy import opened
from shared.sealed import Sealer

Row = Mapping[str, Any]
Grouping = Literal["region", "province", "sector", "legal_status", "activity_status"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Filters:
    """What a list is narrowed to; None narrows nothing."""

    region: str | None = None
    province: str | None = None
    sector: str | None = None
    legal_status: str | None = None
    activity_status: str | None = None
    search: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        columns = models.cooperative.c
        exact = ("region", "province", "sector", "legal_status", "activity_status")
        found = [
            columns[name] == value for name in exact if (value := getattr(self, name)) is not None
        ]
        # One condition per word: the words of a name are found in any order.
        words = models.search_key(self.search).split()
        return found + [columns.search_key.contains(word, autoescape=True) for word in words]


async def list_cooperatives(
    session: AsyncSession, filters: Filters, *, after: UUID | None, limit: int
) -> Sequence[Row]:
    """One page, and one row more when there is another page."""
    table = models.cooperative
    query = select(table).where(*filters.conditions()).order_by(table.c.id).limit(limit + 1)
    if after is not None:
        query = query.where(table.c.id > after)
    return [dict(row) for row in (await session.execute(query)).mappings()]


async def find_cooperative(session: AsyncSession, cooperative_id: UUID) -> Row:
    table = models.cooperative
    query = select(table).where(table.c.id == cooperative_id)
    row = (await session.execute(query)).mappings().one_or_none()
    if row is None:
        raise NotInTheRegister(f"no cooperative {cooperative_id} is in the register")
    return dict(row)


async def total(session: AsyncSession, filters: Filters, *, by: Grouping | None) -> Sequence[Row]:
    """Counts and members, as one row or as one per group; unknown counts add nothing."""
    columns = models.cooperative.c
    counts = (
        func.count().label("cooperatives"),
        func.coalesce(func.sum(columns.members_total), 0).label("members"),
        func.coalesce(func.sum(columns.members_women), 0).label("women"),
        func.coalesce(func.sum(columns.members_youth), 0).label("youth"),
        func.count().filter(columns.members_women == columns.members_total).label("women_only"),
    )
    query: Select[Any] = select(*counts).where(*filters.conditions())
    if by is not None:
        query = query.add_columns(columns[by].label("code")).group_by(columns[by])
        query = query.order_by(func.count().desc(), columns[by])
    return [dict(row) for row in (await session.execute(query)).mappings()]


async def list_partners(session: AsyncSession) -> Sequence[Partner]:
    return (await session.execute(select(Partner).order_by(models.partner.c.slug))).scalars().all()


async def find_partner(session: AsyncSession, slug: str) -> Partner:
    found = (await session.execute(select(Partner).filter_by(slug=slug))).scalar_one_or_none()
    if found is None:
        raise NoSuchPartner(f"no partner {slug} is registered")
    return found


async def list_clients(session: AsyncSession, slug: str) -> Sequence[ApiClient]:
    """The API clients of a partner, revoked ones included, oldest first."""
    partner = await find_partner(session, slug)
    columns = models.api_client.c
    query = select(ApiClient).where(columns.partner_id == partner.id)
    return (await session.scalars(query.order_by(columns.created_at, columns.id))).all()


async def find_account(session: AsyncSession, account_id: UUID) -> Account:
    found = await session.get(Account, account_id)
    if found is None:
        raise NoSuchAccount(f"there is no account {account_id}")
    return found


async def list_accounts(
    session: AsyncSession, *, role: Role | None, after: UUID | None, limit: int
) -> Sequence[Account]:
    """One page by id, and one account more when there is another page."""
    columns = models.account.c
    query = select(Account).order_by(columns.id).limit(limit + 1)
    if role is not None:
        query = query.where(columns.roles.contains([role.value]))
    if after is not None:
        query = query.where(columns.id > after)
    return (await session.scalars(query)).all()


@dataclass(frozen=True, kw_only=True, slots=True)
class IdentitySeen:
    """A subject of another issuer, in clear."""

    id: UUID
    issuer: str
    subject: str
    linked_at: datetime


async def list_identities(
    session: AsyncSession, sealer: Sealer, account_id: UUID
) -> Sequence[IdentitySeen]:
    """What an account is linked to, oldest first."""
    columns = models.linked_identity.c
    query = select(LinkedIdentity).where(columns.account_id == account_id)
    found = await session.scalars(query.order_by(columns.linked_at, columns.id))
    return [
        IdentitySeen(
            id=each.id,
            issuer=each.issuer,
            subject=sealer.open(each.subject_sealed)["subject"],
            linked_at=each.linked_at,
        )
        for each in found
    ]


async def find_import(session: AsyncSession, import_id: UUID) -> RegisterImport:
    found = await session.get(RegisterImport, import_id)
    if found is None:
        raise NoSuchImport(f"no import {import_id} has been started")
    return found


async def owner_of(session: AsyncSession, record_id: UUID) -> Owner | None:
    """Whose a cooperative, an account, a partner or an API client is."""
    columns = models.cooperative.c
    province = await session.scalar(select(columns.province).where(columns.id == record_id))
    if province is not None:
        return Owner(identities=frozenset({record_id}), provinces=frozenset({province}))
    clients, partners = models.api_client.c, models.partner.c
    of_client = select(clients.partner_id).where(clients.id == record_id).scalar_subquery()
    slug = await session.scalar(
        select(partners.slug).where(or_(partners.id == record_id, partners.id == of_client))
    )
    return Owner(partner=slug) if slug is not None else None


LONGEST_TOKEN: Final = timedelta(seconds=3600 + 60)
"""No token lives longer (`Settings.token_seconds`), with a minute for clocks that differ."""


async def published_keys(session: AsyncSession) -> list[dict[str, str]]:
    """The public part of every key that a valid token may be signed with, newest first."""
    key = models.signing_key.c
    may_verify = or_(key.retired_at.is_(None), key.retired_at > func.now() - LONGEST_TOKEN)
    query = select(SigningKey).where(may_verify).order_by(key.created_at.desc())
    return [each.public_jwk for each in (await session.execute(query)).scalars()]


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestSeen:
    """A person's request, and what each service answered."""

    request: PersonRequest
    answers: Sequence[Row]


async def list_requests(
    session: AsyncSession, *, is_open: bool, limit: int
) -> Sequence[PersonRequest]:
    """The most urgent ones first; those that are completed the other way round."""
    columns = models.person_request.c
    query = select(PersonRequest).limit(limit)
    if is_open:
        query = query.where(columns.state != RequestState.COMPLETED).order_by(columns.due_on)
    else:
        query = query.order_by(columns.opened_at.desc())
    return (await session.execute(query.order_by(columns.id))).scalars().all()


async def find_request(session: AsyncSession, request_id: UUID) -> RequestSeen:
    request = await session.get(PersonRequest, request_id)
    if request is None:
        raise NoSuchRequest(f"no person's request {request_id} was opened")
    table = models.person_answer
    query = select(table).where(table.c.request_id == request_id).order_by(table.c.service)
    rows = [dict(row) for row in (await session.execute(query)).mappings()]
    return RequestSeen(request=request, answers=rows)


async def report(
    session: AsyncSession, sealer: Sealer, request_id: UUID, *, days: int
) -> dict[str, Any]:
    """Everything that is held on the person, of all services, as one document."""
    seen = await find_request(session, request_id)
    request = seen.request
    if request.kind is not RequestKind.ACCESS or request.completed_at is None:
        raise NoReport
    expires_at = request.completed_at + timedelta(days=days)
    if expires_at < now():
        raise NoReport
    services = {
        row["service"]: {
            "counts": row["counts"],
            "actions": row["actions"],
            "records": row["records"],
            "held": opened(sealer, row["report_sealed"]),
        }
        for row in seen.answers
    }
    return {
        "request_id": str(request.id),
        "opened_at": request.opened_at.isoformat(),
        "completed_at": request.completed_at.isoformat(),
        "expires_at": expires_at.isoformat(),
        "cooperative_ids": [str(each) for each in request.cooperative_ids],
        "account_ids": [str(each) for each in request.account_ids],
        "services": services,
    }
