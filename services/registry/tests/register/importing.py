"""Imports as the tests of the register run them, and what came of them."""

from __future__ import annotations

import io
import uuid
from datetime import date

from sqlalchemy import func, select

from devkit import pytest_plugin
from registry.register.domain.cooperative import FileOrigin
from registry.register.domain.imports import RegisterImport
from registry.register.models import tables
from registry.register.register_file.decoding import lines_of
from registry.register.register_file.reader import read_rows
from registry.register.usecases.erased_contacts import ErasedContacts
from registry.register.usecases.imports import import_register
from registry.register.usecases.row_comparison import RowComparer
from registry.register.usecases.row_upsert import Batch, RowUpsert
from shared.business_days import today
from shared.contracts.base import new_id, now
from shared.contracts.registry import CooperativesImported
from shared.kernel.auth.local_operator import LOCAL_OPERATOR
from shared.kernel.data.database import Sessions
from shared.kernel.data.tables import AuditRow, OutboxRow
from shared.kernel.encryption.sealer import Sealer

SEALER = Sealer([pytest_plugin.SEAL_KEY])


async def imported(
    sessions: Sessions, content: bytes, as_of_on: date | None = None
) -> RegisterImport:
    lines = lines_of(io.BytesIO(content))
    async for step in import_register(
        sessions, SEALER, LOCAL_OPERATOR, lines, source="test.csv", as_of_on=as_of_on
    ):
        report = step.report
    return report


async def published(sessions: Sessions, report: RegisterImport) -> list[CooperativesImported]:
    bodies = await published_bodies(sessions, report)
    return [CooperativesImported.model_validate_json(body) for body in bodies]


async def published_bodies(sessions: Sessions, report: RegisterImport) -> list[bytes]:
    """The events of an import, as they cross the broker."""
    async with sessions() as session:
        rows = await session.scalars(
            select(OutboxRow.body)
            .where(OutboxRow.topic == CooperativesImported.topic)
            .order_by(OutboxRow.seq)
        )
        return [body for body in rows if str(report.id).encode() in body]


async def stored(sessions: Sessions, court: str) -> int:
    table = tables.cooperative
    async with sessions() as session:
        return await session.scalar(select(func.count()).where(table.c.court == court)) or 0


async def audited(sessions: Sessions, record_id: uuid.UUID) -> list[AuditRow]:
    query = select(AuditRow).filter_by(subject_id=record_id).order_by(AuditRow.id)
    async with sessions() as session:
        return list(await session.scalars(query))


async def prepared(sessions: Sessions, content: bytes) -> tuple[RowUpsert, Batch]:
    """A batch that was read and sealed while the database was still busy with the one before."""
    report = RegisterImport(id=new_id(), source="waits.csv", started_at=now())
    origin = FileOrigin(import_id=report.id, source=report.source, as_of_on=today())
    erased = ErasedContacts(sealer=SEALER, marks=frozenset())
    comparer = RowComparer(sealer=SEALER, erased=erased, origin=origin)
    upsert = RowUpsert(sessions=sessions, comparer=comparer, caller=LOCAL_OPERATOR, report=report)
    verdicts = tuple(read_rows(lines_of(io.BytesIO(content))))
    return upsert, await upsert.prepare(verdicts)
