"""API clients: created and revoked by operators, or by the partner for itself."""

from __future__ import annotations

import hashlib
import secrets
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from registry.partners.queries import find_partner, partner_of_slug
from shared.contracts.base import new_id, now
from shared.errors import Forbidden
from shared.kernel.auth.tokens import Principal, Role
from shared.kernel.data import audit
from shared.sentences import Sentence

from ..domain.api_clients import ApiClient, NoSuchClient
from .authorization import require_current_rights
from .revocation import revoke_tokens


class AnotherPartner(Forbidden):
    """A partner sees, makes and revokes only its own clients."""


async def create_api_client(
    session: AsyncSession, caller: Principal, *, slug: str, label: str
) -> tuple[ApiClient, str]:
    """Create a client: operators for any partner, a partner for itself.

    Returns it with its secret, of which only a digest is stored. Raises AnotherPartner or
    NoSuchPartner.
    """
    await _require_partner_on_record(session, caller, slug)
    partner = await find_partner(session, slug)
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
    """End a client: operators for any partner, a partner for its own.

    It gets no more tokens, those it has are refused, and the partner queue that it asked for is
    closed. Raises AnotherPartner, NoSuchClient, or ClientRevoked the second time.
    """
    await _require_partner_on_record(session, caller, slug, changing=client_id)
    partner = await partner_of_slug(session, slug)
    client = await session.get(ApiClient, client_id, with_for_update=True)
    if partner is None or client is None or client.partner_id != partner.id:
        raise NoSuchClient(
            Sentence("partner {slug} has no API client {client_id}", slug=slug, client_id=client_id)
        )
    client.revoke(at=now())
    await revoke_tokens(session, client.id, partner=slug)
    audit.record(
        session,
        caller,
        action="api client revoked",
        subject_id=client.id,
        after={"partner": slug, "label": client.label},
    )


def require_partner(caller: Principal, slug: str) -> None:
    """Operators may look after the clients of any partner, a partner after its own.

    Raises MissingRole or AnotherPartner; of the token only, see `require_current_rights`.
    """
    caller.require(Role.OPERATOR, Role.PARTNER)
    if Role.OPERATOR not in caller.roles and caller.partner != slug:
        raise AnotherPartner


async def _require_partner_on_record(
    session: AsyncSession, caller: Principal, slug: str, *, changing: UUID | None = None
) -> None:
    require_partner(caller, slug)
    require_partner(await require_current_rights(session, caller, changing=changing), slug)


def digest_secret(secret: str) -> str:
    """SHA-256 of a secret, in hex. It has 256 random bits, so a slow digest would add nothing."""
    return hashlib.sha256(secret.encode()).hexdigest()
