"""API clients of a partner institution."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Response, status
from pydantic import BaseModel, Field

from registry.partners.api import Slug
from shared.contracts.base import Id, Text
from shared.contracts.request_body import RequestBody
from shared.kernel.web.create_requests import Once
from shared.kernel.web.requests import Caller, Session

from .. import queries
from ..domain.api_clients import ApiClient
from ..usecases import api_clients

router = APIRouter(prefix="/partners", tags=["partners"])


SECRET_SHOWN_ONCE = (
    "The secret was shown once, in the first answer, and is not kept. If that never arrived, revoke"
    " this client with DELETE /partners/{slug}/clients/{client_id}, and create another with a new"
    " Idempotency-Key."
)


class ClientIn(RequestBody):
    """A new API client; the label tells people what it is for."""

    label: Text


class ClientOut(BaseModel):
    """A new API client. Its secret is shown only here."""

    client_id: UUID
    client_secret: str | None = Field(
        description="Null in the answer to a repeated request, with the reason in `shown_once`."
    )
    label: str
    shown_once: str | None = Field(
        default=None, description="Why a repeated request shows no secret, and how to get one."
    )


class KnownClientOut(BaseModel):
    """An API client, without its secret."""

    client_id: UUID
    label: str
    created_at: datetime
    revoked_at: datetime | None

    @classmethod
    def of(cls, client: ApiClient) -> KnownClientOut:
        """The client without its secret."""
        return cls(
            client_id=client.id,
            label=client.label,
            created_at=client.created_at,
            revoked_at=client.revoked_at,
        )


class KnownClientsOut(BaseModel):
    """The API clients of a partner, oldest first."""

    items: list[KnownClientOut]


@router.post("/{slug}/clients", status_code=status.HTTP_201_CREATED)
async def create_api_client(
    slug: Slug, body: ClientIn, session: Session, caller: Caller, response: Response, once: Once
) -> ClientOut:
    """Create an API client. Operators, or the partner itself."""
    client, secret = await api_clients.create_api_client(
        session, caller, slug=slug, label=body.label
    )
    made = ClientOut(client_id=client.id, client_secret=secret, label=client.label)
    note = SECRET_SHOWN_ONCE.format(slug=slug, client_id=client.id)
    repeat = made.model_copy(update={"client_secret": None, "shown_once": note})
    return once.answer(made, response, location=f"/partners/{slug}/clients", repeat=repeat)


@router.get("/{slug}/clients")
async def list_api_clients(slug: Slug, session: Session, caller: Caller) -> KnownClientsOut:
    """List the API clients, revoked ones included. Operators, or the partner itself."""
    api_clients.require_partner(caller, slug)
    found = await queries.list_clients(session, slug)
    return KnownClientsOut(items=[KnownClientOut.of(client) for client in found])


@router.delete("/{slug}/clients/{client_id}", status_code=status.HTTP_204_NO_CONTENT)
async def revoke_api_client(slug: Slug, client_id: Id, session: Session, caller: Caller) -> None:
    """Revoke an API client. Operators, or the partner itself.

    It gets no more tokens; those that it has are good until they expire.
    """
    await api_clients.revoke_api_client(session, caller, slug=slug, client_id=client_id)
