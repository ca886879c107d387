"""The verdict in Arabic, with the month names and the digits that Morocco uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from shared import months
from shared.contracts.criteria import MinShare

from .verdict import Rule
from .wording import (
    SHOWN,
    Places,
    Range,
    ShareSeen,
    name_of_sector,
    province_or_none,
    region_name,
)

FIELDS = {
    "province": "الإقليم أو العمالة",
    "commune": "الجماعة",
    "sector": "قطاع النشاط",
    "branch": "فرع النشاط",
    "applicant_type": "الشكل القانوني",
    "legal_status": "الوضعية القانونية",
    "activity_status": "حالة النشاط (نشيطة أو متوقفة)",
    "members_total": "العدد الإجمالي للأعضاء",
    "members_women": "عدد النساء",
    "members_youth": "عدد الشباب (18-35 سنة)",
    "members_women_or_youth": "عدد النساء أو الشباب (18-35 سنة)، مع احتساب كل عضو مرة واحدة",
    "created_on": "تاريخ التأسيس",
}
TITLES = {
    Rule.SECTOR: "القطاع",
    Rule.BRANCH: "الفرع",
    Rule.APPLICANT_TYPE: "الشكل القانوني",
    Rule.LEGAL_STATUS: "الوضعية القانونية",
    Rule.ACTIVITY_STATUS: "حالة النشاط",
}
VALUES = {
    "cooperative": "تعاونية",
    "cooperative_union": "اتحاد تعاونيات",
    "pre_creation": "مجموعة في طور التأسيس",
    "gie": "مجموعة ذات نفع اقتصادي",
    "tpme": "مقاولة صغيرة جدا أو صغيرة أو متوسطة",
    "self_employed": "مقاول ذاتي",
    "association": "جمعية",
    "association_network": "شبكة جمعيات",
    "project_holder": "حامل مشروع",
    "registered": "مسجلة",
    "in_liquidation": "في طور التصفية",
    "dissolved": "منحلة",
    "struck_off": "مشطب عليها",
    "active": "نشيطة",
    "dormant": "متوقفة عن النشاط",
}
YOUTH_AGES = "(18-35 سنة)"


@dataclass(frozen=True)
class Noun:
    """The forms a counted noun takes after a number; `one` and `pair` stand without the digit."""

    one: str
    pair: str
    pair_after_preposition: str
    few: str
    many: str
    hundreds: str

    def counted(self, number: int, *, is_after_preposition: bool = False) -> str:
        if number == 1:
            return self.one
        if number == 2:
            return self.pair_after_preposition if is_after_preposition else self.pair
        last = number % 100
        if 3 <= last <= 10:
            return f"{number} {self.few}"
        return f"{number} {self.many if last >= 11 else self.hundreds}"


MEMBER = Noun("عضو واحد", "عضوان", "عضوين", "أعضاء", "عضوا", "عضو")
WOMAN = Noun("امرأة واحدة", "امرأتان", "امرأتين", "نساء", "امرأة", "امرأة")
YOUTH = Noun("شاب واحد", "شابان", "شابين", "شباب", "شابا", "شاب")
MONTH = Noun("شهر واحد", "شهران", "شهرين", "أشهر", "شهرا", "شهر")
OTHER_PLACE = Noun("واحد آخر", "اثنان آخران", "اثنين آخرين", "أخرى", "أخرى", "أخرى")


class Arabic:
    """Sentences in Arabic."""

    def missing(self, absent: Sequence[str], wrong: Mapping[str, int]) -> str:
        parts = []
        if absent:
            parts.append(f"معلومات ينبغي استكمالها: {'، '.join(FIELDS[field] for field in absent)}")
        if wrong:
            shown = "، ".join(f"{FIELDS[field]} ({value})" for field, value in wrong.items())
            parts.append(f"معلومات ينبغي التحقق منها: {shown}")
        return "؛ ".join(parts)

    def inside(self, region: str | None, province: str | None, commune: str | None) -> str:
        return f"توجد تعاونيتكم في {_where(region, province, commune)}"

    def outside(
        self, region: str | None, province: str | None, commune: str | None, asked: Places
    ) -> str:
        return (
            f"{self.inside(region, province, commune)}، "
            f"والمجال الترابي المطلوب: {_short(_places(asked))}"
        )

    def listed(self, is_met: bool, rule: Rule, value: str, asked: Sequence[str]) -> str:
        title = f"{TITLES[rule]}: {_value(rule, value)}"
        if is_met:
            return f"{title}، والشرط مستوفى"
        return f"{title}، والمطلوب: {_short([_value(rule, item) for item in asked])}"

    def share(self, is_met: bool, seen: ShareSeen, asked: MinShare) -> str:
        least = f"أكثر من {asked.percent}%" if asked.strict else f"{asked.percent}% على الأقل"
        joined = "والحد المطلوب" if is_met else "ويجب أن تكون النسبة"
        return f"{_part(is_met, seen)}، {joined} {least}"

    def members(self, is_met: bool, total: int, asked: Range) -> str:
        shown = MEMBER.counted(total)
        if is_met:
            return f"{shown}، والشرط مستوفى ({_range(asked, MEMBER)})"
        return f"{shown}، والمطلوب {_range(asked, MEMBER)}"

    def age(self, is_met: bool, created_on: date, asked: Range, reference_on: date) -> str:
        condition = f"{_range(asked, MONTH)} منذ التأسيس إلى غاية {_day(reference_on)}"
        if is_met:
            return f"تاريخ التأسيس {_day(created_on)}، والشرط مستوفى ({condition})"
        return f"تاريخ التأسيس {_day(created_on)}، والمطلوب {condition}"


ARABIC = Arabic()


def _range(asked: Range, noun: Noun) -> str:
    if asked.least is None:
        return f"{noun.counted(asked.most or 0)} على الأكثر"
    if asked.most is None:
        return f"{noun.counted(asked.least)} على الأقل"
    return f"بين {asked.least} و{noun.counted(asked.most, is_after_preposition=True)}"


def _day(day: date) -> str:
    return f"{day.day} {months.ARABIC[day.month - 1]} {day.year}"


def _part(is_met: bool, seen: ShareSeen) -> str:
    total = MEMBER.counted(seen.total, is_after_preposition=True)
    if seen.low != seen.high:
        return f"{_bound(is_met, seen)} من أصل {total}"
    if seen.rule is Rule.SHARE_WOMEN:
        return f"{WOMAN.counted(seen.low)} من أصل {total}"
    if seen.rule is Rule.SHARE_YOUTH:
        return f"{YOUTH.counted(seen.low)} {YOUTH_AGES} من أصل {total}"
    if seen.rule is Rule.SHARE_WOMEN_OR_YOUTH:
        members = MEMBER.counted(seen.low)
        return f"{members} من النساء أو الشباب {YOUTH_AGES} من أصل {total}"
    women, youth = WOMAN.counted(seen.women or 0), YOUTH.counted(seen.youth or 0)
    return f"{women} + {youth} {YOUTH_AGES} مقابل {total}"


def _bound(is_met: bool, seen: ShareSeen) -> str:
    nouns = {
        Rule.SHARE_WOMEN: "عدد النساء",
        Rule.SHARE_YOUTH: f"عدد الشباب {YOUTH_AGES}",
        Rule.SHARE_WOMEN_PLUS_YOUTH: f"مجموع النساء والشباب {YOUTH_AGES}",
        Rule.SHARE_WOMEN_OR_YOUTH: f"عدد النساء أو الشباب {YOUTH_AGES}",
    }
    limit = f"لا يقل عن {seen.low}" if is_met else f"لا يتجاوز {seen.high}"
    return f"{nouns[seen.rule]} {limit}"


def _value(rule: Rule, value: str) -> str:
    if rule is Rule.BRANCH:
        return f"الرمز {value}"
    return name_of_sector(value, "ar") if rule is Rule.SECTOR else VALUES.get(value, value)


def _short(names: Sequence[str]) -> str:
    if len(names) <= SHOWN:
        return "، ".join(names)
    return f"{'، '.join(names[:SHOWN])} و{OTHER_PLACE.counted(len(names) - SHOWN)}"


def _where(region: str | None, province: str | None, commune: str | None) -> str:
    in_region = f"جهة {region_name(region, 'ar')}" if region is not None else ""
    if province is None:
        return in_region
    if commune is not None:
        return f"{_commune(commune)} ({_province(province)})"
    return f"{_province(province)} ({in_region})" if in_region else _province(province)


def _commune(code: str) -> str:
    """The reference data have no names of communes."""
    return f"الجماعة ذات الرمز {code}"


def _province(code: str) -> str:
    province = province_or_none(code)
    if province is None:
        return f"إقليم {code}"
    return f"{'عمالة' if province.type == 'prefecture' else 'إقليم'} {province.ar}"


def _places(asked: Places) -> list[str]:
    regions, provinces, communes = asked
    return [
        *(f"جهة {region_name(code, 'ar')}" for code in regions),
        *(_province(code) for code in provinces),
        *(_commune(code) for code in communes),
    ]
