"""What the registry publishes."""

from __future__ import annotations

from datetime import date
from typing import ClassVar
from uuid import NAMESPACE_URL, UUID, uuid5

from pydantic import AwareDatetime, Field

from .base import PUBLIC, Contract, Event, Id, LanguageCode, Localized, Text, Version
from .criteria import ActivityStatus, ApplicantType, LegalStatus, Profile
from .numbers import Count, Members
from .persons import Kind, PersonAnswered, PersonRequested

BATCH_LIMIT = 500
"""Most cooperatives in one batch event, which has about 300 KB then; fewer where their names are so
long that it would be larger than an event may be."""


class CooperativeRecord(Contract):
    """A cooperative as the register knows it. None means that the register does not know.

    `contact_sealed` holds a person's name, phone and e-mail as ciphertext: only registry and
    notifications have the key. All other fields describe the organisation.
    """

    cooperative_id: Id
    version: Version = Field(description="Grows by one with every change of the record.")
    name_fr: Text | None = None
    name_ar: Text | None = None
    applicant_type: ApplicantType = ApplicantType.COOPERATIVE
    legal_status: LegalStatus = LegalStatus.REGISTERED
    activity_status: ActivityStatus | None = None
    region: str | None = None
    province: str | None = None
    commune: str | None = None
    sector: str | None = None
    branch: str | None = None
    members_total: Members | None = None
    members_women: Members | None = None
    members_youth: Members | None = None
    members_women_or_youth: Members | None = None
    created_on: date | None = None
    language: LanguageCode = "ar"
    contact_sealed: str | None = Field(default=None, max_length=16_384)

    def profile(self) -> Profile:
        """The part of the record that criteria look at."""
        return Profile.model_validate(self.model_dump(include=set(Profile.model_fields)))


class CooperativeRegistered(Event):
    """A cooperative entered the register by hand; the event carries the whole record."""

    topic: ClassVar[str] = "registry.cooperative.registered.v1"
    aggregate_field: ClassVar[str] = "cooperative_id"

    cooperative_id: Id
    cooperative: CooperativeRecord


class CooperativeChanged(Event):
    """The record of a cooperative changed; the event carries the whole record."""

    topic: ClassVar[str] = "registry.cooperative.changed.v1"
    aggregate_field: ClassVar[str] = "cooperative_id"

    cooperative_id: Id
    cooperative: CooperativeRecord


class CooperativesImported(Event):
    """Up to 500 cooperatives entered the register or changed, from one part of a register file."""

    topic: ClassVar[str] = "registry.cooperatives.imported.v1"
    aggregate_field: ClassVar[str] = "batch_id"
    records_field: ClassVar[str] = "cooperatives"
    record_key: ClassVar[str] = "cooperative_id"

    batch_id: Id
    import_id: Id
    cooperatives: tuple[CooperativeRecord, ...] = Field(min_length=1, max_length=BATCH_LIMIT)
    remaining: Count | None = Field(
        default=None,
        description="Of a snapshot: how many cooperatives it has still to send; null: it is none.",
    )


class PartnerRegistered(Event):
    """An institution was registered as a partner: it may subscribe to events from now on."""

    topic: ClassVar[str] = "registry.partner.registered.v1"
    aggregate_field: ClassVar[str] = "partner_id"

    partner_id: Id
    slug: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40, json_schema_extra=PUBLIC)
    name: Localized = Field(json_schema_extra=PUBLIC)
    kind: str = Field(max_length=40, json_schema_extra=PUBLIC)
    language: LanguageCode = "fr"


def partner_id_of(slug: str) -> UUID:
    """The id of a partner. A slug never passes to another partner, so any service can compute it"""
    return uuid5(NAMESPACE_URL, f"taawon:partner:{slug}")


class TokensRevoked(Event):
    """The rights of an account or an API client ended or shrank: its older tokens are refused.

    `partner` is the institution for which it may act no more; what was made for that institution at
    its request ends too.
    """

    topic: ClassVar[str] = "registry.tokens.revoked.v1"
    aggregate_field: ClassVar[str] = "subject_id"

    subject_id: Id = Field(description="The account or the API client.")
    not_before: AwareDatetime = Field(
        description="Tokens that were issued before this instant are refused."
    )
    partner: str | None = Field(default=None, pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)


class PersonAccessRequested(PersonRequested):
    """A person asks what is stored about them: each service answers with what it has."""

    topic: ClassVar[str] = "registry.person.access_requested.v1"
    kind: ClassVar[Kind] = "access"


class PersonRectified(PersonRequested):
    """A person's data were corrected: older records of these cooperatives hold wrong values."""

    topic: ClassVar[str] = "registry.person.rectified.v1"
    kind: ClassVar[Kind] = "rectification"


class PersonErasureRequested(PersonRequested):
    """A person is to be erased: older records of these cooperatives still name them."""

    topic: ClassVar[str] = "registry.person.erasure_requested.v1"
    kind: ClassVar[Kind] = "erasure"


class RegistryAnswered(PersonAnswered):
    """The registry has answered a person's request."""

    topic: ClassVar[str] = "registry.person.answered.v1"
