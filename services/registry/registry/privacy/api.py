"""Requests of persons over HTTP. The person is named in the body, for logs keep addresses."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter, Query, Response, status
from pydantic import BaseModel, ConfigDict, Field

from registry.dependencies import Seal
from registry.register.api.cooperative_schemas import ContactIn
from registry.register.register_file import cells
from registry.register.register_file.findings import WrongCell
from registry.settings import RegistrySettings
from shared.contracts.base import Id, Text
from shared.errors import Invalid
from shared.kernel.auth.tokens import Role
from shared.kernel.web.create_requests import Once
from shared.kernel.web.requests import Caller, Process, Session

from . import queries
from .domain import Ground, PersonRequest, RequestKind, RequestState
from .usecases import person_lookup, requests

router = APIRouter(prefix="/persons", tags=["persons"])


class RequestIn(BaseModel):
    """A request of a person, who is named by e-mail, phone or ids; one of them is enough."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    kind: RequestKind
    ground: Ground = Field(description="Who asks: the person, a representative, an authority.")
    reference: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9/._-]{0,39}$",
        description="The number of the file that holds the request itself.",
    )
    email: Text | None = None
    phone: Text | None = None
    account_ids: list[Id] = Field(default=[], max_length=100)
    cooperative_ids: list[Id] = Field(default=[], max_length=100)
    corrections: ContactIn | None = Field(
        default=None, description="For a rectification: the right values; null takes one away."
    )

    def identifiers(self) -> person_lookup.PersonIdentifiers:
        """What the person is found by. Raises Invalid for an e-mail or a phone that is none."""
        email = read("email", self.email)
        return person_lookup.PersonIdentifiers(
            emails=frozenset({email} if email else ()),
            phone=read("phone", self.phone),
            account_ids=frozenset(self.account_ids),
            cooperative_ids=frozenset(self.cooperative_ids),
        )

    def corrected_values(self) -> dict[str, str | None] | None:
        """The corrections that are given, as the register writes them; None if there are none."""
        if self.corrections is None:
            return None
        given = {
            name: getattr(self.corrections, name) for name in self.corrections.model_fields_set
        }
        return {name: read(name, value) for name, value in given.items()}


def read(name: str, value: str | None) -> str | None:
    """A value as the register writes it. Raises Invalid."""
    readers = {"email": cells.email, "phone": cells.phone}
    if value is None or name not in readers:
        return value
    try:
        return readers[name](value)
    except WrongCell as error:
        raise Invalid(error.sentence, field=name) from None


class ServiceResponseOut(BaseModel):
    """What a service did or found: rows by table."""

    service: str
    answered_at: datetime
    counts: dict[str, int]


class RequestOut(BaseModel):
    """A request by ids and counts; only the report shows what is held on the person."""

    request_id: UUID
    kind: RequestKind
    state: RequestState
    ground: Ground
    reference: str
    opened_at: datetime
    due_on: date
    completed_at: datetime | None
    cooperative_ids: list[UUID]
    account_ids: list[UUID]
    waiting_for: list[str]
    answers: list[ServiceResponseOut]

    @classmethod
    def of(cls, request: PersonRequest, answers: Any = ()) -> Self:
        """The request, with rows of `person_response` as its answers."""
        names = set(cls.model_fields) - {"request_id", "answers"}
        values = {name: getattr(request, name) for name in names}
        shown = [ServiceResponseOut.model_validate(dict(answer)) for answer in answers]
        return cls(request_id=request.id, answers=shown, **values)


@router.post("/requests", status_code=status.HTTP_201_CREATED)
async def open_request(
    body: RequestIn,
    session: Session,
    caller: Caller,
    sealer: Seal,
    response: Response,
    once: Once,
) -> RequestOut:
    """Open a request of a person. Operators only.

    The registry has changed its own records when this responds; the other services follow.
    """
    caller.require(Role.OPERATOR)
    request = await requests.open_request(
        session,
        sealer,
        caller,
        body.kind,
        body.identifiers(),
        ground=body.ground,
        reference=body.reference,
        corrections=body.corrected_values(),
    )
    shown = RequestOut.of(request)
    return once.answer(shown, response, location=f"/persons/requests/{request.id}")


@router.get("/requests")
async def list_requests(
    session: Session,
    caller: Caller,
    is_open: Annotated[bool, Query(alias="open")] = True,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> list[RequestOut]:
    """List requests that wait for answers, the most urgent first, or all with `open=false`."""
    caller.require(Role.OPERATOR)
    found = await queries.list_requests(session, is_open=is_open, limit=limit)
    return [RequestOut.of(request) for request in found]


@router.get("/requests/{request_id}")
async def read_request(request_id: Id, session: Session, caller: Caller) -> RequestOut:
    """Read which services have answered a request, and what each of them did. Operators only."""
    caller.require(Role.OPERATOR)
    found = await queries.find_request(session, request_id)
    return RequestOut.of(found.request, found.answers)


@router.post("/requests/{request_id}/report")
async def hand_out_report(
    request_id: Id,
    session: Session,
    caller: Caller,
    sealer: Seal,
    process: Process,
    response: Response,
) -> dict[str, Any]:
    """Everything that is held on the person; that it was handed out is audited. Operators only."""
    days = RegistrySettings.of(process.settings).person_report_days
    report = await requests.hand_out_report(session, sealer, caller, request_id, days=days)
    response.headers["Cache-Control"] = "no-store"
    return report


@router.delete(
    "/cooperatives/{cooperative_id}/settled-contact", status_code=status.HTTP_204_NO_CONTENT
)
async def release_contact(cooperative_id: Id, session: Session, caller: Caller) -> None:
    """Let register files set the contact of this cooperative again. Operators only."""
    await requests.release_contact(session, caller, cooperative_id)
