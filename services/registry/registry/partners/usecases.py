"""Partner institutions and the programs that act for them."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.base import LanguageCode, Localized
from shared.kernel.auth.tokens import Principal, Role
from shared.kernel.data import audit
from shared.kernel.messaging import outbox

from .domain import Partner, PartnerExists


async def register_partner(
    session: AsyncSession,
    caller: Principal,
    *,
    slug: str,
    name: Localized,
    kind: str,
    language: LanguageCode,
) -> Partner:
    """Operators register partners; a slug is taken once and for all."""
    caller.require(Role.OPERATOR)
    if await _find(session, slug) is not None:
        raise PartnerExists(f"a partner {slug} is registered already: choose another slug")
    partner, event = Partner.register(slug=slug, name=name, kind=kind, language=language)
    session.add(partner)
    outbox.add(session, event)
    audit.record(
        session,
        caller,
        action="partner registered",
        subject_id=partner.id,
        after={"slug": slug, "kind": kind},
    )
    return partner


async def _find(session: AsyncSession, slug: str) -> Partner | None:
    return (await session.execute(select(Partner).filter_by(slug=slug))).scalar_one_or_none()
