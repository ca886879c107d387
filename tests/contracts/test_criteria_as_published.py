"""Whoever evaluates criteria by their published description finds the audience that is alerted.

Three ways are compared: the description followed word by word (`published_criteria`), the evaluator
that explains, and the SQL of fan-outs on the columns of the audience, on a real PostgreSQL.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import MetaData, case, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from funding.calls.api import CallIn
from funding.calls.domain.call import Call
from funding.calls.seeds.editions import real_calls
from notifications.audience.models import PROFILE_FIELDS, audience
from notifications.fanout.domain.subjects import audience_tracks
from notifications.fanout.handlers import announcement_of_call, announcement_of_idea
from shared.contracts.criteria import (
    ActivityStatus,
    ApplicantType,
    Criteria,
    LegalStatus,
    Profile,
)
from shared.contracts.funding import CallSnapshot
from shared.contracts.ideas import IdeaPublished, IdeaSnapshot
from shared.eligibility.evaluate import evaluate
from shared.eligibility.sql import compile_track

from .published_criteria import FAILS, MATCHES, MAY_MATCH, Json, outcome

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
TODAY = date(2026, 11, 24)
POOL = 1500
OFTEN = settings(
    max_examples=1500,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

REGIONS = ("MA-02", "MA-07", "MA-09")
PROVINCES = ("MA-TIZ", "MA-AGD", "MA-TAT", "MA-NAD", "MA-SAF")
COMMUNES = ("09.581.05.03", "09.581.05.05", "09.001.01.01", "02.381.01.01", "99.999.01.01")
SECTORS, BRANCHES = ("ARGAN", "FOOD", "CRAFTS"), ("BEEKEEPING", "DAIRY")
TYPES = (ApplicantType.COOPERATIVE, ApplicantType.GIE)
COUNTS = (-1, 0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 13)
AGES = (0, 1, 2, 11, 12, 13, 24)
REFERENCE_DAYS = (
    date(2024, 2, 28),
    date(2024, 2, 29),
    date(2025, 2, 28),
    date(2025, 3, 30),
    date(2025, 3, 31),
    date(2025, 4, 30),
    date(2026, 11, 24),
)
NO_CRITERIA: Json = Criteria().model_dump(mode="json")
NOTHING_KNOWN: Json = Profile().model_dump(mode="json")


def some(values: Any) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.sampled_from(values), max_size=3, unique=True)


def in_order(criteria: Json) -> Json:
    """The criteria, with two limits exchanged where the least is above the most."""
    for name in ("members", "age_months"):
        low, high = criteria[f"min_{name}"], criteria[f"max_{name}"]
        if low is not None and high is not None and low > high:
            criteria = {**criteria, f"min_{name}": high, f"max_{name}": low}
    return criteria


SHARE = st.none() | st.fixed_dictionaries(
    {"percent": st.sampled_from((0, 1, 30, 33, 50, 99, 100)), "strict": st.booleans()}
)
SIZE, AGE = st.sampled_from((None, 0, 1, 5, 10)), st.sampled_from((None, *AGES))
CRITERIA = st.fixed_dictionaries(
    {
        "regions": some(REGIONS),
        "provinces": some(PROVINCES),
        "communes": some(COMMUNES),
        "sectors": some(SECTORS),
        "branches": some(BRANCHES),
        "applicant_types": some(TYPES),
        "legal_statuses": some(tuple(LegalStatus)),
        "activity_statuses": some(tuple(ActivityStatus)),
        "min_share_women": SHARE,
        "min_share_youth": SHARE,
        "min_share_women_plus_youth": SHARE,
        "min_share_women_or_youth": SHARE,
        "min_members": SIZE,
        "max_members": SIZE,
        "min_age_months": AGE,
        "max_age_months": AGE,
    }
).map(in_order)
ALONE = st.tuples(CRITERIA, st.sampled_from(sorted(Criteria.model_fields))).map(
    lambda drawn: {**NO_CRITERIA, drawn[1]: drawn[0][drawn[1]]}
)
"""One condition: where there are many, most entities fail one, and the others go unseen."""
REFERENCE_DAY = st.sampled_from(REFERENCE_DAYS)


def values_of(reference_on: date) -> dict[str, tuple[Any, ...]]:
    """What is stated of entities: on every threshold and beside it, contradictory, or unknown."""
    days = {(first_of(reference_on, age) + timedelta(days=n)) for age in AGES for n in range(31)}
    return {
        "region": (None, *REGIONS),
        "province": (None, *PROVINCES, "MA-QQQ"),
        "commune": (None, *COMMUNES, "09.581", ""),
        "sector": (None, *SECTORS),
        "branch": (None, *BRANCHES),
        "applicant_type": (None, *TYPES),
        "legal_status": (None, *LegalStatus),
        "activity_status": (None, *ActivityStatus),
        "members_total": (None, *COUNTS),
        "members_women": (None, *COUNTS),
        "members_youth": (None, *COUNTS),
        "members_women_or_youth": (None, None, *COUNTS),
        "created_on": (None, *sorted(day.isoformat() for day in days)),
    }


def first_of(day: date, months_before: int) -> date:
    """The first day of the month that lies so many months before that of the day."""
    year, month = divmod(day.year * 12 + day.month - 1 - months_before, 12)
    return date(year, month + 1, 1)


def entities(reference_on: date) -> st.SearchStrategy[Json]:
    values = values_of(reference_on)
    return st.fixed_dictionaries({name: st.sampled_from(each) for name, each in values.items()})


CASES = REFERENCE_DAY.flatmap(lambda day: st.tuples(CRITERIA | ALONE, entities(day), st.just(day)))


def created(day: str, **asked: int) -> tuple[Json, Json, date]:
    """An age asked for on the last day of February 2025, of an entity created on a day."""
    return (
        {**NO_CRITERIA, **asked},
        {**NOTHING_KNOWN, "created_on": day},
        date(2025, 2, 28),
    )


@OFTEN
@example(case=created("2025-01-31", min_age_months=1))
@example(case=created("2024-02-29", min_age_months=12))
@example(case=created("2024-01-29", max_age_months=12))
@example(case=created("2025-03-01", min_age_months=0))
@given(case=CASES)
def test_the_evaluator_follows_the_published_description(case: tuple[Json, Json, date]):
    criteria, entity, reference_on = case

    verdict = evaluate(
        Criteria.model_validate(criteria),
        Profile.model_validate(entity),
        reference_on=reference_on,
    )

    assert verdict.outcome == outcome(criteria, entity, reference_on)


@dataclass(frozen=True)
class Audience:
    """Entities in a table with the columns of the audience, and in memory by their ids."""

    connection: AsyncConnection
    entities: dict[uuid.UUID, Json]

    async def found(self, criteria: Json, reference_on: date) -> dict[uuid.UUID, str]:
        """The verdict of SQL on each entity."""
        track = compile_track(Criteria.model_validate(criteria), AUDIENCE, reference_on)
        verdict = case((track.possible, case((track.unknown == 0, MATCHES), else_=MAY_MATCH)))
        rows = await self.connection.execute(select(AUDIENCE.c.cooperative_id, verdict))
        return {who: verdict or FAILS for who, verdict in rows}

    def described(self, criteria: Json, reference_on: date) -> dict[uuid.UUID, str]:
        """The verdict of the published description on each entity."""
        return {who: outcome(criteria, each, reference_on) for who, each in self.entities.items()}


AUDIENCE = audience.to_metadata(MetaData(), name="audience_as_published")
AUDIENCE.indexes.clear()
Build = Callable[[list[Json]], Any]


@pytest.fixture(scope="module")
async def connection(postgres_url: str) -> AsyncIterator[AsyncConnection]:
    engine = create_async_engine(postgres_url)
    async with engine.connect() as connection:
        await connection.run_sync(AUDIENCE.create)
        yield connection
        await connection.rollback()
    await engine.dispose()


@pytest.fixture
async def stored(connection: AsyncConnection) -> AsyncIterator[Build]:
    """Stores entities as the audience; another test finds none of them."""
    saved = await connection.begin_nested()

    async def store(known: list[Json]) -> Audience:
        by_id = {uuid.UUID(int=number + 1): each for number, each in enumerate(known)}
        await connection.execute(insert(AUDIENCE), [row_of(*item) for item in by_id.items()])
        return Audience(connection, by_id)

    yield store
    await saved.rollback()


def row_of(who: uuid.UUID, entity: Json) -> Json:
    profile = Profile.model_validate(entity).model_dump()
    assert sorted(profile) == sorted(PROFILE_FIELDS)
    return {"cooperative_id": who, "version": 1, "language": "fr", **profile}


def some_entities(reference_on: date, number: int = POOL) -> list[Json]:
    chance = random.Random(112)
    values = values_of(reference_on).items()
    return [{name: chance.choice(each) for name, each in values} for _ in range(number)]


@pytest.mark.parametrize("reference_on", REFERENCE_DAYS, ids=str)
async def test_sql_finds_the_audience_of_the_published_description(
    stored: Build, reference_on: date
):
    register = await stored(some_entities(reference_on, POOL // 5))
    chance = random.Random(reference_on.toordinal())

    for _ in range(40):
        criteria = some_criteria(chance)
        found = await register.found(criteria, reference_on)
        assert found == register.described(criteria, reference_on), criteria


def some_criteria(chance: random.Random) -> Json:
    """One to three conditions."""
    values: dict[str, list[Any]] = {
        "regions": [["MA-09"], ["MA-02", "MA-07"]],
        "provinces": [["MA-TIZ"], ["MA-NAD", "MA-AGD"]],
        "communes": [[code] for code in COMMUNES],
        "sectors": [["ARGAN", "FOOD"]],
        "branches": [["DAIRY"]],
        "applicant_types": [["gie"]],
        "legal_statuses": [["registered"], ["dissolved", "struck_off"]],
        "activity_statuses": [["active"]],
        "min_members": [0, 5],
        "max_members": [10],
        "min_age_months": list(AGES),
        "max_age_months": list(AGES),
    }
    share = {"percent": chance.choice((0, 30, 50, 100)), "strict": chance.random() < 0.5}
    names = chance.sample(sorted(Criteria.model_fields), k=chance.randint(1, 3))
    drawn = {name: chance.choice(values.get(name, [share])) for name in names}
    return in_order({**NO_CRITERIA, **drawn})


@pytest.mark.parametrize("reference_on", REFERENCE_DAYS, ids=str)
async def test_every_day_of_creation_has_the_age_of_the_description_in_sql(
    stored: Build, reference_on: date
):
    days = [reference_on + timedelta(days=shift) for shift in range(-800, 40)]
    register = await stored([{**NOTHING_KNOWN, "created_on": day.isoformat()} for day in days])

    for name in ("min_age_months", "max_age_months"):
        for age in AGES:
            criteria = {**NO_CRITERIA, name: age}
            found = await register.found(criteria, reference_on)
            assert found == register.described(criteria, reference_on), criteria


def opened(tracks: list[Json], **terms: Any) -> Json:
    """What partners read of a call that a funder wrote with these tracks."""
    body = {
        "funder": "INDH",
        "title": {"fr": "Appel à projets", "ar": "طلب مشاريع"},
        "summary": {"fr": "Un appel.", "ar": "طلب."},
        "tracks": tracks,
        **terms,
    }
    call = Call(
        id=uuid.uuid4(),
        funder_slug=None,
        created_by=uuid.uuid4(),
        created_at=NOW,
        terms=CallIn.model_validate(body).terms(),
    )
    published: Json = call.open(at=NOW).public_data()["call"]
    return published


async def verdicts(register: Audience, call: Json) -> list[dict[uuid.UUID, str]]:
    """Whom notifications finds for each track of the call that travelled."""
    tracks = audience_tracks(announcement_of_call(CallSnapshot.model_validate(call)))
    on = date.fromisoformat(call["reference_on"])
    return [await register.found(track.model_dump(mode="json"), on) for track in tracks]


@pytest.mark.parametrize("seed", real_calls(), ids=lambda seed: seed.seed_key)
async def test_a_partner_finds_whom_a_call_alerts_by_what_travels_alone(stored: Build, seed: Any):
    register = await stored(some_entities(TODAY))
    call = opened(seed.payload["tracks"])

    by_the_partner = [
        register.described(track["criteria"], date.fromisoformat(call["reference_on"]))
        for track in call["tracks"]
    ]

    assert await verdicts(register, call) == by_the_partner


@pytest.mark.parametrize(
    ("written", "travels", "alerted"),
    [
        ({}, ["registered"], ["registered"]),
        ({"legal_statuses": []}, [], list(LegalStatus)),
        ({"legal_statuses": ["dissolved"]}, ["dissolved"], ["dissolved"]),
    ],
)
async def test_the_legal_statuses_that_are_meant_travel_and_none_is_added(
    stored: Build, written: Json, travels: list[str], alerted: list[str]
):
    register = await stored([{**NOTHING_KNOWN, "legal_status": each} for each in LegalStatus])
    track = {"name": {"fr": "Tous", "ar": "الجميع"}, "criteria": written}

    call = opened([track])

    assert call["tracks"][0]["criteria"]["legal_statuses"] == travels
    [found] = await verdicts(register, call)
    matching = [register.entities[who]["legal_status"] for who in found if found[who] == MATCHES]
    assert sorted(matching) == sorted(alerted)


async def test_a_partner_finds_whom_an_idea_alerts_by_what_travels_alone(stored: Build):
    register = await stored(some_entities(TODAY))
    idea = IdeaSnapshot.model_validate(
        {
            "idea_id": uuid.uuid4(),
            "version": 3,
            "state": "published",
            "title": {"fr": "Huile d'argan", "ar": "زيت أركان"},
            "summary": {"fr": "Une idée.", "ar": "فكرة."},
            "regions": ["MA-09"],
            "sectors": ["ARGAN"],
            "published_at": NOW,
            "author_id": uuid.uuid4(),
        }
    )
    read = IdeaPublished(idea_id=idea.idea_id, idea=idea).public_data()["idea"]
    [track] = audience_tracks(announcement_of_idea(idea, occurred_at=NOW))

    named = ("regions", "provinces", "sectors", "legal_statuses")
    criteria = {**NO_CRITERIA, **{name: read[name] for name in named}}

    found = await register.found(track.model_dump(mode="json"), TODAY)
    assert found == register.described(criteria, TODAY)
    assert {MATCHES, MAY_MATCH, FAILS} == set(found.values())
