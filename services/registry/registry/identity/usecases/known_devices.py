"""Devices that have signed in to an account: what strangers fail at does not slow them down.

A device holds a random token, of which a digest is stored. The token proves nothing about who uses
the device: the password is needed all the same.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.base import new_id
from shared.kernel.data.database import moment

from .. import models
from .api_clients import digest_secret

MOST_DEVICES: Final = 20
"""Of one account: as many that came back, and as many that did not, the latest of each."""

_devices = models.known_device


async def find_device(session: AsyncSession, marks: Sequence[str], token: str) -> UUID | None:
    """The device with this token, if it has signed in to the account of this e-mail before."""
    if not token:
        return None
    query = (
        select(_devices.c.id)
        .join(models.account, models.account.c.id == _devices.c.account_id)
        .where(
            models.account.c.email_mark.in_(marks),
            _devices.c.token_digest == digest_secret(token),
            _devices.c.expires_at > func.clock_timestamp(),
        )
    )
    found: UUID | None = await session.scalar(query)
    return found


async def remember_device(
    session: AsyncSession, account_id: UUID, device: UUID | None, token: str, *, days: int
) -> str:
    """The token that the device is known by for so many days from now: its own, or a new one.

    A token that is not ours is never taken over. Call it in the turn of the account's e-mail.
    """
    at = await moment(session)
    until = at + timedelta(days=days)
    if device is not None:
        again = update(_devices).where(_devices.c.id == device).values(used_at=at, expires_at=until)
        if await session.scalar(again.returning(_devices.c.id)):
            return token
    fresh = secrets.token_urlsafe(32)
    row = {"id": new_id(), "account_id": account_id, "expires_at": until}
    await session.execute(insert(_devices).values(row | {"token_digest": digest_secret(fresh)}))
    await _delete_surplus(session, account_id)
    return fresh


async def _delete_surplus(session: AsyncSession, account_id: UUID) -> None:
    """Programs that forget their token leave one behind each time: they must not drive out those
    that come back."""
    columns = _devices.c
    rank = func.row_number().over(
        partition_by=columns.used_at.is_(None),
        order_by=(func.coalesce(columns.used_at, columns.created_at).desc(), columns.id.desc()),
    )
    ranked = select(columns.id, rank.label("rank")).where(columns.account_id == account_id)
    of_account = ranked.subquery()
    surplus = select(of_account.c.id).where(of_account.c.rank > MOST_DEVICES)
    await session.execute(delete(_devices).where(columns.id.in_(surplus)))


async def delete_devices(session: AsyncSession, account_ids: Iterable[UUID]) -> None:
    """Know no device of these accounts any more: one of them may be a stranger's."""
    await session.execute(delete(_devices).where(_devices.c.account_id.in_(account_ids)))


async def delete_expired_devices(session: AsyncSession) -> None:
    """Delete devices that did not sign in for as long as a device is known."""
    await session.execute(delete(_devices).where(_devices.c.expires_at < func.clock_timestamp()))
