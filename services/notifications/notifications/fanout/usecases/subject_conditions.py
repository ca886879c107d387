"""Conditions on a subject, in SQL: whether it is open, and whether an approval holds it back."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import ColumnElement, and_, exists, func, or_

from ..domain.fanout_approval import EVERYTHING, ApprovalState
from ..domain.subjects import SubjectState
from ..models import fanout_approval
from ..models import subject as subject_table


def still_open() -> ColumnElement[bool]:
    """New recipients may be alerted: the subject is open and its deadline has not passed."""
    table = subject_table.c
    return and_(
        table.state == SubjectState.OPEN,
        or_(table.closes_at.is_(None), table.closes_at > func.statement_timestamp()),
    )


def still_addressed() -> ColumnElement[bool]:
    """Somebody else may still come to be concerned. Of what is addressed to one cooperative nobody
    is, once it has its alert, or was not known for a day: then there is none with this id."""
    table = subject_table.c
    awaited = table.fanned_out_at > func.statement_timestamp() - timedelta(days=1)
    return or_(table.addressed_to.is_(None), and_(table.alerted == 0, awaited))


def is_held_back(*states: ApprovalState) -> ColumnElement[bool]:
    """The approval of the subject, or of everything, is in one of `states`: held or stopped, where
    none is given."""
    return exists().where(
        fanout_approval.c.subject_id.in_([subject_table.c.subject_id, EVERYTHING]),
        fanout_approval.c.state.in_(states or (ApprovalState.HELD, ApprovalState.STOPPED)),
    )
