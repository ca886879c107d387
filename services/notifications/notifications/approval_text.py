"""What keeps a fan-out back, as its readers see it: who by role, when, why, and what comes next."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from shared.contracts.base import Language

from .domain import ApprovalState
from .domain.why import Decision

By = Literal["operator", "notifications"]


class DecisionOut(BaseModel):
    """One decision. Who it was stands in the audit; here is only in which role."""

    state: ApprovalState
    of_everything: bool = Field(description="Of every idea and call, not of this one alone.")
    by: By
    reason: str = Field(
        description="As written, to operators and delegates; to a cooperative only what it means."
    )
    decided_at: datetime


class ApprovalAnswer(DecisionOut):
    """The decision that keeps the fan-out back."""

    next: str = Field(description="What happens next, in the reader's language.")


NEXT: dict[Language, dict[ApprovalState, str]] = {
    "fr": {
        ApprovalState.HELD: "Un opérateur libère l'envoi ou l'arrête ; à la libération, ceux qui"
        " remplissent alors les conditions sont prévenus, si c'est encore ouvert.",
        ApprovalState.STOPPED: "L'envoi est arrêté pour de bon : personne d'autre ne sera prévenu ;"
        " celles qui l'ont été apprendront la suite.",
    },
    "ar": {
        ApprovalState.HELD: "يقرر مسؤول المنصة الإفراج عن الإرسال أو إيقافه نهائيا؛"
        " عند الإفراج يتم إشعار من يستوفي الشروط آنذاك إن كان لا يزال مفتوحا.",
        ApprovalState.STOPPED: "تم إيقاف الإرسال نهائيا: لن يتم إشعار تعاونيات أخرى،"
        " أما من تم إشعارها فستصلها كل التغييرات.",
    },
}


GROUNDS: dict[Language, dict[tuple[By, ApprovalState], str]] = {
    "fr": {
        ("notifications", ApprovalState.HELD): "en attente d'une confirmation du nombre de"
        " destinataires",
        ("notifications", ApprovalState.RELEASED): "nombre de destinataires vérifié",
        ("operator", ApprovalState.HELD): "décision d'un opérateur de la plateforme",
        ("operator", ApprovalState.RELEASED): "décision d'un opérateur de la plateforme",
        (
            "operator",
            ApprovalState.STOPPED,
        ): "arrêt définitif décidé par un opérateur de la plateforme",
    },
    "ar": {
        ("notifications", ApprovalState.HELD): "في انتظار تأكيد عدد المرسل إليهم",
        ("notifications", ApprovalState.RELEASED): "تم التحقق من عدد المرسل إليهم",
        ("operator", ApprovalState.HELD): "بقرار من أحد مسؤولي المنصة",
        ("operator", ApprovalState.RELEASED): "بقرار من أحد مسؤولي المنصة",
        ("operator", ApprovalState.STOPPED): "إيقاف نهائي بقرار من أحد مسؤولي المنصة",
    },
}


def ground_of(decision: Decision, language: Language, *, for_staff: bool) -> str:
    """Why, as part of a sentence: what notifications decided by itself in the reader's language.

    What an operator wrote was not written for cooperatives: they read whose decision it was.
    """
    by = _by(decision)
    if for_staff and by == "operator":
        return decision.reason
    return GROUNDS[language][by, decision.state]


def _by(decision: Decision) -> By:
    return "notifications" if decision.decided_by is None else "operator"


def decision_out(decision: Decision, language: Language, *, for_staff: bool) -> DecisionOut:
    """The decision. The numbers that notifications compared are for those who decide, too."""
    written = decision.reason if for_staff else ground_of(decision, language, for_staff=False)
    return DecisionOut(
        state=decision.state,
        of_everything=decision.everything,
        by=_by(decision),
        reason=written,
        decided_at=decision.decided_at,
    )


def approval_answer(
    decision: Decision | None, language: Language, *, for_staff: bool
) -> ApprovalAnswer | None:
    """The decision with what comes next; None where nothing keeps the fan-out back."""
    if decision is None:
        return None
    out = decision_out(decision, language, for_staff=for_staff)
    return ApprovalAnswer(**out.model_dump(), next=NEXT[language][decision.state])
