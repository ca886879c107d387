"""What keeps a fan-out back, as its readers see it: who by role, when, why, and what comes next."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from shared.i18n.terms import Terms

from .domain.fanout_approval import ApprovalState, Decision

DecidedBy = Literal["operator", "notifications"]


class DecisionOut(BaseModel):
    """One decision. Who it was stands in the audit; here is only in which role."""

    state: ApprovalState
    of_everything: bool = Field(description="Of every idea and call, not of this one alone.")
    by: DecidedBy
    reason: str = Field(
        description="As written, to operators and delegates; to a cooperative only what it means."
    )
    decided_at: datetime


class ApprovalExplanation(DecisionOut):
    """The decision that keeps the fan-out back."""

    next: str = Field(description="What happens next, in the reader's language.")


NEXT = Terms("approval.next", (ApprovalState.HELD, ApprovalState.STOPPED))
GROUNDS = Terms(
    "approval.ground",
    (
        "notifications_held",
        "notifications_released",
        "operator_held",
        "operator_released",
        "operator_stopped",
    ),
)
"""By whose decision it was, and which; notifications never stops anything by itself."""


def ground_of(decision: Decision, language: str, *, for_staff: bool) -> str:
    """Why, as part of a sentence: what notifications decided by itself in the reader's language.

    What an operator wrote was not written for cooperatives: they read whose decision it was.
    """
    by = _by(decision)
    if for_staff and by == "operator":
        return decision.reason
    return GROUNDS.text(language, f"{by}_{decision.state}")


def _by(decision: Decision) -> DecidedBy:
    return "notifications" if decision.decided_by is None else "operator"


def decision_out(decision: Decision, language: str, *, for_staff: bool) -> DecisionOut:
    """The decision. The numbers that notifications compared are for those who decide, too."""
    written = decision.reason if for_staff else ground_of(decision, language, for_staff=False)
    return DecisionOut(
        state=decision.state,
        of_everything=decision.everything,
        by=_by(decision),
        reason=written,
        decided_at=decision.decided_at,
    )


def approval_explanation(
    decision: Decision | None, language: str, *, for_staff: bool
) -> ApprovalExplanation | None:
    """The decision with what comes next; None where nothing keeps the fan-out back."""
    if decision is None:
        return None
    out = decision_out(decision, language, for_staff=for_staff)
    return ApprovalExplanation(**out.model_dump(), next=NEXT.text(language, decision.state))
