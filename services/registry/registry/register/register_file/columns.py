"""The columns of a register file and the headers that people give them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import Final

from shared.reference.folding import fold
from shared.sentences import Sentence, joined

from .decoding import FileRefused

_ALIASES: Final[dict[str, tuple[str, ...]]] = {
    "local_register_no": (
        "numero registre local", "n registre local", "numero du registre local", "n rl",
        "numero d immatriculation", "register number", "registration number", "رقم السجل المحلي",
    ),
    "court": ("tribunal", "tribunal de premiere instance", "tpi", "المحكمة", "المحكمة الابتدائية"),
    "ice": ("identifiant commun de l entreprise", "n ice", "التعريف الموحد للمقاولة"),
    "name_fr": ("nom", "nom fr", "denomination", "denomination fr", "name", "raison sociale"),
    "name_ar": ("nom ar", "denomination ar", "nom arabe", "الاسم", "التسمية"),
    "legal_form": ("forme juridique", "type", "applicant type", "الشكل القانوني"),
    "governance": ("gouvernance", "mode de gestion", "organe de gestion"),
    "creation_date": ("date de creation", "date creation", "created on", "تاريخ التأسيس"),
    "province": (
        "prefecture", "province ou prefecture", "الإقليم", "العمالة", "العمالة أو الإقليم",
    ),
    "region": ("jihat", "الجهة"),
    "commune": ("code commune", "الجماعة"),
    "sector": ("secteur", "secteur d activite", "القطاع"),
    "branch": ("branche", "filiere", "branche d activite", "الفرع"),
    "members_total": (
        "adherents", "nombre d adherents", "total adherents", "members", "effectif",
        "nombre de membres", "عدد المنخرطين", "عدد المتعاونين",
    ),
    "members_women": ("femmes", "nombre de femmes", "adherentes", "women", "عدد النساء"),
    "members_youth": ("jeunes", "nombre de jeunes", "youth", "عدد الشباب"),
    "members_women_or_youth": ("femmes ou jeunes", "women or youth"),
    "capital": ("capital social", "capital dh", "capital mad", "رأس المال"),
    "status": ("statut", "statut juridique", "legal status", "الوضعية القانونية"),
    "activity": ("activite", "etat d activite", "activity status", "حالة النشاط"),
    "president": (
        "president e", "presidente", "nom du president", "responsable", "gerant", "الرئيس",
        "الرئيسة",
    ),
    "phone": ("telephone", "tel", "gsm", "mobile", "n telephone", "الهاتف"),
    "email": ("courriel", "e mail", "mail", "adresse electronique", "البريد الإلكتروني"),
    "language": ("langue", "اللغة"),
    "consent_source": ("source du consentement", "consentement", "consent"),
    "is_test_data": ("donnees d essai", "test data"),
}  # fmt: skip

COLUMNS: Final = tuple(_ALIASES)
REQUIRED: Final = ("court", "local_register_no", "province")
NAMES: Final = ("name_fr", "name_ar")
MOST_COMPARED: Final = 80
"""How many characters of an unknown header are compared with the known ones."""
_ALIKE: Final = 0.8
"""Least similarity, from 0 to 1, of a header that is taken for a misspelt one: a wrong hint costs
more than none.
"""
PERSONAL: Final = frozenset({"president", "phone", "email"})


def _spellings() -> dict[str, str]:
    spellings = {fold(column): column for column in COLUMNS}
    for column, aliases in _ALIASES.items():
        for alias in aliases:
            spellings.setdefault(fold(alias), column)
    return spellings


_SPELLINGS: Final = _spellings()


def delimiter_of(header: str) -> str:
    """Whichever of `,` `;` and tab occurs most often in the header line."""
    return max(",;\t", key=header.count)


def is_header(names: Sequence[str]) -> bool:
    """Whether at least two of these are headers that we know: no title and no row has that."""
    return sum(fold(name) in _SPELLINGS for name in names) > 1


def match_headers(header: Sequence[str]) -> tuple[list[str | None], dict[str, str | None]]:
    """The column of each header, None where it is unknown; and what the unknown ones are called,
    each with the column that it resembles, if any.

    Raises FileRefused if a column is missing or stands twice. Unknown headers are called by their
    place and never quoted: a file without a header begins with somebody's row.
    """
    found = [_SPELLINGS.get(fold(name)) for name in header]
    for column in COLUMNS:
        if found.count(column) > 1:
            twice = [name for name, known in zip(header, found, strict=True) if known == column]
            raise FileRefused(
                Sentence(
                    "{twice} both mean {column}: keep one",
                    twice=", ".join(repr(name) for name in twice),
                    column=column,
                )
            )
    unknown = {
        place: name
        for place, (name, known) in enumerate(zip(header, found, strict=True), 1)
        if known is None
    }
    _refuse_missing(found, unknown)
    free = [column for column in COLUMNS if column not in found]
    return found, {
        _called(place): _most_alike(name, free) for place, name in unknown.items() if name.strip()
    }


def _called(place: int) -> Sentence:
    return Sentence("column {place}", place=place)


def _lacking(column: str, place: int | None) -> Sentence:
    """A missing column, and the header that may be meant for it."""
    if place is None:
        return Sentence(column)
    return Sentence("{column} (is it {place}?)", column=Sentence(column), place=_called(place))


def _refuse_missing(found: list[str | None], unknown: Mapping[int, str]) -> None:
    missing = [column for column in REQUIRED if column not in found]
    if not set(NAMES) & set(found):
        missing.append("name_fr")
    if not missing:
        return
    alike = {
        column: place
        for place, name in unknown.items()
        if (column := _most_alike(name, missing)) is not None
    }
    hints = [_lacking(column, alike.get(column)) for column in missing]
    raise FileRefused(
        Sentence("the header lacks {hints}: add or rename the column", hints=joined(hints, ", "))
    )


def _most_alike(name: str, columns: Sequence[str]) -> str | None:
    """Which of these columns a misspelt header means, by any of their spellings; None: none."""
    wanted = SequenceMatcher(b=fold(name[:MOST_COMPARED]), autojunk=False)
    best, best_score = None, _ALIKE
    for spelling, column in _SPELLINGS.items():
        if column not in columns:
            continue
        wanted.set_seq1(spelling)
        if wanted.quick_ratio() >= best_score and wanted.ratio() >= best_score:
            best, best_score = column, wanted.ratio()
    return best
