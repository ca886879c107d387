"""API clients: created and revoked by operators, or by the partner for itself."""

from __future__ import annotations

import hashlib
import secrets
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from registry.partners.domain import NoSuchPartner
from registry.partners.usecases import _find
from shared.contracts.base import new_id, now
from shared.errors import Forbidden
from shared.kernel.auth.tokens import Principal, Role
from shared.kernel.data import audit

from ..domain.api_clients import ApiClient, NoSuchClient
from .authorization import require_standing


class AnotherPartner(Forbidden):
    """A partner sees, makes and revokes only its own clients."""


async def create_api_client(
    session: AsyncSession, caller: Principal, *, slug: str, label: str
) -> tuple[ApiClient, str]:
    """Operators for any partner, a partner for itself; the secret is shown this once."""
    await _require_partner_still(session, caller, slug)
    partner = await _find(session, slug)
    if partner is None:
        raise NoSuchPartner(f"no partner {slug} is registered")
    secret = secrets.token_urlsafe(32)
    client = ApiClient(
        id=new_id(),
        partner_id=partner.id,
        label=label,
        secret_digest=digest_secret(secret),
        created_at=now(),
    )
    session.add(client)
    audit.record(
        session,
        caller,
        action="api client created",
        subject_id=client.id,
        after={"partner": slug, "label": label},
    )
    return client, secret


async def revoke_api_client(
    session: AsyncSession, caller: Principal, *, slug: str, client_id: UUID
) -> None:
    """No more tokens for this client: operators for any partner, a partner for itself."""
    await _require_partner_still(session, caller, slug, changing=client_id)
    partner = await _find(session, slug)
    client = await session.get(ApiClient, client_id, with_for_update=True)
    if partner is None or client is None or client.partner_id != partner.id:
        raise NoSuchClient(f"partner {slug} has no API client {client_id}")
    client.revoke(at=now())
    audit.record(
        session,
        caller,
        action="api client revoked",
        subject_id=client.id,
        after={"partner": slug, "label": client.label},
    )


def require_partner(caller: Principal, slug: str) -> None:
    """The clients of a partner are the operators' business and its own."""
    caller.require(Role.OPERATOR, Role.PARTNER)
    if Role.OPERATOR not in caller.roles and caller.partner != slug:
        raise AnotherPartner


async def _require_partner_still(
    session: AsyncSession, caller: Principal, slug: str, *, changing: UUID | None = None
) -> None:
    require_partner(caller, slug)
    require_partner(await require_standing(session, caller, changing=changing), slug)


def digest_secret(secret: str) -> str:
    """The secret has 256 random bits, so a fast digest is as safe as a slow one."""
    return hashlib.sha256(secret.encode()).hexdigest()
