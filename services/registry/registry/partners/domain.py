"""A partner institution. Pure Python."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from shared.contracts.base import LanguageCode, Localized
from shared.contracts.registry import PartnerRegistered, partner_id_of
from shared.errors import Conflict, NotFound


class NoSuchPartner(NotFound):
    """No partner with this slug is registered."""


class PartnerExists(Conflict):
    """A partner with this slug is registered already."""


@dataclass(eq=False, kw_only=True)
class Partner:
    """An institution that may subscribe to events and open calls."""

    id: UUID
    slug: str
    name_fr: str
    name_ar: str
    kind: str
    language: LanguageCode = "fr"

    @classmethod
    def register(
        cls, *, slug: str, name: Localized, kind: str, language: LanguageCode
    ) -> tuple[Partner, PartnerRegistered]:
        """A new partner and its event; every service can derive its id from the slug."""
        partner = cls(
            id=partner_id_of(slug),
            slug=slug,
            name_fr=name.fr,
            name_ar=name.ar,
            kind=kind,
            language=language,
        )
        return partner, partner.registered()

    def registered(self) -> PartnerRegistered:
        """The only event of a partner: partners never change."""
        return PartnerRegistered(
            partner_id=self.id,
            slug=self.slug,
            name=Localized(fr=self.name_fr, ar=self.name_ar),
            kind=self.kind,
            language=self.language,
        )
