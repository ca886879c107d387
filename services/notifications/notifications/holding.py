"""What keeps a telling back, as its readers see it: who by role, when, why, and what comes next."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from shared.auth import Role
from shared.contracts.base import Language

from .domain import HoldState
from .domain.why import Decision

By = Literal["operator", "notifications"]


class DecisionOut(BaseModel):
    """One decision. Who it was stands in the audit; here is only in which role."""

    state: HoldState
    of_everything: bool = Field(description="Of every idea and call, not of this one alone.")
    by: By
    reason: str
    decided_at: datetime


class HoldAnswer(DecisionOut):
    """The decision that keeps the telling back."""

    next: str = Field(description="What happens next, in the reader's language.")


NEXT: dict[Language, dict[HoldState, str]] = {
    "fr": {
        HoldState.HELD: "Un opérateur libère l'envoi ou l'arrête ; à la libération, ceux qui"
        " remplissent alors les conditions sont prévenus, si c'est encore ouvert.",
        HoldState.STOPPED: "L'envoi est arrêté pour de bon : personne d'autre ne sera prévenu ;"
        " celles qui l'ont été apprendront la suite.",
    },
    "ar": {
        HoldState.HELD: "يقرر مسؤول المنصة الإفراج عن الإرسال أو إيقافه نهائيا؛"
        " عند الإفراج يتم إشعار من يستوفي الشروط آنذاك إن كان لا يزال مفتوحا.",
        HoldState.STOPPED: "تم إيقاف الإرسال نهائيا: لن يتم إشعار تعاونيات أخرى،"
        " أما من تم إشعارها فستصلها كل التغييرات.",
    },
}


def decision_out(decision: Decision) -> DecisionOut:
    return DecisionOut(
        state=decision.state,
        of_everything=decision.everything,
        by="notifications" if decision.decided_by is None else Role.OPERATOR.value,
        reason=decision.reason,
        decided_at=decision.decided_at,
    )


def hold_answer(decision: Decision | None, language: Language) -> HoldAnswer | None:
    """The hold with what comes next; None where nothing keeps the telling back."""
    if decision is None:
        return None
    out = decision_out(decision)
    return HoldAnswer(**out.model_dump(), next=NEXT[language][decision.state])
