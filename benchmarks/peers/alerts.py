"""What both peers do: find whom to alert, and write alert rows. No library's way is favoured."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence

import psycopg

ALERT = """\
INSERT INTO alert (subject_id, cooperative_id, edition, kind, subject_version, audience_version,
                   eligible_tracks, unknown_tracks, unknown_fields)
VALUES (%s, %s, 0, 'opened', 2, %s, 1, 0, 0) ON CONFLICT DO NOTHING"""
Recipient = tuple[str, int]
_own = threading.local()


def database() -> psycopg.Connection:
    """One connection per thread, kept open."""
    if not hasattr(_own, "connection"):
        _own.connection = psycopg.connect(os.environ["BENCH_DATABASE_URL"], autocommit=True)
    connection: psycopg.Connection = _own.connection
    return connection


def recipients(ids: str, limit: int) -> list[Recipient]:
    """Whom the call is for, at most so many."""
    rows = database().execute(f"{ids} LIMIT {limit}")  # type: ignore[arg-type]  # our own SQL
    return [(str(cooperative_id), version) for cooperative_id, version in rows]


def alert_recipients(subject: str, recipient: Recipient) -> None:
    """One alert, one commit."""
    database().execute(ALERT, (subject, *recipient))


def alert_many(subject: str, chunk: Sequence[Recipient]) -> None:
    """A chunk of alerts, one commit."""
    with database().transaction(), database().cursor() as cursor:
        cursor.executemany(ALERT, [(subject, *recipient) for recipient in chunk])
