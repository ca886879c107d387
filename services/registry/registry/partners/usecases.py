"""Registering partner institutions."""

from __future__ import annotations

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.base import LanguageCode, Localized
from shared.kernel.auth.tokens import Principal, Role
from shared.kernel.data import audit
from shared.kernel.data.advisory_locks import wait_for_lock
from shared.kernel.messaging import outbox
from shared.sentences import Sentence

from . import queries
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
    """Register a partner and publish it. Operators only.

    Raises PartnerExists if the slug is taken; slugs never become free again.
    """
    caller.require(Role.OPERATOR)
    # Of two that register it at once, the second finds it registered.
    await wait_for_lock(session, func.hashtextextended(f"partner {slug}", 0))
    if await queries.partner_of_slug(session, slug) is not None:
        raise PartnerExists(
            Sentence("a partner {slug} is registered already: choose another slug", slug=slug)
        )
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
