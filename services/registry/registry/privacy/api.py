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
from shared.contracts.persons import MOST_RECORDS
from shared.contracts.request_body import RequestBody
from shared.errors import Invalid
from shared.kernel.auth.tokens import Role
from shared.kernel.web.create_requests import Once
from shared.kernel.web.parameters import PLAIN_DIGITS, Flag
from shared.kernel.web.requests import Caller, Expected, Process, Session

from . import queries
from .domain.found_records import FoundRecord, PersonIdentifiers
from .domain.requests import Ground, PersonRequest, RequestKind, RequestState
from .usecases import proposals, requests
from .usecases.proposals import Proposal

router = APIRouter(prefix="/persons", tags=["persons"])


class RequestIn(RequestBody):
    """A request of a person, who is named by e-mail, phone or ids; one of them is enough."""

    model_config = ConfigDict(hide_input_in_errors=True)

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

    def proposal(self) -> Proposal:
        """Whom it names, and what is right. Raises Invalid for an e-mail or phone that is none."""
        return Proposal(named=self.identifiers(), corrections=self.corrected_values())

    def identifiers(self) -> PersonIdentifiers:
        """What the person is found by. Raises Invalid for an e-mail or a phone that is none."""
        email = read("email", self.email)
        return PersonIdentifiers(
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


class ConfirmationIn(RequestBody):
    """Which of the records that somebody else may share are the person's."""

    include: list[Id] = Field(
        default=[], max_length=MOST_RECORDS, description="Shared records that are the person's."
    )
    leave: list[Id] = Field(
        default=[],
        max_length=MOST_RECORDS,
        description="Records, shared or not, that are left as they are.",
    )


class ServiceResponseOut(BaseModel):
    """What a service did or found: rows by table."""

    service: str
    answered_at: datetime
    counts: dict[str, int]


class RequestOut(BaseModel):
    """A request by ids and counts; only the report shows what is held on the person.

    `records` are what was found when it was proposed; the ids are those that were confirmed.
    """

    request_id: UUID
    kind: RequestKind
    state: RequestState
    version: int
    ground: Ground
    reference: str
    proposed_at: datetime
    expires_at: datetime | None = Field(description="Until when a proposal may be confirmed.")
    records: tuple[FoundRecord, ...]
    opened_at: datetime | None
    due_on: date
    completed_at: datetime | None
    cooperative_ids: list[UUID]
    account_ids: list[UUID]
    waiting_for: list[str]
    answers: list[ServiceResponseOut]

    @classmethod
    def of(cls, request: PersonRequest, answers: Any = ()) -> Self:
        """The request, with the rows of `person_response` that are parts of each answer."""
        names = set(cls.model_fields) - {"request_id", "records", "expires_at", "answers"}
        values = {name: getattr(request, name) for name in names}
        return cls(
            request_id=request.id,
            records=request.records.items,
            expires_at=request.expires_at if request.state is RequestState.PROPOSED else None,
            answers=[ServiceResponseOut.model_validate(dict(parts[-1])) for parts in answers],
            **values,
        )


@router.post("/requests", status_code=status.HTTP_201_CREATED)
async def propose_request(
    body: RequestIn,
    session: Session,
    caller: Caller,
    sealer: Seal,
    response: Response,
    once: Once,
) -> RequestOut:
    """Propose a request of a person: list the records that it would concern. Operators only.

    Nothing is changed, exported or published before POST /persons/requests/{request_id}/confirm.
    A proposal expires after 24 hours; what is held on a listed record is shown by its own route.
    """
    caller.require(Role.OPERATOR)
    request = await proposals.propose_request(
        session,
        sealer,
        caller,
        body.kind,
        body.proposal(),
        ground=body.ground,
        reference=body.reference,
    )
    shown = _shown(request, response)
    return once.answer(shown, response, location=f"/persons/requests/{request.id}")


@router.post("/requests/{request_id}/confirm")
async def confirm_request(
    request_id: Id,
    session: Session,
    caller: Caller,
    sealer: Seal,
    response: Response,
    expected: Expected,
    body: ConfirmationIn | None = None,
) -> RequestOut:
    """Confirm a proposed request, for all listed records but those to leave. Operators only.

    Each record that `is_shared` has to be included or left. The registry has changed its own
    records when this responds; the other services follow.
    """
    caller.require(Role.OPERATOR)
    decided = body or ConfirmationIn.model_validate({})
    request = await requests.confirm_request(
        session,
        sealer,
        caller,
        request_id,
        include=decided.include,
        leave=decided.leave,
        expected_version=expected,
    )
    return _shown(request, response)


@router.delete("/requests/{request_id}", status_code=status.HTTP_204_NO_CONTENT)
async def drop_request(
    request_id: Id, session: Session, caller: Caller, expected: Expected
) -> None:
    """Drop a proposed request, which has had no effect. Operators only."""
    caller.require(Role.OPERATOR)
    await proposals.drop_proposal(session, caller, request_id, expected_version=expected)


@router.get("/requests")
async def list_requests(
    session: Session,
    caller: Caller,
    is_open: Annotated[Flag, Query(alias="open")] = True,
    limit: Annotated[int, Query(ge=1, le=200), PLAIN_DIGITS] = 50,
) -> list[RequestOut]:
    """List requests that wait for a confirmation or for answers, the most urgent first; all with
    `open=false`.
    """
    caller.require(Role.OPERATOR)
    found = await queries.list_requests(session, is_open=is_open, limit=limit)
    return [RequestOut.of(request) for request in found]


@router.get("/requests/{request_id}")
async def read_request(
    request_id: Id, session: Session, caller: Caller, response: Response
) -> RequestOut:
    """Read which services have answered a request, and what each of them did; the ETag is its
    version. Operators only.
    """
    caller.require(Role.OPERATOR)
    found = await queries.find_request(session, request_id)
    return _shown(found.request, response, found.answers)


def _shown(request: PersonRequest, response: Response, answers: Any = ()) -> RequestOut:
    response.headers["ETag"] = f'"{request.version}"'
    return RequestOut.of(request, answers)


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
