"""The SQL twin says of every row what the evaluator says, and lets an index narrow the search."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
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
    Facts,
    LegalStatus,
    MinShare,
)
from shared.eligibility import Outcome, evaluate, mask_of, months_before
from shared.eligibility.sql import compile_track

ROWS = 200
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
AGES = (0, 1, 6, 12, 24, 10**6)
COUNTS = (-1, 0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 13, 30, 100, 101, 2**31 - 1)

FACTS = Table(
    "facts",
    MetaData(),
    Column("id", Integer, primary_key=True),
    *(
        Column(name, Integer if name.startswith("members") else Text)
        for name in Facts.model_fields
        if name != "created_on"
    ),
    Column("created_on", Date),
    prefixes=["TEMPORARY"],
)


def some(values: tuple[Any, ...]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.one_of(st.just(()), st.lists(st.sampled_from(values), max_size=3).map(tuple))


def shares() -> st.SearchStrategy[MinShare | None]:
    percents = st.sampled_from((0, 1, 30, 33, 50, 99, 100))
    return st.none() | st.builds(MinShare, percent=percents, strict=st.booleans())


def limits(name: str, values: tuple[int, ...]) -> st.SearchStrategy[dict[str, int | None]]:
    """A least and a most in the right order, either of them absent at times."""
    value = st.none() | st.sampled_from(values)
    return st.tuples(value, value).map(
        lambda pair: dict(
            zip(
                (f"min_{name}", f"max_{name}"),
                sorted(pair) if None not in pair else pair,  # type: ignore[type-var]
                strict=True,
            )
        )
    )


@st.composite
def all_criteria(draw: st.DrawFn) -> Criteria:
    return Criteria(
        regions=draw(some(REGIONS)),
        provinces=draw(some(PROVINCES)),
        communes=draw(some(COMMUNES)),
        sectors=draw(some(SECTORS)),
        branches=draw(some(BRANCHES)),
        applicant_types=draw(some(tuple(ApplicantType))),
        legal_statuses=draw(some(tuple(LegalStatus))),
        activity_statuses=draw(some(tuple(ActivityStatus))),
        min_share_women=draw(shares()),
        min_share_youth=draw(shares()),
        min_share_women_plus_youth=draw(shares()),
        min_share_women_or_youth=draw(shares()),
        **draw(limits("members", (0, 1, 5, 10, 2**31, 2**70))),
        **draw(limits("age_months", AGES)),
    )


def some_facts(chance: random.Random) -> Facts:
    """Facts at the edges: missing, contradictory, on the threshold, on the cut-off day."""

    def maybe(values: tuple[Any, ...]) -> Any:
        return None if chance.random() < 0.25 else chance.choice(values)

    cut_off = months_before(REFERENCE_ON, chance.choice(AGES[:-1]))
    return Facts(
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


def narrowed(criteria: Criteria, chance: random.Random) -> Criteria:
    """Only a few of the criteria, so that one rule does not always hide the others."""
    kept = chance.sample(list(Criteria.model_fields), chance.randint(1, 6))
    return criteria.model_copy(
        update={
            name: field.get_default()
            for name, field in Criteria.model_fields.items()
            if name not in kept
        }
    )


@pytest.fixture(scope="module")
async def connection(postgres_url: str) -> AsyncIterator[AsyncConnection]:
    engine = create_async_engine(postgres_url)
    async with engine.connect() as connection:
        await connection.run_sync(FACTS.create)
        yield connection
        await connection.rollback()
    await engine.dispose()


async def differences(
    connection: AsyncConnection, criteria: Criteria, batch: list[Facts]
) -> list[tuple[Facts, str, tuple[bool, int]]]:
    """The rows of which the two say different things."""
    await connection.execute(text("TRUNCATE facts"))
    rows = [{"id": n, **facts.model_dump()} for n, facts in enumerate(batch)]
    await connection.execute(insert(FACTS), rows)
    track = compile_track(criteria, FACTS, REFERENCE_ON)
    found = await connection.execute(select(FACTS.c.id, track.possible, track.unknown))
    wrong = []
    for number, is_possible, mask in found.all():
        verdict = evaluate(criteria, batch[number], reference_on=REFERENCE_ON)
        expected = verdict.outcome is not Outcome.INELIGIBLE
        same_mask = mask == mask_of(verdict.unknown_fields) or not expected
        if is_possible is not expected or not same_mask:
            wrong.append((batch[number], verdict.outcome, (is_possible, mask)))
    return wrong


@settings(
    max_examples=500,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(criteria=all_criteria(), seed=st.integers(0, 2**32), is_narrow=st.booleans())
async def test_sql_and_evaluator_agree_on_every_row(
    connection: AsyncConnection, criteria: Criteria, seed: int, is_narrow: bool
):
    chance = random.Random(seed)
    asked = narrowed(criteria, chance) if is_narrow else criteria
    batch = [some_facts(chance) for _ in range(ROWS)]

    wrong = await differences(connection, asked, batch)

    assert wrong == []


@pytest.mark.parametrize("name", list(Criteria.model_fields))
async def test_sql_and_evaluator_agree_on_each_criterion_alone(connection, name):
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
    default = MinShare(percent=30, strict=True) if "share" in name else 6
    criteria = Criteria.model_validate({name: values.get(name, default)})
    batch = [some_facts(random.Random(seed)) for seed in range(1000)]

    wrong = await differences(connection, criteria, batch)

    assert wrong == []


async def test_nothing_of_the_criteria_is_written_into_the_statement():
    hostile = "x'); DROP TABLE facts; --"
    criteria = Criteria(provinces=(hostile,), communes=(hostile,), sectors=(hostile,))

    track = compile_track(criteria, FACTS, REFERENCE_ON)

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
    table = FACTS.to_metadata(MetaData(), name="register")
    places = [(item.code, item.region) for item in reference.provinces()]
    async with engine.connect() as connection:
        await connection.run_sync(table.create)
        await connection.execute(
            text(
                "INSERT INTO register (id, province, region, sector, members_total, members_women)"
                " SELECT n, (:provinces)[1 + n % 75], (:regions)[1 + n % 75], 'ARGAN', 10, n % 11"
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
