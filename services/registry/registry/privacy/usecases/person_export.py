"""What the registry itself does and finds for the request of a person."""

from __future__ import annotations

from itertools import chain
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from registry.identity import models
from registry.identity.usecases.accounts import email_marks
from registry.identity.usecases.identities import identity_marks
from registry.register.models import tables
from shared.contracts.persons import PersonRequested
from shared.contracts.registry import PersonAccessRequested
from shared.kernel.encryption.sealer import Sealer
from shared.kernel.privacy.person_requests import Part, opened

from .person_responses import delete_reports_before


async def registry_part(
    session: AsyncSession, event: PersonRequested, sealer: Sealer | None
) -> Part:
    """For access what is stored; else only old reports are left to delete.

    Contacts and accounts were erased or corrected when the request was opened.
    """
    assert sealer is not None
    if isinstance(event, PersonAccessRequested):
        return await _held(session, event, sealer)
    reports = await delete_reports_before(session, event)
    return Part(
        counts={
            "cooperative": len(event.cooperatives),
            "account": len(event.account_ids),
            "person_response": reports,
        }
    )


async def _held(session: AsyncSession, event: PersonRequested, sealer: Sealer) -> Part:
    contacts = await _contacts(session, event, sealer)
    accounts = await _accounts(session, event, sealer)
    failures = models.sign_in_failure
    marks = [mark for each in accounts for mark in _marks(sealer, each)]
    counted = select(func.count()).select_from(failures).where(failures.c.email_mark.in_(marks))
    failed = await session.scalar(counted) or 0
    return Part(
        counts={
            "cooperative": len(contacts),
            "account": len(accounts),
            "sign_in_failure": failed,
        },
        held={"contacts": contacts, "accounts": accounts, "failed_sign_ins": failed},
    )


def _marks(sealer: Sealer, account: dict[str, Any]) -> list[str]:
    """The marks that failed sign-ins of the account are counted by."""
    emails = email_marks(sealer, account["email"]) if account["email"] else []
    known = (each for each in account["signs_in_with"] if "subject" in each)
    linked = (identity_marks(sealer, **each) for each in known)
    return [*emails, *chain.from_iterable(linked)]


async def _contacts(
    session: AsyncSession, event: PersonRequested, sealer: Sealer
) -> list[dict[str, Any]]:
    table = tables.cooperative
    query = select(table).where(table.c.id.in_(event.cooperative_ids)).order_by(table.c.id)
    return [
        {
            "cooperative_id": str(row["id"]),
            "name_fr": row["name_fr"],
            "name_ar": row["name_ar"],
            "source": row["source"],
            "as_of_on": row["as_of_on"].isoformat(),
            "consent_source": row["consent_source"],
            "contact": opened(sealer, row["contact_sealed"]),
        }
        for row in (await session.execute(query)).mappings()
    ]


async def _linked(session: AsyncSession, account_id: UUID, sealer: Sealer) -> list[dict[str, Any]]:
    """The identities of other issuers that are linked to the account."""
    linked = models.linked_identity.c
    query = select(linked.issuer, linked.subject_sealed).where(linked.account_id == account_id)
    return [
        {"issuer": row.issuer, **opened(sealer, row.subject_sealed)}
        for row in await session.execute(query)
    ]


async def _devices(session: AsyncSession, account_id: UUID) -> list[dict[str, Any]]:
    """When the devices that the account is known to sign in with did so."""
    devices = models.known_device.c
    query = select(devices.created_at, devices.used_at).where(devices.account_id == account_id)
    return [
        {
            "first_signed_in_at": row.created_at.isoformat(),
            "last_signed_in_at": (row.used_at or row.created_at).isoformat(),
        }
        for row in await session.execute(query.order_by(devices.id))
    ]


async def _accounts(
    session: AsyncSession, event: PersonRequested, sealer: Sealer
) -> list[dict[str, Any]]:
    table = models.account
    query = select(table).where(table.c.id.in_(event.account_ids)).order_by(table.c.id)
    return [
        {
            "account_id": str(row["id"]),
            "email": None,
            **opened(sealer, row["email_sealed"]),
            "roles": row["roles"],
            "provinces": row["provinces"],
            "cooperatives": [str(each) for each in row["cooperatives"]],
            "partner": row["partner"],
            "created_at": row["created_at"].isoformat(),
            "disabled_at": row["disabled_at"].isoformat() if row["disabled_at"] else None,
            "signs_in_with": await _linked(session, row["id"], sealer),
            "known_devices": await _devices(session, row["id"]),
        }
        for row in (await session.execute(query)).mappings()
    ]
