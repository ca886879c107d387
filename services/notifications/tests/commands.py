"""Steps that tests share: store records, consume events, decide, and read what came of it."""

from __future__ import annotations

import csv
import io
import os

from sqlalchemy import func, select

from devkit.forks import commands
from notifications.audience import handlers as audience_handlers
from notifications.fanout import handlers
from notifications.fanout.domain.subjects import FIRST
from notifications.fanout.models import alert
from notifications.fanout.usecases import backfill, fanout_approval

from .builders import imported


async def consume(sessions, *arrivals):
    """Consume records and events in this order, in one transaction."""
    async with sessions.begin() as session:
        for each in arrivals:
            if hasattr(each, "cooperative_id"):
                await audience_handlers.store_imported_cooperatives(imported(each), session)
                await backfill.backfill_alerts(session)
            else:
                await handler_of(each)(each, session)


async def follow(api, *events):
    """Consume events in this order, each in a transaction of its own."""
    for event in events:
        async with api.sessions.begin() as session:
            await handler_of(event)(event, session)


def handler_of(event):
    """The consumer of this event that alerts."""
    if "announcement" in event.topic:
        return handlers.follow_announcement
    return handlers.follow_idea if "ideas" in event.topic else handlers.follow_call


async def register(api, *records):
    """Store records as one import brings them, then backfill."""
    async with api.sessions.begin() as session:
        await audience_handlers.store_imported_cooperatives(imported(*records), session)
    async with api.sessions.begin() as session:
        await backfill.backfill_alerts(session)


async def moment(api):
    """The present of the database, which dates what arrives."""
    async with api.sessions() as session:
        return await session.scalar(select(func.clock_timestamp()))


async def ask_why(api, tokens, subject_id, record, headers=None, **parameters):
    answer = await api.http.get(
        f"/subjects/{subject_id}/why/{record.cooperative_id}",
        params=parameters,
        headers=headers or tokens.headers("operator"),
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def decide(api, tokens, state, subject_id=None, *, reason="a wrong cap", status=200):
    """Decide about one fan-out, or about all, and fan out whatever waits afterwards."""
    path = f"/subjects/{subject_id}/approval" if subject_id else "/approval"
    answer = await api.http.put(
        path, json={"state": state, "reason": reason}, headers=tokens.headers("operator")
    )
    assert answer.status_code == status, answer.text
    while await fan_out_next(api):
        pass
    return answer.json()


async def fan_out_next(api):
    """Fan out one subject that waits; False where there is none."""
    async with api.sessions.begin() as session:
        return await fanout_approval.fan_out_waiting(session)


async def inbox(api, tokens, record, headers=None, **parameters):
    """The inbox of a cooperative, as an operator reads it unless other headers are given."""
    answer = await api.http.get(
        f"/cooperatives/{record.cooperative_id}/alerts",
        params=parameters,
        headers=headers or tokens.headers("operator"),
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def taawon(url, *arguments):
    """Run the command against this database, on a terminal of 200 columns."""
    environment = {**os.environ, "TAAWON_DATABASE_URL": url, "COLUMNS": "200"}
    return commands().run(*arguments, env=environment)


async def read_ledger(api, tokens, subject_id):
    """The rows of the ledger as its CSV table has them."""
    answer = await api.http.get(
        f"/subjects/{subject_id}/ledger.csv", headers=tokens.headers("operator")
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return rows_in(answer)


async def store_and_backfill(session, *records):
    """Store records in the audience, and alert those who match open subjects only now."""
    await audience_handlers.store_imported_cooperatives(imported(*records), session)
    await backfill_all(session)


async def backfill_all(session):
    """Backfill until no change is left to be matched."""
    while await backfill.backfill_alerts(session):
        pass


async def alerts_of(session, subject_id):
    """The alerts of a subject, in the order in which they were written."""
    rows = await session.execute(
        select(alert).where(alert.c.subject_id == subject_id).order_by(alert.c.seq)
    )
    return rows.all()


async def recipients(session, subject_id, edition=FIRST):
    """The cooperatives that have the alert of this edition."""
    rows = await alerts_of(session, subject_id)
    return {row.cooperative_id for row in rows if row.edition == edition}


async def totals_of(api, tokens, call, **parameters):
    answer = await api.http.get(
        f"/subjects/{call.call_id}/totals", params=parameters, headers=tokens.headers("operator")
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def kinds(api, subject_id):
    """What the alerts of a subject say, in the order in which they were written."""
    async with api.sessions() as session:
        rows = await session.scalars(
            select(alert.c.kind).where(alert.c.subject_id == subject_id).order_by(alert.c.seq)
        )
        return list(rows)


def rows_in(answer):
    """The rows of a CSV table, by its header."""
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


async def read_by(api, headers, call, place):
    """The answer of a route below a subject, read with these headers."""
    answer = await api.http.get(f"/subjects/{call.call_id}/{place}", headers=headers)
    assert answer.status_code == 200, answer.text
    return answer
