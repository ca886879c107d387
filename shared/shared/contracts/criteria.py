"""Who something is meant for: plain data that both the evaluator and the SQL compiler read."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Self

from pydantic import ConfigDict, Field, model_validator

from shared.sentences import Sentence

from .base import Contract


class ApplicantType(StrEnum):
    """The kinds of applicant that calls name; the register holds only some of them."""

    COOPERATIVE = "cooperative"
    COOPERATIVE_UNION = "cooperative_union"
    PRE_CREATION = "pre_creation"
    GIE = "gie"
    TPME = "tpme"
    SELF_EMPLOYED = "self_employed"
    ASSOCIATION = "association"
    ASSOCIATION_NETWORK = "association_network"
    PROJECT_HOLDER = "project_holder"


class LegalStatus(StrEnum):
    """What the local or central register says of the entity."""

    REGISTERED = "registered"
    IN_LIQUIDATION = "in_liquidation"
    DISSOLVED = "dissolved"
    STRUCK_OFF = "struck_off"


class ActivityStatus(StrEnum):
    """Whether the entity works: dormant means no activity for two financial years in a row."""

    ACTIVE = "active"
    DORMANT = "dormant"


class MinShare(Contract):
    """A least share of the members, in whole percent; `strict` means more than, not at least."""

    percent: int = Field(ge=0, le=100)
    strict: bool = False


class Criteria(Contract):
    """The conditions of one track. An empty list or a missing value constrains nothing.

    Territory is a union of places: an entity matches when its region, its province or its commune
    is named. `min_share_women_plus_youth` adds both counts (a young woman counts twice, as calls
    that say "women + youth" do); `min_share_women_or_youth` counts each member once. Youth are
    members of 18 to 35 years. Ages are whole months between creation and `reference_on`.
    """

    regions: tuple[str, ...] = ()
    provinces: tuple[str, ...] = ()
    communes: tuple[str, ...] = ()
    sectors: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()
    applicant_types: tuple[ApplicantType, ...] = ()
    legal_statuses: tuple[LegalStatus, ...] = ()
    activity_statuses: tuple[ActivityStatus, ...] = ()
    min_share_women: MinShare | None = None
    min_share_youth: MinShare | None = None
    min_share_women_plus_youth: MinShare | None = None
    min_share_women_or_youth: MinShare | None = None
    min_members: int | None = Field(default=None, ge=0)
    max_members: int | None = Field(default=None, ge=0)
    min_age_months: int | None = Field(default=None, ge=0)
    max_age_months: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> Self:
        for low, high in (("min_members", "max_members"), ("min_age_months", "max_age_months")):
            a, b = getattr(self, low), getattr(self, high)
            if a is not None and b is not None and a > b:
                raise ValueError(
                    Sentence(
                        "{low} ({a}) is above {high} ({b}): nothing could match",
                        low=low,
                        a=a,
                        high=high,
                        b=b,
                    )
                )
        return self


class MinShareIn(MinShare):
    """A least share; `strict` means more than, not at least."""

    model_config = ConfigDict(extra="forbid")


class CriteriaIn(Criteria):
    """The conditions of a track as a person writes them.

    A misspelt condition is refused, at any depth: ignored, it would admit all.
    """

    model_config = ConfigDict(extra="forbid")

    min_share_women: MinShareIn | None = None
    min_share_youth: MinShareIn | None = None
    min_share_women_plus_youth: MinShareIn | None = None
    min_share_women_or_youth: MinShareIn | None = None


class Profile(Contract):
    """What is known of an entity when criteria are applied. None means unknown, never no."""

    region: str | None = None
    province: str | None = None
    commune: str | None = None
    sector: str | None = None
    branch: str | None = None
    applicant_type: ApplicantType | None = None
    legal_status: LegalStatus | None = None
    activity_status: ActivityStatus | None = None
    members_total: int | None = None
    members_women: int | None = None
    members_youth: int | None = None
    members_women_or_youth: int | None = None
    created_on: date | None = None
