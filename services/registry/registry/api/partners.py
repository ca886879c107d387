"""Partner institutions and their API clients."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, status
from pydantic import BaseModel, Field

from registry import queries, usecases
from registry.domain import ApiClient, Partner
from shared.contracts.base import LanguageCode, Localized, Text
from shared.i18n import ReaderLanguage
from shared.web import Caller, Session

router = APIRouter(prefix="/partners", tags=["partners"])

SLUG = r"^[a-z0-9]+(-[a-z0-9]+)*$"
Slug = Annotated[str, Path(pattern=SLUG, max_length=40)]


class PartnerIn(BaseModel):
    slug: str = Field(pattern=SLUG, max_length=40)
    name: Localized
    kind: str = Field(pattern=r"^[a-z][a-z_]*$", max_length=40)
    language: ReaderLanguage = "fr"


class PartnerOut(BaseModel):
    partner_id: UUID
    slug: str
    name: Localized
    kind: str
    language: LanguageCode

    @classmethod
    def of(cls, partner: Partner) -> PartnerOut:
        return cls(
            partner_id=partner.id,
            slug=partner.slug,
            name=Localized(fr=partner.name_fr, ar=partner.name_ar),
            kind=partner.kind,
            language=partner.language,
        )


class PartnersOut(BaseModel):
    items: list[PartnerOut]


class ClientIn(BaseModel):
    label: Text


class ClientOut(BaseModel):
    """The secret is shown this once."""

    client_id: UUID
    client_secret: str
    label: str


class KnownClientOut(BaseModel):
    client_id: UUID
    label: str
    created_at: datetime
    revoked_at: datetime | None

    @classmethod
    def of(cls, client: ApiClient) -> KnownClientOut:
        return cls(
            client_id=client.id,
            label=client.label,
            created_at=client.created_at,
            revoked_at=client.revoked_at,
        )


class KnownClientsOut(BaseModel):
    items: list[KnownClientOut]


@router.post("", status_code=status.HTTP_201_CREATED)
async def register_partner(body: PartnerIn, session: Session, caller: Caller) -> PartnerOut:
    """Operators only."""
    partner = await usecases.register_partner(
        session, caller, slug=body.slug, name=body.name, kind=body.kind, language=body.language
    )
    return PartnerOut.of(partner)


@router.get("")
async def list_partners(session: Session, caller: Caller) -> PartnersOut:
    """All partners, by slug."""
    return PartnersOut(items=[PartnerOut.of(each) for each in await queries.list_partners(session)])


@router.get("/{slug}")
async def read_partner(slug: Slug, session: Session, caller: Caller) -> PartnerOut:
    """One partner."""
    return PartnerOut.of(await queries.find_partner(session, slug))


@router.post("/{slug}/clients", status_code=status.HTTP_201_CREATED)
async def create_api_client(
    slug: Slug, body: ClientIn, session: Session, caller: Caller
) -> ClientOut:
    """Operators, or the partner itself."""
    client, secret = await usecases.create_api_client(session, caller, slug=slug, label=body.label)
    return ClientOut(client_id=client.id, client_secret=secret, label=client.label)


@router.get("/{slug}/clients")
async def list_api_clients(slug: Slug, session: Session, caller: Caller) -> KnownClientsOut:
    """Operators, or the partner itself; no secret can be shown again."""
    usecases.require_partner(caller, slug)
    found = await queries.list_clients(session, slug)
    return KnownClientsOut(items=[KnownClientOut.of(client) for client in found])


@router.delete("/{slug}/clients/{client_id}", status_code=status.HTTP_204_NO_CONTENT)
async def revoke_api_client(slug: Slug, client_id: UUID, session: Session, caller: Caller) -> None:
    """Operators, or the partner itself. Tokens that the client has end within ten minutes."""
    await usecases.revoke_api_client(session, caller, slug=slug, client_id=client_id)
