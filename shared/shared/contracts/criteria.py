"""Who something is meant for: plain data that both the evaluator and the SQL compiler read."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Self

from pydantic import model_validator

from shared.sentences import Sentence

from .base import Contract
from .numbers import AgeMonths, Members, Percent, Stored
from .request_body import RequestBody


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
    """A least share of the members, in percent; `strict` means more than, not at least."""

    percent: Percent
    strict: bool = False


class Criteria(Contract):
    """The conditions of one track: whoever meets all of them matches.

    An empty list or a missing value constrains nothing. A condition on what is unknown of an entity
    is open: whoever fails none, but has an open one, may match, and is alerted as well.

    Places: `regions`, `provinces` and `communes` are a union. The province of an entity decides or,
    where it is unknown, the one that its commune's code begins with. A province is inside if it is
    named or lies in a named region; if only communes of it are named, the commune has to be one of
    them. Where there is no province, a named region is inside, and one of which a province or a
    commune is named is open, as is an unknown one.

    Members: a total of 0, a count below 0 and one above the total are unknown, and an unknown count
    may be any number from 0 to the total. A share is compared exactly, never rounded. It is open
    while some possible numbers meet it and others do not, and always where the total is unknown,
    unless it asks for at least 0 %. Youth are members of 18 to 35 years.
    `min_share_women_plus_youth` adds both counts (a young woman counts twice, as calls that say
    "women + youth" do). `min_share_women_or_youth` counts each member once, by
    `members_women_or_youth`: where that is missing, it may be any number from the larger of both
    counts to their sum, at most the total; where it can't be true (below 0, above the total, below
    either count, above their sum), any number from 0 to the total.

    Ages are calendar months completed from the creation to `reference_on`. A month is completed on
    the day of the month of the creation, in a month without such a day on its last: created on 31
    January, an entity is one month old from 28 February on, in a leap year from the 29th. One
    created after `reference_on` is too young for any `min_age_months`, 0 included, and young enough
    for every `max_age_months`.
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
    min_members: Members | None = None
    max_members: Members | None = None
    min_age_months: AgeMonths | None = None
    max_age_months: AgeMonths | None = None

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


class MinShareIn(MinShare, RequestBody):
    """A least share; `strict` means more than, not at least."""


class CriteriaIn(Criteria, RequestBody):
    """The conditions of a track as a person writes them.

    A misspelt condition is refused, at any depth: ignored, it would admit all. Whoever leaves out
    `legal_statuses` means registered entities; an empty list constrains nothing. What is stored
    and published says either in so many words.
    """

    legal_statuses: tuple[LegalStatus, ...] = (LegalStatus.REGISTERED,)
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
    members_total: Stored | None = None
    members_women: Stored | None = None
    members_youth: Stored | None = None
    members_women_or_youth: Stored | None = None
    created_on: date | None = None
