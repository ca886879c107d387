"""Decisions about a fan-out as readers see them: by which role, when, why, and what comes next."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from shared.i18n.terms import Terms

from .domain.fanout_approval import ApprovalState, Decision

DecidedBy = Literal["operator", "notifications"]


class DecisionOut(BaseModel):
    """One decision about a fan-out. Here is only the role of who decided; the audit names the
    person."""

    state: ApprovalState
    of_everything: bool = Field(description="It concerns every fan-out, not this one alone.")
    by: DecidedBy
    reason: str = Field(
        description="As it was written, for operators and delegates; a cooperative reads what it"
        " means."
    )
    decided_at: datetime


class ApprovalExplanation(DecisionOut):
    """The decision that keeps a fan-out back."""

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
"""By who decided, and what; notifications never stops anything by itself."""


def ground_of(decision: Decision, language: str, *, for_staff: bool) -> str:
    """Why it was decided, as part of a sentence, in the reader's language.

    `for_staff` gives what an operator wrote, unchanged. It was not written for cooperatives: they
    read by which role it was decided.
    """
    by = _by(decision)
    if for_staff and by == "operator":
        return decision.reason
    return GROUNDS.text(language, f"{by}_{decision.state}")


def _by(decision: Decision) -> DecidedBy:
    return "notifications" if decision.decided_by is None else "operator"


def decision_out(decision: Decision, language: str, *, for_staff: bool) -> DecisionOut:
    """The decision; `for_staff` with the reason as it was written, numbers included."""
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
