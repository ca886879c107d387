"""Why a cooperative was alerted of an idea or a call, or was not."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from notifications.inbox import queries as inbox_queries
from notifications.labels import language_for
from shared.contracts.base import Id
from shared.i18n.languages import ReaderLanguage
from shared.kernel.auth.tokens import Role
from shared.kernel.web.parameters import Moment
from shared.kernel.web.requests import Caller, Session

from . import queries
from .explanations import WhyOut, explanation_of

router = APIRouter(tags=["totals"])


@router.get("/subjects/{subject_id}/why/{cooperative_id}")
async def why(
    session: Session,
    caller: Caller,
    subject_id: Id,
    cooperative_id: Id,
    language: ReaderLanguage | None = None,
    at: Annotated[
        Moment | None, Query(description="As of this moment; without it, as of the decision.")
    ] = None,
) -> WhyOut:
    """Why this cooperative was alerted of the subject, or why not.

    For anyone who may read its inbox, at any time.
    """
    own = await inbox_queries.open_inbox(session, caller, cooperative_id)
    evidence = await queries.find_why(session, subject_id, cooperative_id, at=at)
    is_staff = caller.has(Role.OPERATOR, Role.DELEGATE)
    return explanation_of(evidence, language_for(own, language), for_staff=is_staff)
