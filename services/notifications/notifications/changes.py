"""What is different from what was told before, in the reader's language."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, Field

from shared.contracts.announcement import Announcement, Detail
from shared.contracts.base import Language, Localized, LocalizedLong
from shared.contracts.deadline import Deadline

from .conditions import dirhams, in_words, names
from .domain import changes_between
from .usecases.clock import MOROCCO


class Change(BaseModel):
    """One thing that is different from what was told before."""

    field: str
    label: str = Field(description="What the field is called, in the reader's language.")
    before: Any
    after: Any
    before_shown: str | None = Field(description="The old value in words; null where none was.")
    after_shown: str | None = Field(description="The new value in words; null where none is.")


LABELS: dict[Language, dict[str, str]] = {
    "fr": {
        "state": "État",
        "kind": "Nature de l'aide",
        "funder": "Bailleur",
        "programme": "Programme",
        "edition": "Édition",
        "title": "Titre",
        "text": "Texte",
        "source": "Source",
        "tracks": "Volets",
        "starts_at": "Début",
        "deadline": "Date limite",
        "url": "Page",
        "reference_on": "Date à laquelle l'âge est mesuré",
        "origin": "Origine",
        "readiness": "Maturité",
        "regions": "Régions",
        "provinces": "Provinces et préfectures",
        "sectors": "Secteurs",
        "budget_centimes": "Budget",
        "jobs": "Emplois",
        "sdgs": "Objectifs de développement durable",
    },
    "ar": {
        "state": "الحالة",
        "kind": "نوع الدعم",
        "funder": "الجهة الممولة",
        "programme": "البرنامج",
        "edition": "الدورة",
        "title": "العنوان",
        "text": "النص",
        "source": "المصدر",
        "tracks": "المسارات",
        "starts_at": "البداية",
        "deadline": "آخر أجل",
        "url": "الصفحة",
        "reference_on": "تاريخ احتساب العمر",
        "origin": "المصدر الأصلي",
        "readiness": "مستوى النضج",
        "regions": "الجهات",
        "provinces": "العمالات والأقاليم",
        "sectors": "القطاعات",
        "budget_centimes": "الميزانية",
        "jobs": "مناصب الشغل",
        "sdgs": "أهداف التنمية المستدامة",
    },
}
WORDS: dict[Language, dict[str, str]] = {
    "fr": {
        "open": "ouvert",
        "closed": "clos",
        "cancelled": "annulé",
        "published": "publiée",
        "withdrawn": "retirée",
        "grant": "subvention",
        "loan": "prêt",
        "guarantee": "garantie",
        "prize": "prix",
        "in_kind": "en nature",
        "training": "formation",
        "raw": "idée brute",
        "structured": "idée structurée",
        "with_business_plan": "avec plan d'affaires",
        "jury_selected": "retenue par un jury",
        "submitted": "proposée",
        "model_project": "projet type",
        "territorial_need": "besoin du territoire",
        "ideathon": "Ideathon",
    },
    "ar": {
        "open": "مفتوح",
        "closed": "مغلق",
        "cancelled": "ملغى",
        "published": "منشورة",
        "withdrawn": "مسحوبة",
        "grant": "منحة",
        "loan": "قرض",
        "guarantee": "ضمان",
        "prize": "جائزة",
        "in_kind": "دعم عيني",
        "training": "تكوين",
        "raw": "فكرة أولية",
        "structured": "فكرة مهيكلة",
        "with_business_plan": "مع مخطط أعمال",
        "jury_selected": "اختارتها لجنة التحكيم",
        "submitted": "مقترحة",
        "model_project": "مشروع نموذجي",
        "territorial_need": "حاجة ترابية",
        "ideathon": "إيدياثون",
    },
}


def changes(before: Announcement, after: Announcement, language: Language) -> list[Change]:
    """Each field that differs, as kept and in words."""
    return [
        Change(
            field=name,
            label=_label(before, after, name, language),
            before=old,
            after=new,
            before_shown=_shown(before, name, language),
            after_shown=_shown(after, name, language),
        )
        for name, (old, new) in changes_between(before, after).items()
    ]


def _label(before: Announcement, after: Announcement, name: str, language: Language) -> str:
    """The words of the announcement itself, else ours."""
    detail = after.detail(name) or before.detail(name)
    if detail and detail.label:
        return detail.label.in_language(language)
    return LABELS[language].get(name, name)


def _shown(content: Announcement, name: str, language: Language) -> str | None:
    detail = content.detail(name)
    if detail is not None:
        return shown_detail(detail, language)
    value = getattr(content, name, None)
    if value is None or value == ():
        return None
    if isinstance(value, datetime):
        return value.astimezone(MOROCCO).strftime("%d/%m/%Y %H:%M")
    if isinstance(value, date):
        return value.strftime("%d/%m/%Y")
    if isinstance(value, Localized | LocalizedLong | Deadline):
        return value.in_language(language)
    if name == "tracks":
        return " | ".join(in_words(track, language) for track in value)
    return WORDS[language].get(str(value), str(value))


def shown_detail(detail: Detail, language: Language) -> str:
    """The value in the words of the announcement itself, else in ours."""
    if detail.shown is not None:
        return detail.shown.in_language(language)
    value = detail.value
    if detail.code.endswith("_centimes") and isinstance(value, int):
        return dirhams(value, language)
    if isinstance(value, tuple):
        return names(detail.code, tuple(str(item) for item in value), language)
    return WORDS[language].get(str(value), str(value))
