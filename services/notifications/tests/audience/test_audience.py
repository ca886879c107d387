"""The audience follows the register: the newest version counts, and every version is kept."""

from __future__ import annotations

import uuid

import pytest
from pydantic import ValidationError
from sqlalchemy import select

from notifications.audience import handlers as audience_handlers
from notifications.audience.models import audience, audience_history
from shared.contracts.base import LARGEST_VERSION_GAP, ImplausibleVersion
from shared.contracts.registry import CooperativesImported

from ..builders import a_record, imported
from ..commands import store_and_backfill

pytestmark = pytest.mark.servers


async def test_an_older_record_never_replaces_a_newer_one(session):
    newer = a_record(version=3, sector="FISHERIES")
    older = newer.model_copy(update={"version": 2, "sector": "ARGAN"})

    await audience_handlers.store_imported_cooperatives(imported(newer), session)
    await audience_handlers.store_imported_cooperatives(imported(older), session)

    assert (
        await session.scalar(
            select(audience.c.sector).where(audience.c.cooperative_id == newer.cooperative_id)
        )
        == "FISHERIES"
    )


async def test_every_version_of_a_record_stays_in_the_history(session):
    first = a_record()
    second = first.model_copy(update={"version": 2, "members_women": 14})

    await audience_handlers.store_imported_cooperatives(imported(first), session)
    await audience_handlers.store_imported_cooperatives(imported(second), session)

    rows = await session.execute(
        select(audience_history.c.version, audience_history.c.members_women)
        .where(audience_history.c.cooperative_id == first.cooperative_id)
        .order_by(audience_history.c.version)
    )
    assert [tuple(row) for row in rows] == [(1, 12), (2, 14)]


async def test_a_version_that_skips_silences_no_cooperative_of_its_batch(session):
    record, other = a_record(), a_record()
    await store_and_backfill(session, record, other)
    far = record.model_copy(update={"version": record.version + LARGEST_VERSION_GAP + 1})
    newer = record.model_copy(update={"version": 2, "province": "MA-AGD"})

    for batch in ([far], [other, far], [newer, far]):
        with pytest.raises(ImplausibleVersion):
            await audience_handlers.store_imported_cooperatives(imported(*batch), session)
    await store_and_backfill(session, newer)

    found = await session.execute(select(audience.c.version, audience.c.province))
    assert {tuple(row) for row in found} == {(2, "MA-AGD"), (1, "MA-TIZ")}


async def test_the_same_cooperative_twice_in_a_batch_counts_as_its_newest(session):
    record = a_record()
    newer = record.model_copy(update={"version": 2, "province": "MA-AGD"})

    await store_and_backfill(session, newer, record, newer)

    rows = (await session.execute(select(audience.c.version, audience.c.province))).all()
    assert [tuple(row) for row in rows] == [(2, "MA-AGD")]


@pytest.mark.parametrize("many", [0, 501])
def test_a_batch_holds_one_to_five_hundred(many):
    batch = {"batch_id": uuid.uuid4(), "import_id": uuid.uuid4()}

    with pytest.raises(ValidationError, match="cooperatives"):
        CooperativesImported(**batch, cooperatives=[a_record()] * many)
