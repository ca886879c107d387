"""Partner institutions over HTTP."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response, status
from pydantic import BaseModel, Field

from shared.contracts.base import LanguageCode, Localized
from shared.contracts.request_body import LocalizedIn, RequestBody
from shared.i18n.languages import ReaderLanguage
from shared.kernel.web.create_requests import Once
from shared.kernel.web.requests import Caller, Session

from . import queries, usecases
from .domain import Partner

router = APIRouter(prefix="/partners", tags=["partners"])


SLUG = r"^[a-z0-9]+(-[a-z0-9]+)*$"


Slug = Annotated[str, Path(pattern=SLUG, max_length=40)]


class PartnerIn(RequestBody):
    """A new partner institution; its slug can't be changed later."""

    slug: str = Field(pattern=SLUG, max_length=40)
    name: LocalizedIn
    kind: str = Field(pattern=r"^[a-z][a-z_]*$", max_length=40)
    language: ReaderLanguage = "fr"


class PartnerOut(BaseModel):
    """A partner institution, which everybody signed in may see."""

    partner_id: UUID
    slug: str
    name: Localized
    kind: str
    language: LanguageCode

    @classmethod
    def of(cls, partner: Partner) -> PartnerOut:
        """The partner with its name in both languages."""
        return cls(
            partner_id=partner.id,
            slug=partner.slug,
            name=Localized(fr=partner.name_fr, ar=partner.name_ar),
            kind=partner.kind,
            language=partner.language,
        )


class PartnersOut(BaseModel):
    """All partner institutions, by slug."""

    items: list[PartnerOut]


@router.post("", status_code=status.HTTP_201_CREATED)
async def register_partner(
    body: PartnerIn, session: Session, caller: Caller, response: Response, once: Once
) -> PartnerOut:
    """Register a partner institution. Operators only."""
    partner = await usecases.register_partner(
        session, caller, slug=body.slug, name=body.name, kind=body.kind, language=body.language
    )
    return once.answer(PartnerOut.of(partner), response, location=f"/partners/{partner.slug}")


@router.get("")
async def list_partners(session: Session, caller: Caller) -> PartnersOut:
    """List all partner institutions, by slug."""
    return PartnersOut(items=[PartnerOut.of(each) for each in await queries.list_partners(session)])


@router.get("/{slug}")
async def read_partner(slug: Slug, session: Session, caller: Caller) -> PartnerOut:
    """Read one partner institution."""
    return PartnerOut.of(await queries.find_partner(session, slug))
