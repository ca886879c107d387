"""The HTTP API of the idea bank."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import Field, computed_field

from shared.contracts.base import Audience, Id, Language, Text
from shared.contracts.request_body import PartlyLocalizedIn, PartlyLocalizedLongIn, RequestBody
from shared.kernel.auth.tokens import Principal, Role
from shared.kernel.web.create_requests import Once
from shared.kernel.web.parameters import PLAIN_DIGITS, SearchWords
from shared.kernel.web.requests import Caller, Expected, Page, Session

from . import queries, usecases
from .domain import Idea, IdeaContent, State, Translation

router = APIRouter(tags=["ideas"])


class IdeaIn(IdeaContent, RequestBody):
    """An idea as its author writes it. No regions and no provinces: the whole country."""

    title: PartlyLocalizedIn
    summary: PartlyLocalizedLongIn

    def content(self) -> IdeaContent:
        """The content alone, as the domain takes it."""
        return IdeaContent.model_validate(self.model_dump(include=set(IdeaContent.model_fields)))


class NewIdeaIn(IdeaIn):
    """A new idea. `on_behalf_of` is whom it is filed for.

    Operators may name anybody. Delegates file for the cooperative that their token acts for. The
    account of one cooperative files for it; the account of several names one, or files for itself.
    """

    on_behalf_of: Id | None = None


class PublishIn(RequestBody):
    """How many recipients a preview matched before publishing, eligible and unknown ones."""

    confirmed_audience: Audience | None = None


class TranslationIn(Translation, RequestBody):
    """Title or summary in the language that is missing, such as `{"title": {"ar": "…"}}`."""

    title: PartlyLocalizedIn | None = None
    summary: PartlyLocalizedLongIn | None = None


class ReturnIn(RequestBody):
    """What the author has to change."""

    reason: Text


class WithdrawIn(RequestBody):
    """Why the idea is taken back; whoever was alerted of it will read this."""

    reason: Text | None = None


class IdeaOut(IdeaContent):
    """An idea. Only they and its moderators see who wrote it and why it was returned."""

    idea_id: UUID
    version: int
    state: State
    created_at: datetime
    published_at: datetime | None
    author_id: UUID | None = None
    on_behalf_of: UUID | None = None
    returned_because: str | None = None

    @computed_field(description="Languages in which title or summary is not written yet.")  # type: ignore[prop-decorator]  # pydantic's own way
    @property
    def to_translate(self) -> tuple[Language, ...]:
        """The languages in which the title or the summary is not written yet."""
        return super().to_translate

    @classmethod
    def of(cls, idea: Idea, caller: Principal) -> Self:
        """The idea as this caller may see it."""
        is_insider = _may_judge(caller, idea) or idea.belongs_to(caller.identities)
        return cls(
            **dict(idea.content),
            idea_id=idea.id,
            version=idea.version,
            state=idea.state,
            created_at=idea.created_at,
            published_at=idea.published_at,
            author_id=idea.author_id if is_insider else None,
            on_behalf_of=idea.on_behalf_of if is_insider else None,
            returned_because=idea.returned_because if is_insider else None,
        )


class PublishedOut(IdeaOut):
    """The idea, and what is to become of its alerts, which this service does not know."""

    confirmed_audience: int | None = Field(description="As it was sent: it is not checked here.")
    alerting: str = Field(
        description="The path at notifications that tells its author and operators whether people"
        " are alerted by now, or what holds the alerts back."
    )

    @classmethod
    def of(cls, idea: Idea, caller: Principal) -> Self:
        """The idea that was published."""
        return cls(
            **IdeaOut.of(idea, caller).model_dump(),
            confirmed_audience=idea.confirmed_audience,
            alerting=f"/subjects/{idea.id}/totals",
        )


def _may_judge(caller: Principal, idea: Idea) -> bool:
    if caller.has(Role.OPERATOR):
        return True
    return caller.has(Role.DELEGATE) and idea.content.lies_within(caller.provinces)


@router.post("/ideas", status_code=201)
async def draft_idea(
    body: NewIdeaIn, session: Session, caller: Caller, response: Response, once: Once
) -> IdeaOut:
    """Begin a draft."""
    idea = await usecases.draft_idea(
        session, caller, body.content(), on_behalf_of=body.on_behalf_of
    )
    shown = _with_etag(idea, caller, response)
    return once.answer(shown, response, location=f"/ideas/{idea.id}")


@router.put("/ideas/{idea_id}")
async def revise_idea(
    idea_id: Id,
    body: IdeaIn,
    session: Session,
    caller: Caller,
    response: Response,
    expected: Expected,
) -> IdeaOut:
    """Rewrite a draft, if nobody changed it since the version in `If-Match`."""
    idea = await usecases.revise_idea(session, caller, idea_id, body.content(), expected=expected)
    return _with_etag(idea, caller, response)


@router.patch("/ideas/{idea_id}")
async def translate_idea(
    idea_id: Id,
    body: TranslationIn,
    session: Session,
    caller: Caller,
    response: Response,
    expected: Expected,
) -> IdeaOut:
    """Add the title or the summary in the language that is missing; what is written stays.

    Its owner, or an operator. Whoever was alerted of a public idea reads the translation from now
    on; nobody is alerted again.
    """
    idea = await usecases.translate_idea(session, caller, idea_id, body, expected=expected)
    return _with_etag(idea, caller, response)


@router.delete("/ideas/{idea_id}", status_code=204)
async def delete_idea(idea_id: Id, session: Session, caller: Caller, expected: Expected) -> None:
    """Delete a draft for good; what was submitted is withdrawn instead."""
    await usecases.delete_idea(session, caller, idea_id, expected=expected)


@router.post("/ideas/{idea_id}/submit")
async def submit_idea(
    idea_id: Id, session: Session, caller: Caller, response: Response, expected: Expected
) -> IdeaOut:
    """Hand a draft to the moderators."""
    idea = await usecases.submit_idea(session, caller, idea_id, expected=expected)
    return _with_etag(idea, caller, response)


@router.post("/ideas/{idea_id}/publish")
async def publish_idea(
    idea_id: Id,
    session: Session,
    caller: Caller,
    response: Response,
    expected: Expected,
    body: PublishIn | None = None,
) -> PublishedOut:
    """Make a submitted idea public; every matching cooperative and partner is alerted of it.

    That happens at notifications, after this answer: where many more match than
    `confirmed_audience`, or an operator holds it, nobody is alerted before a person looks again,
    partners included. `alerting` is where to read it.
    """
    idea = await usecases.publish_idea(
        session,
        caller,
        idea_id,
        confirmed_audience=body.confirmed_audience if body else None,
        expected=expected,
    )
    response.headers["ETag"] = f'"{idea.version}"'
    return PublishedOut.of(idea, caller)


@router.post("/ideas/{idea_id}/return")
async def return_idea(
    idea_id: Id,
    body: ReturnIn,
    session: Session,
    caller: Caller,
    response: Response,
    expected: Expected,
) -> IdeaOut:
    """Ask the author for changes; the idea is a draft again."""
    idea = await usecases.return_idea(
        session, caller, idea_id, reason=body.reason, expected=expected
    )
    return _with_etag(idea, caller, response)


@router.post("/ideas/{idea_id}/withdraw")
async def withdraw_idea(
    idea_id: Id,
    session: Session,
    caller: Caller,
    response: Response,
    expected: Expected,
    body: WithdrawIn | None = None,
) -> IdeaOut:
    """Take an idea back for good."""
    reason = body.reason if body else None
    idea = await usecases.withdraw_idea(session, caller, idea_id, reason=reason, expected=expected)
    return _with_etag(idea, caller, response)


@router.get("/ideas")
async def list_ideas(
    session: Session,
    caller: Caller,
    region: Annotated[str | None, Query(max_length=40)] = None,
    province: Annotated[str | None, Query(max_length=40)] = None,
    sector: Annotated[str | None, Query(max_length=40)] = None,
    state: State | None = None,
    q: SearchWords | None = None,
    after: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=200), PLAIN_DIGITS] = 50,
) -> Page[IdeaOut]:
    """List the ideas that you may see, newest first; `q` searches titles and summaries."""
    search = queries.Search(region=region, province=province, sector=sector, state=state, text=q)
    page = await queries.list_ideas(session, caller, search, after=after, limit=limit)
    return Page(items=[IdeaOut.of(idea, caller) for idea in page.items], next=page.next)


@router.get("/ideas/{idea_id}")
async def read_idea(idea_id: Id, session: Session, caller: Caller, response: Response) -> IdeaOut:
    """Read an idea that you may see; the ETag is its version."""
    return _with_etag(await queries.find_idea(session, caller, idea_id), caller, response)


def _with_etag(idea: Idea, caller: Principal, response: Response) -> IdeaOut:
    response.headers["ETag"] = f'"{idea.version}"'
    return IdeaOut.of(idea, caller)
