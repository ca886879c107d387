"""Bodies of the cooperative routes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from typing import Annotated, Any, Final, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from registry.tables import Row
from shared.contracts.base import LanguageCode, Text
from shared.contracts.criteria import ActivityStatus, ApplicantType, LegalStatus
from shared.contracts.numbers import Members
from shared.contracts.request_body import RequestBody
from shared.errors import Invalid, Problem
from shared.i18n.languages import ReaderLanguage
from shared.sentences import Sentence

from ..domain.cooperative import Contact, Governance
from ..past_day import PastDay
from ..queries import Grouping
from ..register_file import cells
from ..register_file.findings import WrongCell

REQUIRED: Final = ("court", "local_register_no", "province", "applicant_type", "legal_status")
NOT_NULL: Final = (*REQUIRED, "language", "is_test_data")
_ABOUT_THE_VALUES: Final = ("source", "as_of_on", "confirm_erased")

_READERS: Final[dict[str, Callable[[str], str]]] = {
    "province": cells.province,
    "commune": cells.commune_code,
    "sector": cells.sector,
    "branch": cells.branch,
    "ice": cells.ice,
    "phone": cells.phone,
    "email": cells.email,
}
"""The readers of register files, so that API and import accept the same."""


class ContactIn(RequestBody):
    """Personal data: stored sealed, shown to operators and delegates of the province only."""

    president: Annotated[Text | None, Field(max_length=200)] = None
    phone: Text | None = None
    email: Text | None = None


class ChangesIn(RequestBody):
    """The fields of a cooperative to be changed, and where the values come from."""

    court: Text | None = None
    local_register_no: Text | None = None
    province: Text | None = None
    name_fr: Text | None = None
    name_ar: Text | None = None
    ice: Text | None = None
    applicant_type: ApplicantType | None = None
    governance: Governance | None = None
    legal_status: LegalStatus | None = None
    activity_status: ActivityStatus | None = None
    created_on: PastDay | None = None
    commune: Text | None = None
    sector: Text | None = None
    branch: Text | None = None
    members_total: Members | None = None
    members_women: Members | None = None
    members_youth: Members | None = None
    members_women_or_youth: Members | None = None
    capital_centimes: Annotated[int | None, Field(ge=0, lt=10**15)] = None
    language: ReaderLanguage | None = None
    consent_source: Text | None = None
    is_test_data: bool | None = None
    contact: ContactIn | None = None
    source: Text | None = Field(default=None, description="Where these values were read.")
    as_of_on: PastDay | None = Field(default=None, description="The day as of which they are true.")
    confirm_erased: bool = Field(
        default=False,
        description="The person of this contact had it erased, and asked since to be registered"
        " again: it is remembered as erased no more. 422 `erased-contact` without.",
    )

    @model_validator(mode="after")
    def _needed_values_stay_known(self) -> Self:
        for name in NOT_NULL:
            if name in self.model_fields_set and getattr(self, name) is None:
                raise ValueError(
                    Sentence(
                        "{name} can't be made unknown: give a value or leave it out", name=name
                    )
                )
        return self

    def cleaned(self) -> tuple[dict[str, Any], dict[str, str | None]]:
        """The given fields as the domain takes them, and the given parts of the contact.

        Raises Invalid with all fields that can't be read.
        """
        given = {
            name: getattr(self, name)
            for name in self.model_fields_set - {"contact", *_ABOUT_THE_VALUES}
        }
        contact: dict[str, Any] = {}
        if "contact" in self.model_fields_set:
            contact = asdict(Contact())
            if self.contact is not None:
                contact = {n: getattr(self.contact, n) for n in self.contact.model_fields_set}
        problems: list[Problem] = []
        read = _read(given, "", problems), _read(contact, "contact.", problems)
        if problems:
            raise Invalid.many(problems)
        return read

    def origin(self) -> dict[str, Any]:
        """Where given, the source of the values and the day as of which they are true; and whether
        the person of the contact asked to be registered again."""
        given = {name: getattr(self, name) for name in _ABOUT_THE_VALUES}
        return {name: value for name, value in given.items() if value is not None}


class CooperativeIn(ChangesIn):
    """A new cooperative. Needed are court, number in the local register, province and a name."""

    court: Text
    local_register_no: Text
    province: Text


def _read(given: dict[str, Any], prefix: str, problems: list[Problem]) -> dict[str, Any]:
    read: dict[str, Any] = {}
    for name, value in given.items():
        reader = _READERS.get(name)
        if isinstance(value, str) and cells.is_placeholder(value):
            problems.append(
                Problem(prefix + name, Sentence("this says nothing: give a value, or null"))
            )
            continue
        try:
            read[name] = reader(value) if reader and value is not None else value
        except WrongCell as error:
            problems.append(Problem(prefix + name, error.sentence))
    return read


class ContactOut(BaseModel):
    """The contact of a cooperative in clear."""

    president: str | None
    phone: str | None
    email: str | None


class CooperativeOut(BaseModel):
    """What the register says. `contact` is null for those who may not see it."""

    model_config = ConfigDict(extra="ignore")

    cooperative_id: UUID
    version: int
    court: str
    local_register_no: str
    region: str
    province: str
    name_fr: str | None
    name_ar: str | None
    ice: str | None
    applicant_type: ApplicantType
    governance: Governance | None
    legal_status: LegalStatus
    activity_status: ActivityStatus | None
    created_on: date | None
    commune: str | None
    sector: str | None
    branch: str | None
    members_total: int | None
    members_women: int | None
    members_youth: int | None
    members_women_or_youth: int | None
    capital_centimes: int | None
    language: LanguageCode
    consent_source: str | None
    is_test_data: bool
    source: str
    as_of_on: date
    provenance: dict[str, dict[str, str]]
    import_id: UUID | None = Field(
        description="The import that entered it; null if it was entered by hand."
        " GET /audit/{import_id} shows operators by whom and when."
    )
    contact: ContactOut | None

    @classmethod
    def of(cls, row: Row, contact: Contact | None) -> Self:
        """A row of the register; `contact` is None for those who may not see it."""
        shown = ContactOut(**asdict(contact)) if contact else None
        return cls.model_validate({**row, "cooperative_id": row["id"], "contact": shown})


class TotalOut(BaseModel):
    """Counts of cooperatives, of those of women only, and of members as far as they are known."""

    code: str | None = None
    cooperatives: int
    members: int
    women: int
    youth: int
    women_only: int


class TotalsOut(BaseModel):
    """One item, or one per group; the group with code null has an unknown value."""

    by: Grouping | None
    items: list[TotalOut]
