"""Reads of inboxes: alerts with the content and the profile that they are about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Integer,
    Select,
    Text,
    bindparam,
    cast,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import UUID as PgUUID
from sqlalchemy.ext.asyncio import AsyncSession

from notifications.audience.models import PROFILE_FIELDS, audience, audience_history
from notifications.fanout.models import alert, stored_content, subject, subject_history
from shared.contracts.criteria import Profile
from shared.errors import NotFound
from shared.kernel.auth.tokens import Principal
from shared.kernel.data.database import named_rows
from shared.sentences import Sentence

from .models import alert_state
from .usecases import ReadState, act_for


class NoSuchCooperative(NotFound):
    """No cooperative of this id is in the audience yet."""


@dataclass(frozen=True)
class AlertRow:
    """An alert with the versions of content and profile that it is about.

    `row` has the columns of the statement below. Its `content` is the text that is stored, as
    `read_content` takes it, and so is `content_before`: what the recipient was alerted of before.
    """

    row: Any
    profile: Profile


@dataclass(frozen=True)
class InboxPage:
    """Alerts, the newest first, and the number before which the next page begins; None: the end."""

    alerts: Sequence[AlertRow]
    next_before: int | None


MOST_LOOKED_AT: Final = 2_000
"""Alerts that a page of unread ones looks at: it may hold fewer than were asked for, even none, and
still have a next page. So a page costs the same however many alerts are read already."""


async def read_inbox(
    session: AsyncSession,
    *,
    cooperative_id: UUID,
    account_id: UUID,
    state: ReadState | None,
    before: int | None,
    limit: int,
) -> InboxPage:
    """A page of the alerts of a cooperative: those before the number `before`, if given.

    `state` narrows them by what this account did with them.
    """
    inbox = {
        "cooperative_id": cooperative_id,
        "account_id": account_id,
        "before": _END if before is None else before,
    }
    rows = named_rows(await session.execute(_PAGES[state], {**inbox, "limit": limit + 1}))
    found = _with_profiles(rows[:limit])
    if len(rows) > limit:
        return InboxPage(found, found[-1].row.seq)
    rest = await session.scalar(_LAST_LOOKED_AT, inbox) if state == "unread" else None
    return InboxPage(found, rest)


def _with_profiles(rows: Sequence[Any]) -> list[AlertRow]:
    """The rows of one cooperative with its profiles, of which many alerts have the same."""
    versions = {row.audience_version: row for row in rows}
    profiles = {
        version: Profile.model_validate({name: getattr(row, name) for name in PROFILE_FIELDS})
        for version, row in versions.items()
    }
    return [AlertRow(row, profiles[row.audience_version]) for row in rows]


_END: Final = 2**63 - 1
"""Before this number is every alert."""
_COOPERATIVE = bindparam("cooperative_id", type_=PgUUID(as_uuid=True))
_ACCOUNT = bindparam("account_id", type_=PgUUID(as_uuid=True))
_BEFORE = bindparam("before", type_=BigInteger)
# Limits are written into the statement: a plan for any limit would be one for a tenth of the inbox.
_LIMIT = bindparam("limit", type_=Integer, literal_execute=True)
_ONE, _LOOKED_AT, _ONE_LESS = (
    literal_column(str(number), Integer) for number in (1, MOST_LOOKED_AT, MOST_LOOKED_AT - 1)
)

_NEWEST = (
    select(alert.c.seq)
    .where(alert.c.cooperative_id == _COOPERATIVE, alert.c.seq < _BEFORE)
    .order_by(alert.c.seq.desc())
)
_LAST_LOOKED_AT = _NEWEST.offset(_ONE_LESS).limit(_ONE)
"""The number of the last alert that a page of unread ones looks at; none if it looks at all."""


def _state_of(number: ColumnElement[int]) -> ColumnElement[str]:
    """What the account did with an alert, by a look at the key: no plan can make a join of it."""
    marked = (
        select(alert_state.c.state)
        .where(
            alert_state.c.cooperative_id == _COOPERATIVE,
            alert_state.c.seq == number,
            alert_state.c.account_id == _ACCOUNT,
        )
        .scalar_subquery()
    )
    return func.coalesce(marked, "unread")


def _numbers(state: ReadState | None) -> Select[Any]:
    """The numbers of the alerts that the account left in this state, in the order of an index."""
    if state is None:
        return _NEWEST
    if state == "unread":
        looked_at = _NEWEST.limit(_LOOKED_AT).subquery("looked_at")
        unread = _state_of(looked_at.c.seq) == "unread"
        return select(looked_at.c.seq).where(unread).order_by(looked_at.c.seq.desc())
    return (
        select(alert_state.c.seq)
        .where(
            alert_state.c.cooperative_id == _COOPERATIVE,
            alert_state.c.account_id == _ACCOUNT,
            alert_state.c.state == state,
            alert_state.c.seq < _BEFORE,
        )
        .order_by(alert_state.c.seq.desc())
    )


_earlier = alert.alias("earlier")
_content_before = subject_history.alias("content_before")


def _version_before(one: FromClause) -> ColumnElement[int]:
    """The version that the recipient was alerted of before: an index has editions in order, and
    they grow with versions.
    """
    return (
        select(_earlier.c.subject_version)
        .where(
            _earlier.c.subject_id == one.c.subject_id,
            _earlier.c.cooperative_id == one.c.cooperative_id,
            _earlier.c.edition < one.c.edition,
        )
        .order_by(_earlier.c.edition.desc())
        .limit(_ONE)
        .scalar_subquery()
    )


def _page(state: ReadState | None) -> Select[Any]:
    """A page of alerts with the content and the profile that they are about.

    Its numbers come first and alone; only of these alerts is anything else read, each by a look at
    an index that no statistics can make a join of.
    """
    numbers = _numbers(state).limit(_LIMIT).subquery("numbers")
    this = (alert.c.cooperative_id == _COOPERATIVE) & (alert.c.seq == numbers.c.seq)
    one = select(alert).where(this).limit(_ONE).lateral("one")
    return (
        select(
            *one.c,
            _state_of(one.c.seq).label("read_state"),
            subject.c.kind.label("subject_kind"),
            subject.c.state.label("subject_state"),
            cast(subject.c.content["title"], Text).label("newest_title"),
            cast(subject.c.content["text"], Text).label("newest_text"),
            stored_content(subject_history),
            subject_history.c.reference_on,
            subject_history.c.reason,
            stored_content(_content_before).label("content_before"),
            *(audience_history.c[name] for name in PROFILE_FIELDS),
        )
        .select_from(numbers)
        .join(one, true())
        .join(subject, subject.c.subject_id == one.c.subject_id)
        .join(
            subject_history,
            (subject_history.c.subject_id == one.c.subject_id)
            & (subject_history.c.version == one.c.subject_version),
        )
        .join(
            audience_history,
            (audience_history.c.cooperative_id == one.c.cooperative_id)
            & (audience_history.c.version == one.c.audience_version),
        )
        .outerjoin(
            _content_before,
            (_content_before.c.subject_id == one.c.subject_id)
            & (_content_before.c.version == _version_before(one)),
        )
        .order_by(one.c.seq.desc())
    )


_PAGES: Final = {state: _page(state) for state in (None, *get_args(ReadState))}
"""Built once: that takes as long as reading a page."""


_RECIPIENT: Final = select(audience.c.province, audience.c.language).where(
    audience.c.cooperative_id == _COOPERATIVE
)


async def open_inbox(session: AsyncSession, caller: Principal, cooperative_id: UUID) -> str:
    """The language in which the cooperative is written to, for those who may read its inbox.

    Raises `NotYourInbox` for others, and `NoSuchCooperative`.
    """
    found = await session.execute(_RECIPIENT, {"cooperative_id": cooperative_id})
    row = found.one_or_none()
    act_for(caller, cooperative_id, row.province if row else None)
    return _known(row.language if row else None, cooperative_id)


async def language_of(session: AsyncSession, cooperative_id: UUID) -> str:
    """The language in which a cooperative is written to; raises `NoSuchCooperative`."""
    language = await session.scalar(
        select(audience.c.language).where(audience.c.cooperative_id == cooperative_id)
    )
    return _known(language, cooperative_id)


def _known(language: str | None, cooperative_id: UUID) -> str:
    if language is None:
        raise NoSuchCooperative(
            Sentence(
                "no cooperative {cooperative_id} is in the audience yet",
                cooperative_id=cooperative_id,
            )
        )
    return language
