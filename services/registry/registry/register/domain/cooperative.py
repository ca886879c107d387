"""A cooperative as the register has it, with the source of each value."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Final
from uuid import UUID

from shared import reference
from shared.business_days import business_day
from shared.contracts.base import LanguageCode
from shared.contracts.criteria import ActivityStatus, ApplicantType, LegalStatus
from shared.contracts.registry import CooperativeChanged, CooperativeRecord, CooperativeRegistered
from shared.errors import Conflict, Invalid, NotFound, Problem
from shared.sentences import Sentence
from shared.spelling import identity_key


class NotInTheRegister(NotFound):
    """No cooperative with this id is in the register."""


class AlreadyRegistered(Conflict):
    """A cooperative with this court and local register number is in the register already."""


class ErasedContact(Invalid):
    """A person had this contact erased: enter it again only if they asked for it since."""


class Governance(StrEnum):
    """Who runs a cooperative: a board with a chair, or one or several managers (law 112-12)."""

    BOARD = "board"
    MANAGERS = "managers"


@dataclass(frozen=True, kw_only=True, slots=True)
class Contact:
    """The person to reach, in clear. Sealed before it is stored or sent."""

    president: str | None = None
    phone: str | None = None
    email: str | None = None

    def clear_values(self) -> dict[str, str]:
        """The values that are known, by name, as they are sealed."""
        pairs = (("president", self.president), ("phone", self.phone), ("email", self.email))
        return {name: value for name, value in pairs if value}


@dataclass(frozen=True, kw_only=True, slots=True)
class SealedContact:
    """A contact as ciphertext. The mark shows whether two of them hold the same values."""

    sealed: str = field(compare=False, repr=False)
    mark: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """What the register says of one cooperative; entries are equal if they say the same.

    The court and the number in its local register identify it. The ICE can't, for it may be missing
    for years.
    """

    court: str
    local_register_no: str
    province: str
    name_fr: str | None = None
    name_ar: str | None = None
    ice: str | None = None
    applicant_type: ApplicantType = ApplicantType.COOPERATIVE
    governance: Governance | None = None
    legal_status: LegalStatus = LegalStatus.REGISTERED
    activity_status: ActivityStatus | None = None
    created_on: date | None = None
    commune: str | None = None
    sector: str | None = None
    branch: str | None = None
    members_total: int | None = None
    members_women: int | None = None
    members_youth: int | None = None
    members_women_or_youth: int | None = None
    capital_centimes: int | None = None
    language: LanguageCode = "ar"
    consent_source: str | None = None
    is_test_data: bool = False
    contact: SealedContact | None = None

    @property
    def identity(self) -> tuple[str, str]:
        """Court and number, the same for every spelling of them."""
        return identity_of(self.court, self.local_register_no)

    @property
    def region(self) -> str:
        """The code of the region that the province lies in."""
        return reference.region_of(self.province)

    def differences(self, other: Entry) -> tuple[str, ...]:
        """The names of the fields that differ from the other entry."""
        return tuple(
            item.name
            for item in fields(self)
            if getattr(self, item.name) != getattr(other, item.name)
        )


def identity_of(court: str, local_register_no: str) -> tuple[str, str]:
    """Court and number whatever their case, accents, spaces, digits and invisible marks."""
    return _folded_court(court), identity_key(local_register_no)


@lru_cache(maxsize=1024)
def _folded_court(court: str) -> str:
    return reference.fold(court)


_TOGETHER: Final = (
    frozenset({"members_total", "members_women", "members_youth", "members_women_or_youth"}),
    frozenset({"province", "commune"}),
    frozenset({"name_fr", "name_ar"}),
)
"""Fields that can contradict each other."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FileOrigin:
    """The import that brings values, the name of its file, and the day as of which it is true."""

    import_id: UUID
    source: str
    as_of_on: date

    def as_provenance(self) -> dict[str, str]:
        """The origin as `provenance` has it; one of a value entered by hand names no import."""
        return {
            "source": self.source,
            "as_of_on": self.as_of_on.isoformat(),
            "import_id": str(self.import_id),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Merge:
    """What a cooperative is after a file, and which fields of the two differed.

    `kept` are fields whose value in the register is of a later day than the file, with that day;
    `by_hand` are those where the file replaces what was entered by hand, with its day.
    """

    entry: Entry
    source: str
    as_of_on: date
    source_import_id: UUID | None
    provenance: dict[str, dict[str, str]]
    kept: dict[str, date]
    by_hand: dict[str, date]


@dataclass(eq=False, kw_only=True)
class Cooperative:
    """An entry with its version and its sources.

    The court and the central register are the authority. This is a copy, and each value says where
    it was copied from and as of which day: `provenance` by field, where it is of its own, else
    `source` and `as_of_on`, which the import `source_import_id` brought, None if it was done by
    hand. `import_id` is the import that entered it, None if it was entered by hand. Once
    `contact_settled_at` is set, register files no longer change the contact.
    """

    id: UUID
    version: int
    entry: Entry
    source: str
    as_of_on: date
    provenance: dict[str, dict[str, str]] = field(default_factory=dict)
    contact_settled_at: datetime | None = None
    import_id: UUID | None = None
    source_import_id: UUID | None = None

    @classmethod
    def register(
        cls, entry: Entry, *, id: UUID, source: str, as_of_on: date
    ) -> tuple[Cooperative, CooperativeRegistered]:
        """Enter it by hand, as version 1. Raises Invalid if its values contradict each other."""
        _refuse_contradictions(entry)
        cooperative = cls(id=id, version=1, entry=entry, source=source, as_of_on=as_of_on)
        return cooperative, CooperativeRegistered(
            cooperative_id=id, cooperative=cooperative.record()
        )

    def change(self, entry: Entry, *, source: str, as_of_on: date) -> CooperativeChanged | None:
        """Take over what the register says now. None, and no new version, if nothing differs.

        Raises Invalid if the new values contradict each other, or are of an earlier day than those
        on record.
        """
        changed = self.entry.differences(entry)
        if not changed:
            return None
        self._refuse_older(changed, as_of_on)
        _refuse_contradictions(entry)
        self.entry = entry
        self.version += 1
        origin = {"source": source, "as_of_on": as_of_on.isoformat()}
        self.provenance = {**self.provenance, **dict.fromkeys(changed, origin)}
        return CooperativeChanged(
            cooperative_id=self.id, aggregate_version=self.version, cooperative=self.record()
        )

    def merge(self, entry: Entry, origin: FileOrigin, *, unread: frozenset[str]) -> Merge:
        """What it is after a file: of each field the value that is true as of the later day.

        Where the days are equal the file counts. `unread` fields could not be read in the file, so
        what is known stays.
        """
        differing = self.entry.differences(entry)
        kept = {name: day for name in differing if (day := self._as_of(name)) > origin.as_of_on}
        stays = self._staying(entry, {*kept, *unread})
        kept |= {name: self._as_of(name) for name in differing if name in stays - unread}
        is_newer = origin.as_of_on >= self.as_of_on
        return Merge(
            entry=replace(entry, **{name: getattr(self.entry, name) for name in stays}),
            source=origin.source if is_newer else self.source,
            as_of_on=max(origin.as_of_on, self.as_of_on),
            source_import_id=origin.import_id if is_newer else self.source_import_id,
            provenance=self._merged_provenance(origin, unread if is_newer else frozenset()),
            kept=kept,
            by_hand={
                name: self._as_of(name)
                for name in differing
                if name not in stays and self._is_by_hand(name)
            },
        )

    def _staying(self, entry: Entry, names: set[str]) -> frozenset[str]:
        """These fields, and those that would contradict them with the values of the file."""
        merged = replace(entry, **{name: getattr(self.entry, name) for name in names})
        wrong = {problem.field for problem in contradictions(merged)} if names else set()
        return frozenset(names).union(*(group for group in _TOGETHER if wrong & group))

    def _merged_provenance(
        self, origin: FileOrigin, unread: frozenset[str]
    ) -> dict[str, dict[str, str]]:
        """The origins of single fields that are still needed beside that of the whole entry."""
        own = {"source": self.source, "as_of_on": self.as_of_on.isoformat()}
        if self.source_import_id is not None:
            own["import_id"] = str(self.source_import_id)
        if origin.as_of_on >= self.as_of_on:
            newer = {
                name: each
                for name, each in self.provenance.items()
                if self._as_of(name) > origin.as_of_on
            }
            return {name: self.provenance.get(name, own) for name in unread} | newer
        return {
            name: each if self._as_of(name) > origin.as_of_on else origin.as_provenance()
            for name, each in self.provenance.items()
        }

    def _as_of(self, name: str) -> date:
        """The day as of which the value of a field is true."""
        own = self.provenance.get(name)
        return date.fromisoformat(own["as_of_on"]) if own else self.as_of_on

    def _is_by_hand(self, name: str) -> bool:
        own = self.provenance.get(name)
        return "import_id" not in own if own else self.source_import_id is None

    def _refuse_older(self, changed: tuple[str, ...], as_of_on: date) -> None:
        problems = [
            Problem(
                name,
                Sentence(
                    "the value on record is true as of {day}, which is later than {as_of_on}:"
                    " leave it out, or give a later as_of_on",
                    day=self._as_of(name),
                    as_of_on=as_of_on,
                ),
            )
            for name in changed
            if self._as_of(name) > as_of_on
        ]
        if problems:
            raise Invalid.many(problems)

    def settle_contact(
        self, contact: SealedContact | None, *, source: str, at: datetime
    ) -> CooperativeChanged | None:
        """Replace the contact as its person asked; from now on no register file changes it."""
        self.contact_settled_at = at
        settled = replace(self.entry, contact=contact)
        return self.change(settled, source=source, as_of_on=business_day(at))

    def record(self) -> CooperativeRecord:
        """The cooperative as events carry it."""
        return record_of(self.entry, self.entry.contact, id=self.id, version=self.version)


def record_of(
    entry: Entry, contact: SealedContact | None, *, id: UUID, version: int
) -> CooperativeRecord:
    """The part of an entry that events carry; the contact only as ciphertext.

    It is not validated: the API and the import did that, and validating thousands of records costs
    more than reading their file.
    """
    return CooperativeRecord.model_construct(
        cooperative_id=id,
        version=version,
        name_fr=entry.name_fr,
        name_ar=entry.name_ar,
        applicant_type=entry.applicant_type,
        legal_status=entry.legal_status,
        activity_status=entry.activity_status,
        region=entry.region,
        province=entry.province,
        commune=entry.commune,
        sector=entry.sector,
        branch=entry.branch,
        members_total=entry.members_total,
        members_women=entry.members_women,
        members_youth=entry.members_youth,
        members_women_or_youth=entry.members_women_or_youth,
        created_on=entry.created_on,
        language=entry.language,
        contact_sealed=contact.sealed if contact else None,
    )


def contradictions(entry: Entry) -> list[Problem]:
    """What is wrong with an entry as a whole: counts that can't be true together, a commune of
    another province, no name in either language.
    """
    problems = [
        Problem(
            name,
            Sentence(
                "{value} is more than {field} ({total})",
                value=value,
                field="members_total",
                total=entry.members_total,
            ),
        )
        for name, value in (
            ("members_women", entry.members_women),
            ("members_youth", entry.members_youth),
            ("members_women_or_youth", entry.members_women_or_youth),
        )
        if value is not None and entry.members_total is not None and value > entry.members_total
    ]
    problems.extend(_union_contradictions(entry))
    if entry.commune and reference.province_of_commune(entry.commune).code != entry.province:
        problems.append(
            Problem(
                "commune",
                Sentence(
                    "{commune} does not lie in {province}",
                    commune=entry.commune,
                    province=entry.province,
                ),
            )
        )
    if not entry.name_fr and not entry.name_ar:
        problems.append(Problem("name_fr", Sentence("no name: give name_fr, name_ar or both")))
    return problems


def _union_contradictions(entry: Entry) -> list[Problem]:
    either, women, youth = entry.members_women_or_youth, entry.members_women, entry.members_youth
    if either is None:
        return []
    name, minimum = "members_women_or_youth", max(women or 0, youth or 0)
    if either < minimum:
        return [
            Problem(
                name,
                Sentence(
                    "{either} is less than the women or the youth alone ({minimum})",
                    either=either,
                    minimum=minimum,
                ),
            )
        ]
    if women is not None and youth is not None and either > women + youth:
        return [
            Problem(
                name,
                Sentence(
                    "{either} is more than women and youth together ({total})",
                    either=either,
                    total=women + youth,
                ),
            )
        ]
    return []


def _refuse_contradictions(entry: Entry) -> None:
    if problems := contradictions(entry):
        raise Invalid.many(problems)
