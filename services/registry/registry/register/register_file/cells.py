"""Readers of cells by kind. A cell that can't be read raises WrongCell with a remedy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from functools import cache, lru_cache
from typing import Final, Generic, TypeVar

from stdnum.ma import ice as moroccan_ice

from shared import i18n, reference
from shared.contracts.criteria import ActivityStatus, ApplicantType, LegalStatus
from shared.contracts.numbers import MOST_MEMBERS
from shared.sentences import Sentence
from shared.spelling import control_character, email_key, plain

from ..domain.cooperative import Governance
from .findings import UnusableCell, WrongCell

MAX_TEXT_LENGTH: Final = 500
FIRST_YEAR: Final = 1900
_SHORTEST_ICE: Final = 10
_LONGEST_PLACEHOLDER: Final = 20

_SPACES: Final = re.compile(r"[\s\u00a0\u202f]+")
_ISO_DAY: Final = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ]00:00(?::00)?)?")
_DAY_FIRST: Final = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})")
_EMAIL: Final = re.compile(r"[^@\s]{1,64}@[a-z0-9.-]{1,189}\.[a-z0-9-]{2,}")
_AMOUNT: Final = re.compile(r"([0-9]+)(?:[.,]([0-9]{1,2}))?")
_THOUSANDS: Final = re.compile(r"[0-9]+[.,][0-9]{3}")
_PLACEHOLDERS: Final = {
    "n/a", "na", "n.a.", "n.a", "#n/a", "n/d", "nd", "n.d.", "n.d", "n/c", "nc", "n.c.", "n.c",
    "néant", "neant", "vide", "null", "nul", "none", "nan", "nil", "inconnu", "inconnue", "unknown",
    "لايوجد", "لا_يوجد", "غير_متوفر", "غير_معروف", "لا_شيء",
}  # fmt: skip
_T = TypeVar("_T")

LEGAL_FORMS: Final[Mapping[str, ApplicantType]] = {
    "cooperative": ApplicantType.COOPERATIVE,
    "تعاونية": ApplicantType.COOPERATIVE,
    "cooperative union": ApplicantType.COOPERATIVE_UNION,
    "union": ApplicantType.COOPERATIVE_UNION,
    "union de cooperatives": ApplicantType.COOPERATIVE_UNION,
    "اتحاد التعاونيات": ApplicantType.COOPERATIVE_UNION,
    "pre creation": ApplicantType.PRE_CREATION,
    "en creation": ApplicantType.PRE_CREATION,
    "gie": ApplicantType.GIE,
    "association": ApplicantType.ASSOCIATION,
    "جمعية": ApplicantType.ASSOCIATION,
    "tpme": ApplicantType.TPME,
    "tpe": ApplicantType.TPME,
    "pme": ApplicantType.TPME,
    "entreprise": ApplicantType.TPME,
    "مقاولة": ApplicantType.TPME,
    "auto entrepreneur": ApplicantType.SELF_EMPLOYED,
    "auto entrepreneuse": ApplicantType.SELF_EMPLOYED,
    "مقاول ذاتي": ApplicantType.SELF_EMPLOYED,
    **{kind.replace("_", " "): kind for kind in ApplicantType},
}
GOVERNANCES: Final[Mapping[str, Governance]] = {
    "board": Governance.BOARD,
    "conseil d administration": Governance.BOARD,
    "مجلس الادارة": Governance.BOARD,
    "managers": Governance.MANAGERS,
    "manager": Governance.MANAGERS,
    "gerant": Governance.MANAGERS,
    "gerants": Governance.MANAGERS,
    "مسير": Governance.MANAGERS,
}
LEGAL_STATUSES: Final[Mapping[str, LegalStatus]] = {
    "registered": LegalStatus.REGISTERED,
    "immatriculee": LegalStatus.REGISTERED,
    "enregistree": LegalStatus.REGISTERED,
    "inscrite": LegalStatus.REGISTERED,
    "active": LegalStatus.REGISTERED,
    "en activite": LegalStatus.REGISTERED,
    "dormante": LegalStatus.REGISTERED,
    "en sommeil": LegalStatus.REGISTERED,
    "مسجلة": LegalStatus.REGISTERED,
    "in liquidation": LegalStatus.IN_LIQUIDATION,
    "en liquidation": LegalStatus.IN_LIQUIDATION,
    "في طور التصفية": LegalStatus.IN_LIQUIDATION,
    "dissolved": LegalStatus.DISSOLVED,
    "dissoute": LegalStatus.DISSOLVED,
    "منحلة": LegalStatus.DISSOLVED,
    "struck off": LegalStatus.STRUCK_OFF,
    "radiee": LegalStatus.STRUCK_OFF,
    "مشطب عليها": LegalStatus.STRUCK_OFF,
}
ACTIVITIES: Final[Mapping[str, ActivityStatus | None]] = {
    "active": ActivityStatus.ACTIVE,
    "en activite": ActivityStatus.ACTIVE,
    "نشيطة": ActivityStatus.ACTIVE,
    "actif": ActivityStatus.ACTIVE,
    "dormant": ActivityStatus.DORMANT,
    "dormante": ActivityStatus.DORMANT,
    "inactif": ActivityStatus.DORMANT,
    "inactive": ActivityStatus.DORMANT,
    "en sommeil": ActivityStatus.DORMANT,
    "متوقفة": ActivityStatus.DORMANT,
    "unknown": None,
    "inconnue": None,
}
LANGUAGES: Final[Mapping[str, str]] = {
    spelling: each.code
    for each in reference.languages()
    if each.code in i18n.LANGUAGES
    for spelling in (each.code, each.fr, each.ar, each.label("en"))
}
YES_OR_NO: Final[Mapping[str, bool]] = {
    "yes": True, "oui": True, "true": True, "1": True, "نعم": True,
    "no": False, "non": False, "false": False, "0": False, "لا": False,
}  # fmt: skip


def quoted(cell: str) -> str:
    """The cell as a reason may show it: only if it can be neither a name, a phone nor an address.

    A shifted column puts a person where a number should be, and reasons are stored in clear. What
    looks like a place may be a surname (Tazi, Fassi, Soussi), so nothing with a letter is shown.
    """
    has_letters = any(character.isalpha() for character in cell)
    if has_letters or "@" in cell or sum(character.isdigit() for character in cell) >= 8:
        return Sentence("this cell")
    return repr(cell[:80])


def is_placeholder(cell: str) -> bool:
    """Whether people write this where they know nothing: blanks, dashes, `N/A`, `néant`."""
    return len(cell) <= _LONGEST_PLACEHOLDER and _is_placeholder(cell)


@lru_cache(maxsize=4096)
def _is_placeholder(cell: str) -> bool:
    word = "_".join(cell.split()).casefold()
    return word in _PLACEHOLDERS or not any(character.isalnum() for character in word)


def text(cell: str) -> str:
    """The text without needless spaces, of at most 500 characters."""
    value = " ".join(cell.split())
    if found := control_character(value):
        raise WrongCell(
            Sentence("the control character {found} is in it", found=found),
            Sentence("leave it out"),
        )
    if len(value) > MAX_TEXT_LENGTH:
        raise WrongCell(
            Sentence("longer than {max_text_length} characters", max_text_length=MAX_TEXT_LENGTH),
            Sentence("shorten it"),
        )
    return value


class Words(Generic[_T]):
    """A reader of words that stand for one of our codes, in Arabic, French or English."""

    def __init__(self, words: Mapping[str, _T]) -> None:
        self._words = {reference.fold(word): value for word, value in words.items()}

    def __call__(self, cell: str) -> _T:
        wanted = reference.fold(cell)
        if wanted not in self._words:
            codes = sorted({str(value).lower() for value in self._words.values()})
            raise WrongCell(
                Sentence("the word is not known"),
                Sentence("write one of: {codes}", codes=", ".join(codes)),
            )
        return self._words[wanted]


def whole_number(cell: str) -> int:
    """A number of at most 1,000,000 in digits of any script, with or without spaces."""
    if cell.isascii() and cell.isdigit():
        digits = cell
    else:
        digits = _SPACES.sub("", plain(cell)).removesuffix(".0").removesuffix(",0")
    if not (digits.isascii() and digits.isdigit()):
        raise WrongCell(
            Sentence("{cell} is not a whole number", cell=quoted(cell)),
            Sentence("write digits only, such as 12"),
        )
    if len(digits) > 7 or int(digits) > MOST_MEMBERS:
        raise WrongCell(
            Sentence(
                "{cell} is more than {max_members}", cell=quoted(cell), max_members=MOST_MEMBERS
            ),
            Sentence("check the number"),
        )
    return int(digits)


def centimes(cell: str) -> int:
    """An amount that is written in dirhams, as centimes; less than 10^15 of them."""
    amount = _SPACES.sub("", plain(cell)).upper().removesuffix("DH").removesuffix("MAD")
    if amount.isascii() and amount.isdigit() and len(amount) <= 13:
        return int(amount) * 100
    if _THOUSANDS.fullmatch(amount):
        raise WrongCell(
            Sentence("{cell} may be thousands or three decimals", cell=quoted(cell)),
            Sentence("write 12500 or 12,50"),
        )
    match = _AMOUNT.fullmatch(amount)
    if match is None:
        raise WrongCell(
            Sentence("{cell} is no amount", cell=quoted(cell)),
            Sentence("write dirhams, as 12500 or 12500,50"),
        )
    dirhams, part = match.groups()
    if len(dirhams.lstrip("0")) > 13:
        raise WrongCell(
            Sentence("{cell} is too large", cell=quoted(cell)), Sentence("check the amount")
        )
    return int(dirhams.lstrip("0") or 0) * 100 + int((part or "").ljust(2, "0"))


@lru_cache(maxsize=16_384)
def day(cell: str, today: date) -> date:
    """A date written year-month-day or day/month/year, with the bounds of `past_day`."""
    written = plain(cell).strip()
    if match := _ISO_DAY.fullmatch(written):
        year, month, number = (int(part) for part in match.groups())
    elif match := _DAY_FIRST.fullmatch(written):
        number, month, year = (int(part) for part in match.groups())
    else:
        raise WrongCell(
            Sentence("{cell} is no date", cell=quoted(cell)),
            Sentence("write 2021-03-31 or 31/03/2021"),
        )
    try:
        value = date(year, month, number)
    except ValueError:
        raise WrongCell(
            Sentence("{cell} is no day of the calendar", cell=quoted(cell)),
            Sentence("check day and month"),
        ) from None
    return past_day(value, today)


def past_day(value: date, today: date) -> date:
    """The day itself; wrong if it is after `today` or before 1900."""
    if value > today:
        raise WrongCell(
            Sentence("{value} is in the future", value=value.isoformat()),
            Sentence("check the year"),
        )
    if value.year < FIRST_YEAR:
        raise WrongCell(
            Sentence(
                "{value} is before {first_year}", value=value.isoformat(), first_year=FIRST_YEAR
            ),
            Sentence("check the year"),
        )
    return value


@lru_cache(maxsize=4096)
def province(cell: str) -> str:
    """The code of a province that is written as code or as name in French or Arabic."""
    if found := reference.find_province(cell):
        return found.code
    raise _unknown("province", cell)


@lru_cache(maxsize=4096)
def region(cell: str) -> str:
    """The code of a region that is written as code or as name in French or Arabic."""
    if found := reference.find_region(cell):
        return found.code
    raise _unknown("region", cell)


def refuse_other_region(region_code: str, province_code: str) -> None:
    """Raise `WrongCell` unless the province lies in the region."""
    lies_in = reference.region_of(province_code)
    if lies_in != region_code:
        province = reference.province(province_code)
        raise WrongCell(
            Sentence(
                "{province_code} ({name}) lies in {lies_in}, not in {region_code}",
                province_code=province_code,
                name=province.name,
                lies_in=_named(lies_in),
                region_code=_named(region_code),
            ),
            Sentence("correct the region or the province"),
        )


def _named(region_code: str) -> Sentence:
    return Sentence("{code} ({name})", code=region_code, name=reference.region(region_code).name)


@lru_cache(maxsize=4096)
def sector(cell: str) -> str:
    """The code of a sector that is written as code or as name in French or Arabic."""
    if found := reference.find_sector(cell):
        return found.code
    raise _unknown("sector", cell)


def _unknown(kind: reference.Kind, cell: str) -> WrongCell:
    near = reference.nearest(kind, cell)
    return WrongCell(
        Sentence("unknown {kind}", kind=reference.KINDS[kind]), _instead(near) if near else None
    )


def _instead(near: reference.Record) -> Sentence:
    return Sentence("did you mean {code} ({name})?", code=near.code, name=near.name)


@lru_cache(maxsize=8192)
def commune(cell: str, province_code: str) -> str:
    """The census code of a commune of this province, that is written as code or as name.

    A name or code that no commune of the province has is an UnusableCell: the commune stays unknown
    and the row goes in. A code of another province contradicts the row.
    """
    if found := reference.find_commune(cell, province_code):
        return found.code
    if cell[:2].isdigit():
        _refuse_other_province(cell, province_code)
    near = reference.nearest_commune(cell, province_code)
    remedy = _instead(near) if near else Sentence("write its census code")
    raise UnusableCell(
        Sentence(
            "{cell} is no commune of {province_code}",
            cell=quoted(cell),
            province_code=province_code,
        ),
        remedy,
    )


def _refuse_other_province(cell: str, province_code: str) -> None:
    try:
        found = reference.province_of_commune(cell)
    except reference.UnknownCode:
        raise WrongCell(
            Sentence("{cell} is no code of a commune", cell=quoted(cell)),
            Sentence("write its census code, as 09.581.01.05"),
        ) from None
    if found.code != province_code:
        raise WrongCell(
            Sentence(
                "commune {cell} lies in {code} ({name}), not in {province_code}",
                cell=cell,
                code=found.code,
                name=found.name,
                province_code=province_code,
            ),
            Sentence("correct the province or the commune"),
        )


def commune_code(code: str) -> str:
    """The census code itself, where a commune has it."""
    try:
        return reference.commune(code).code
    except reference.UnknownCode as error:
        raise WrongCell(error.detail) from None


@lru_cache(maxsize=4096)
def branch(cell: str) -> str:
    """The code of a branch that is written as code, as name or by a synonym of it."""
    if found := reference.find_branch(cell):
        return found.code
    raise _unknown("branch", cell)


def ice(cell: str) -> str:
    """An ICE (identifiant commun de l'entreprise): 15 digits that 97 divides.

    Up to five leading zeros that a spreadsheet dropped are put back.
    """
    digits = cell if cell.isdigit() and cell.isascii() else _SPACES.sub("", plain(cell))
    if len(digits) == 15 and _is_ice(digits):
        return digits
    if "E+" in digits.upper():
        raise WrongCell(
            Sentence("the ICE was shortened by a spreadsheet"), Sentence("format it as text")
        )
    if len(digits) >= _SHORTEST_ICE and _is_ice(digits.zfill(15)):
        return digits.zfill(15)
    raise WrongCell(
        Sentence("the ICE is not valid (15 digits whose remainder modulo 97 is 0)"),
        Sentence("copy it again from the certificate, or leave it empty"),
    )


def _is_ice(digits: str) -> bool:
    """Nine digits are the number of the enterprise, which is never 0."""
    return moroccan_ice.is_valid(digits) and digits[:9] != "0" * 9


@cache
def _moroccan_numbers() -> re.Pattern[str]:
    """Morocco's numbers as phonenumbers has them, in one pattern: its parser is 50 times slower."""
    from phonenumbers import PhoneMetadata  # slow to import, and seldom needed

    ranges = PhoneMetadata.metadata_for_region("MA", None)
    assert ranges is not None
    kinds = (ranges.mobile, ranges.fixed_line, ranges.voip)
    patterns = [kind.national_number_pattern for kind in kinds if kind is not None]
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns if pattern))


def phone(cell: str) -> str:
    """A phone number in international form (E.164). A refusal never quotes it."""
    dialled = re.sub(r"[^0-9+]", "", plain(cell))
    national = dialled
    for prefix in ("+212", "00212", "212"):
        if dialled.startswith(prefix):
            national = dialled.removeprefix(prefix)
            break
    if _moroccan_numbers().fullmatch(national.removeprefix("0")):
        return "+212" + national.removeprefix("0")
    return _foreign_phone(dialled)


def _foreign_phone(dialled: str) -> str:
    import phonenumbers  # slow to import, and seldom needed

    try:
        number = phonenumbers.parse(dialled, "MA")
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_valid_number(number):
        raise WrongCell(
            Sentence("no valid telephone number"),
            Sentence("one number, as 0612345678 or +212612345678"),
        )
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def email(cell: str) -> str:
    """An e-mail address as it is compared: lower case, its domain in ASCII. Never quoted."""
    value = email_key(cell)
    if not _EMAIL.fullmatch(value):
        raise WrongCell(
            Sentence("no valid e-mail address"), Sentence("one address, as name@example.org")
        )
    return value
