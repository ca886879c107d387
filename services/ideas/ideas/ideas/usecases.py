"""What people can make happen to an idea, and who may."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from uuid import UUID

import orjson
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.base import new_id, now
from shared.contracts.ideas import IdeaPublished, IdeaWithdrawn
from shared.errors import Forbidden
from shared.kernel.auth.tokens import Principal, Role
from shared.kernel.data import audit
from shared.kernel.messaging import outbox
from shared.kernel.messaging.replay.sources import Named, Page, Snapshot, page_of

from . import queries
from .domain import Idea, IdeaContent, Translation, UnknownIdea, require_moderator_of
from .models import ideas

IDEAS_PER_PAGE = 100
"""How many ideas a page of a snapshot has at most."""


class NotAnIntermediary(Forbidden):
    """Only operators and delegates file an idea for somebody else: leave `on_behalf_of` out."""


class NotActingForThem(Forbidden):
    """A delegate files for a cooperative of its provinces, with a token that acts for it.

    Get one from POST /token of the registry: token exchange with `on_behalf_of`.
    """


class ClaimForStaff(Forbidden):
    """Only operators and delegates record a jury's choice, a model project or a local need."""


async def draft_idea(
    session: AsyncSession,
    caller: Principal,
    content: IdeaContent,
    *,
    on_behalf_of: UUID | None = None,
) -> Idea:
    """Begin an idea: any role may.

    Raises Invalid, or a Forbidden that says what only operators and delegates may do.
    """
    caller.require(*Role)
    on_behalf_of = on_behalf_of or _default_owner(caller)
    _require_entitled(caller, content, on_behalf_of)
    idea = Idea(
        id=new_id(),
        author_id=caller.subject,
        on_behalf_of=on_behalf_of,
        content=content,
        created_at=now(),
    )
    session.add(idea)
    _record(session, caller, idea, "idea drafted", after=_content_for_audit(content))
    return idea


async def revise_idea(
    session: AsyncSession,
    caller: Principal,
    idea_id: UUID,
    content: IdeaContent,
    *,
    expected: int | None = None,
) -> Idea:
    """Replace the content of a draft: its owner only."""
    idea = await _visible(session, caller, idea_id, expected)
    _require_entitled(caller, content, caller.on_behalf_of)
    before = _content_for_audit(idea.content)
    idea.revise(content, by=_identities_for(caller, idea))
    _record(session, caller, idea, "idea revised", before=before, after=_content_for_audit(content))
    return idea


async def translate_idea(
    session: AsyncSession,
    caller: Principal,
    idea_id: UUID,
    texts: Translation,
    *,
    expected: int | None = None,
) -> Idea:
    """Add texts in the language that is missing: its owner, or an operator."""
    idea = await _visible(session, caller, idea_id, expected)
    before = _content_for_audit(idea.content)
    by, is_operator = _identities_for(caller, idea), caller.has(Role.OPERATOR)
    event = idea.translate(texts, by=by, at=now(), is_operator=is_operator)
    if event is not None:
        outbox.add(session, event)
    after = _content_for_audit(idea.content)
    _record(session, caller, idea, "idea translated", before=before, after=after)
    return idea


async def delete_idea(
    session: AsyncSession, caller: Principal, idea_id: UUID, *, expected: int | None = None
) -> None:
    """Delete a draft for good: its owner only."""
    idea = await _visible(session, caller, idea_id, expected)
    idea.require_deletable(by=_identities_for(caller, idea))
    await session.delete(idea)
    before = _state_for_audit(idea) | _content_for_audit(idea.content)
    _record(session, caller, idea, "idea deleted", before=before)


async def submit_idea(
    session: AsyncSession, caller: Principal, idea_id: UUID, *, expected: int | None = None
) -> Idea:
    """Hand a draft to the moderators: its owner only."""
    idea = await _visible(session, caller, idea_id, expected)
    before = _state_for_audit(idea)
    idea.submit(by=_identities_for(caller, idea))
    _record(session, caller, idea, "idea submitted", before=before, after=_state_for_audit(idea))
    return idea


async def publish_idea(
    session: AsyncSession,
    caller: Principal,
    idea_id: UUID,
    *,
    confirmed_audience: int | None = None,
    expected: int | None = None,
) -> Idea:
    """Make a submitted idea public: a moderator who does not own it.

    Where many more match than the `confirmed_audience`, nobody is alerted before a person looks.
    """
    idea = await _moderated(session, caller, idea_id, expected)
    before = _state_for_audit(idea)
    event = idea.publish(by=caller.identities, at=now(), confirmed_audience=confirmed_audience)
    outbox.add(session, event)
    after = {**_state_for_audit(idea), "confirmed_audience": confirmed_audience}
    _record(session, caller, idea, "idea published", before=before, after=after, moderated=True)
    return idea


async def return_idea(
    session: AsyncSession,
    caller: Principal,
    idea_id: UUID,
    *,
    reason: str,
    expected: int | None = None,
) -> Idea:
    """Ask the author for changes: a moderator who does not own the idea.

    The cooperative that it was filed for reads the reason in its inbox.
    """
    idea = await _moderated(session, caller, idea_id, expected)
    before = _state_for_audit(idea)
    event = idea.send_back(by=caller.identities, reason=reason, at=now())
    if event is not None:
        outbox.add(session, event)
    after = _state_for_audit(idea)
    _record(session, caller, idea, "idea returned", before=before, after=after, moderated=True)
    return idea


async def withdraw_idea(
    session: AsyncSession,
    caller: Principal,
    idea_id: UUID,
    *,
    reason: str | None = None,
    expected: int | None = None,
) -> Idea:
    """Take an idea back: its owner only. Whoever was alerted of it gets a correction."""
    idea = await _visible(session, caller, idea_id, expected)
    before = _state_for_audit(idea)
    event = idea.withdraw(by=_identities_for(caller, idea), at=now(), reason=reason)
    if event is not None:
        outbox.add(session, event)
    _record(session, caller, idea, "idea withdrawn", before=before, after=_state_for_audit(idea))
    return idea


async def ideas_after(session: AsyncSession, after: UUID | None) -> Page:
    """The next ideas that were ever public, as the newest event of each."""
    query = select(ideas.c.id).where(ideas.c.published_at.is_not(None))
    if after is not None:
        query = query.where(ideas.c.id > after)
    ids = (await session.scalars(query.order_by(ideas.c.id).limit(IDEAS_PER_PAGE))).all()
    return await page_of(session, "idea", ids, _newest_events)


async def _newest_events(session: AsyncSession, ids: Sequence[UUID]) -> Named:
    found = await session.scalars(select(Idea).where(ideas.c.id.in_(ids)).order_by(ideas.c.id))
    return [(f"{idea.id} {idea.version}", idea.newest_event()) for idea in found]


async def _count_public(session: AsyncSession) -> int:
    query = select(func.count()).select_from(ideas).where(ideas.c.published_at.is_not(None))
    return int(await session.scalar(query) or 0)


SNAPSHOTS = (
    Snapshot("ideas", (IdeaPublished.topic, IdeaWithdrawn.topic), ideas_after, _count_public),
)
"""What other services may ask to be sent again: every idea that was ever public."""


def _default_owner(caller: Principal) -> UUID | None:
    """Whom a new idea is filed for if nobody is named.

    An account of one cooperative files for that, everybody else for whom the token acts for.
    """
    if caller.has(Role.OPERATOR, Role.DELEGATE) or len(caller.cooperatives) != 1:
        return caller.on_behalf_of
    return min(caller.cooperatives)


def _identities_for(caller: Principal, idea: Idea) -> frozenset[UUID]:
    """The caller's identities, and for an operator who filed the idea also its owner.

    Operators act for anybody, so they need no other token for that.
    """
    filed_it = caller.has(Role.OPERATOR) and caller.subject == idea.author_id
    if filed_it and idea.on_behalf_of is not None:
        return caller.identities | {idea.on_behalf_of}
    return caller.identities


def _require_entitled(caller: Principal, content: IdeaContent, on_behalf_of: UUID | None) -> None:
    if caller.has(Role.OPERATOR):
        return
    if caller.has(Role.DELEGATE):
        if on_behalf_of != caller.on_behalf_of:
            raise NotActingForThem(field="on_behalf_of")
        return
    if on_behalf_of is not None and on_behalf_of not in caller.cooperatives:
        raise NotAnIntermediary(field="on_behalf_of")
    if content.readiness == "jury_selected":
        raise ClaimForStaff(field="readiness")
    if content.origin != "submitted":
        raise ClaimForStaff(field="origin")


async def _visible(
    session: AsyncSession, caller: Principal, idea_id: UUID, expected: int | None
) -> Idea:
    idea = await queries.find_idea(session, caller, idea_id)
    idea.expect(expected)
    return idea


async def _moderated(
    session: AsyncSession, caller: Principal, idea_id: UUID, expected: int | None
) -> Idea:
    caller.require(Role.OPERATOR, Role.DELEGATE)
    idea = await session.get(Idea, idea_id)
    if idea is None:
        raise UnknownIdea
    idea.expect(expected)
    if not caller.has(Role.OPERATOR):
        require_moderator_of(idea, caller.provinces)
    return idea


def _state_for_audit(idea: Idea) -> dict[str, object]:
    return {
        "state": idea.state.value,
        "version": idea.version,
        "returned_because": idea.returned_because,
    }


def _content_for_audit(content: IdeaContent) -> dict[str, object]:
    """What the audit keeps of a draft: of its texts only a digest, which shows that they changed.

    An erasure deletes drafts that nobody else was to read, and audit rows are never deleted.
    """
    values = content.model_dump(mode="json")
    return values | {text: _digest(values[text]) for text in ("title", "summary")}


def _digest(text: dict[str, str | None]) -> str:
    return "sha256:" + sha256(orjson.dumps(text, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _record(
    session: AsyncSession,
    caller: Principal,
    idea: Idea,
    action: str,
    *,
    before: dict[str, object] | None = None,
    after: dict[str, object] | None = None,
    moderated: bool = False,
) -> None:
    """Add an audit row: a moderator acts for nobody, everybody else for the owner of the idea,
    unless that is the caller.
    """
    own = caller.cooperatives | {caller.subject}
    owner = None if moderated or idea.on_behalf_of in own else idea.on_behalf_of
    audit.record(
        session,
        caller,
        action=action,
        subject_id=idea.id,
        before=before,
        after=after,
        on_behalf_of=owner or audit.NOBODY,
    )
