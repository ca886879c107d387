"""What tests of explanations and ledgers do: consume events, ask, decide about approvals."""

from __future__ import annotations

import csv
import io
import os

from sqlalchemy import func, select

from devkit.forks import commands
from notifications.audience import handlers as audience_handlers
from notifications.fanout import handlers
from notifications.fanout.usecases import backfill, fanout_approval

from .builders import imported


async def consume(sessions, *happened):
    """Records and events, in the order in which they arrived."""
    async with sessions.begin() as session:
        for item in happened:
            if hasattr(item, "cooperative_id"):
                await audience_handlers.store_imported_cooperatives(imported(item), session)
                await backfill.backfill_alerts(session)
            elif "ideas" in item.topic:
                await handlers.follow_idea(item, session)
            else:
                await handlers.follow_call(item, session)


async def moment(api):
    """The present of the database, which dates what is received."""
    async with api.sessions() as session:
        return await session.scalar(select(func.clock_timestamp()))


async def ask(api, tokens, subject_id, record, headers=None, **parameters):
    answer = await api.http.get(
        f"/subjects/{subject_id}/why/{record.cooperative_id}",
        params=parameters,
        headers=headers or tokens.headers("operator"),
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def decide(api, tokens, state, reason, subject_id=None):
    path = f"/subjects/{subject_id}/approval" if subject_id else "/approval"
    decided = await api.http.put(
        path, json={"state": state, "reason": reason}, headers=tokens.headers("operator")
    )
    assert decided.status_code == 200, decided.text
    async with api.sessions.begin() as session:
        await fanout_approval.fan_out_waiting(session)


def taawon(url, *arguments):
    return commands().run(*arguments, env={**os.environ, "TAAWON_DATABASE_URL": url})


async def read_ledger(api, tokens, subject_id):
    answer = await api.http.get(
        f"/subjects/{subject_id}/ledger.csv", headers=tokens.headers("operator")
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
