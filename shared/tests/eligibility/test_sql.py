"""The SQL condition agrees with the evaluator on every row, and lets an index narrow the search."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import (
    ClauseElement,
    Column,
    Date,
    Executable,
    Integer,
    MetaData,
    Table,
    Text,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.ext.compiler import compiles

from shared import reference
from shared.contracts.criteria import (
    ActivityStatus,
    ApplicantType,
    Criteria,
    LegalStatus,
    MinShare,
    Profile,
)
from shared.contracts.numbers import MOST_MEMBERS
from shared.eligibility.evaluate import evaluate, last_creation_day
from shared.eligibility.sql import compile_track
from shared.eligibility.verdict import Outcome, Verdict, mask_of

pytestmark = pytest.mark.servers

POOL, BATCH = 4000, 200
REFERENCE_ON = date(2024, 2, 29)
REGIONS = ("MA-02", "MA-07", "MA-09", "MA-99")
PROVINCES = ("MA-TIZ", "MA-AGD", "MA-TAT", "MA-NAD", "MA-SAF", "MA-CAS", "MA-QQQ")
COMMUNES = (
    "09.581.05.03",
    "09.581.05.05",
    "09.001.01.01",
    "02.381.01.01",
    "06.141.01.31",
    "99.999.01.01",
    "09.581",
    "",
)
SECTORS, BRANCHES = ("ARGAN", "FOOD", "CRAFTS"), ("BEEKEEPING", "DAIRY")
AGES = (0, 1, 6, 12, 24, 12_000)
COUNTS = (-1, 0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 13, 30, 100, 101, 2**31 - 1)

PROFILES = Table(
    "profile",
    MetaData(),
    Column("id", Integer, primary_key=True),
    *(
        Column(name, Integer if name.startswith("members") else Text)
        for name in Profile.model_fields
        if name != "created_on"
    ),
    Column("created_on", Date),
    prefixes=["TEMPORARY"],
)


def some(values: tuple[Any, ...]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=3).map(tuple)


def in_order(criteria: dict[str, Any]) -> Criteria:
    """The criteria, with the two limits exchanged where the minimum is above the maximum."""
    for name in ("members", "age_months"):
        low, high = criteria.get(f"min_{name}"), criteria.get(f"max_{name}")
        if low is not None and high is not None and low > high:
            criteria = {**criteria, f"min_{name}": high, f"max_{name}": low}
    return Criteria.model_validate(criteria)


SHARE = st.builds(
    MinShare, percent=st.sampled_from((0, 1, 30, 33, 50, 99, 100)), strict=st.booleans()
)
SIZE, AGE = st.sampled_from((0, 1, 5, 10, MOST_MEMBERS)), st.sampled_from(AGES)
CRITERIA = st.fixed_dictionaries(
    {},
    optional={
        "regions": some(REGIONS),
        "provinces": some(PROVINCES),
        "communes": some(COMMUNES),
        "sectors": some(SECTORS),
        "branches": some(BRANCHES),
        "applicant_types": some(tuple(ApplicantType)),
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
    },
).map(in_order)


def some_profile(chance: random.Random) -> Profile:
    """A profile at the edges: values missing, contradictory, on a threshold, on a cut-off day."""

    def maybe(values: tuple[Any, ...]) -> Any:
        return None if chance.random() < 0.25 else chance.choice(values)

    cut_off = last_creation_day(chance.choice(AGES[:-1]), REFERENCE_ON)
    assert cut_off is not None
    return Profile(
        region=maybe(REGIONS),
        province=maybe(PROVINCES),
        commune=maybe(COMMUNES),
        sector=maybe(SECTORS),
        branch=maybe(BRANCHES),
        applicant_type=maybe(tuple(ApplicantType)),
        legal_status=maybe(tuple(LegalStatus)),
        activity_status=maybe(tuple(ActivityStatus)),
        members_total=maybe(COUNTS),
        members_women=maybe(COUNTS),
        members_youth=maybe(COUNTS),
        members_women_or_youth=maybe(COUNTS),
        created_on=maybe(tuple(cut_off + timedelta(days=shift) for shift in (-1, 0, 1, 400))),
    )


@dataclass(frozen=True)
class Pool:
    """A few thousand profiles, in the table and in memory; the id of each is its index."""

    connection: AsyncConnection
    profiles: list[Profile]

    async def differences(
        self, criteria: Criteria, numbers: range
    ) -> list[tuple[Profile, str, tuple[bool, int]]]:
        """The profiles with these numbers on which SQL and evaluator disagree."""
        track = compile_track(criteria, PROFILES, REFERENCE_ON)
        found = await self.connection.execute(
            select(PROFILES.c.id, track.possible, track.unknown).where(
                PROFILES.c.id.between(numbers.start, numbers.stop - 1)
            )
        )
        rows = found.all()
        assert len(rows) == len(numbers)
        return [
            (self.profiles[number], verdict.outcome, (is_possible, mask))
            for number, is_possible, mask in rows
            if not agree(
                verdict := evaluate(criteria, self.profiles[number], reference_on=REFERENCE_ON),
                is_possible,
                mask,
            )
        ]


def agree(verdict: Verdict, is_possible: bool | None, mask: int) -> bool:
    if verdict.outcome is Outcome.INELIGIBLE:
        return is_possible is False
    return is_possible is True and mask == mask_of(verdict.unknown_fields)


@pytest.fixture(scope="module")
async def pool(postgres_url: str) -> AsyncIterator[Pool]:
    chance = random.Random(112)
    profiles = [some_profile(chance) for _ in range(POOL)]
    engine = create_async_engine(postgres_url)
    async with engine.connect() as connection:
        await connection.run_sync(PROFILES.create)
        rows = [{"id": number, **item.model_dump()} for number, item in enumerate(profiles)]
        await connection.execute(insert(PROFILES), rows)
        yield Pool(connection, profiles)
        await connection.rollback()
    await engine.dispose()


@settings(
    max_examples=500,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(criteria=CRITERIA, start=st.integers(0, POOL - BATCH))
async def test_sql_and_evaluator_agree_on_every_row(pool: Pool, criteria: Criteria, start: int):
    wrong = await pool.differences(criteria, range(start, start + BATCH))

    assert wrong == []


@pytest.mark.parametrize("name", list(Criteria.model_fields))
async def test_sql_and_evaluator_agree_on_each_criterion_alone(pool, name):
    values = {
        "regions": ("MA-09", "MA-02"),
        "provinces": ("MA-TIZ",),
        "communes": COMMUNES[:3],
        "sectors": SECTORS[:1],
        "branches": BRANCHES[:1],
        "applicant_types": (ApplicantType.COOPERATIVE,),
        "legal_statuses": (LegalStatus.REGISTERED,),
        "activity_statuses": (ActivityStatus.ACTIVE,),
    }
    share = MinShare(percent=30, strict=True)
    criteria = Criteria.model_validate({name: values.get(name, share if "share" in name else 6)})

    wrong = await pool.differences(criteria, range(POOL))

    assert wrong == []


async def test_no_value_of_the_criteria_is_part_of_the_statement():
    hostile = "x'); DROP TABLE profile; --"
    criteria = Criteria(provinces=(hostile,), communes=(hostile,), sectors=(hostile,))

    track = compile_track(criteria, PROFILES, REFERENCE_ON)

    assert "DROP" not in str(select(track.possible, track.unknown).compile())


class Explain(Executable, ClauseElement):
    """`EXPLAIN` of a statement, its values still bound."""

    inherit_cache = False

    def __init__(self, statement: ClauseElement) -> None:
        self.statement = statement


@compiles(Explain)
def _explain(element: Explain, compiler: Any, **options: Any) -> str:
    return f"EXPLAIN {compiler.process(element.statement, **options)}"


@pytest.fixture(scope="module")
async def register(postgres_url: str) -> AsyncIterator[tuple[AsyncConnection, Table]]:
    """A register of 60,000 rows over all provinces, with an index on the province."""
    engine = create_async_engine(postgres_url)
    table = PROFILES.to_metadata(MetaData(), name="register")
    places = [(item.code, item.region) for item in reference.provinces()]
    async with engine.connect() as connection:
        await connection.run_sync(table.create)
        await connection.execute(
            text(
                "INSERT INTO register (id, province, region, sector, members_total, members_women)"
                " SELECT n, (CAST(:provinces AS text[]))[1 + n % 75],"
                " (CAST(:regions AS text[]))[1 + n % 75], 'ARGAN', 10, n % 11"
                " FROM generate_series(1, 60000) AS n"
            ).bindparams(
                provinces=[code for code, _ in places], regions=[region for _, region in places]
            )
        )
        await connection.execute(text("CREATE INDEX ON register (province)"))
        await connection.execute(text("ANALYZE register"))
        yield connection, table
        await connection.rollback()
    await engine.dispose()


@pytest.mark.parametrize(
    "criteria",
    [
        Criteria(provinces=("MA-TIZ",)),
        Criteria(communes=("09.581.05.03",)),
        Criteria(provinces=("MA-TIZ", "MA-NAD"), min_share_women=MinShare(percent=30)),
        Criteria(regions=("MA-12",), sectors=("ARGAN",)),
    ],
)
async def test_a_narrow_territory_is_found_through_the_index(register, criteria):
    connection, table = register
    track = compile_track(criteria, table, REFERENCE_ON)
    statement = select(func.count(), func.max(track.unknown)).where(track.possible)

    plan = "\n".join((await connection.execute(Explain(statement))).scalars())

    assert "Index Scan" in plan
    assert "Seq Scan" not in plan
