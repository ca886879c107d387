"""Tables of the audience, and the lock on them.

Columns of criteria have the names of `Facts`, so that SQL finds them.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    Identity,
    Index,
    Integer,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import ARRAY, UUID

from notifications.tables import metadata, moment

AUDIENCE_LOCK = 0x6175_6469  # "audi" in ASCII
"""Between the audience and fan-outs, so that neither misses the other's uncommitted rows.

A fan-out holds it alone. A backfill shares it with others, and asks for it when the change of the
audience is committed: a fan-out that has missed the change is then waited for, and its subject is
seen. Upserts of the audience share it too, for the sake of moments: these are those of statements,
which come after the lock; the start of a transaction that waited would put it before the other.
Fan-out approvals are decided under it as well, so under it nothing that a fan-out depends on moves.
"""

PROFILE_COLUMNS: tuple[tuple[str, type], ...] = (
    ("applicant_type", Text),
    ("legal_status", Text),
    ("activity_status", Text),
    ("region", Text),
    ("province", Text),
    ("commune", Text),
    ("sector", Text),
    ("branch", Text),
    ("members_total", Integer),
    ("members_women", Integer),
    ("members_youth", Integer),
    ("members_women_or_youth", Integer),
    ("created_on", Date),
)
PROFILE_FIELDS = [name for name, _ in PROFILE_COLUMNS]


def _profile_columns() -> list[Column[object]]:
    return [Column(name, kind) for name, kind in PROFILE_COLUMNS]


audience = Table(
    "audience",
    metadata,
    Column("cooperative_id", UUID(as_uuid=True), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("name_fr", Text),
    Column("name_ar", Text),
    Column("language", Text, nullable=False),
    *_profile_columns(),
    Column("contact_sealed", Text),
    moment("updated_at", default=True),
    Index("ix_audience_province", "province"),
    Index("ix_audience_region_sector", "region", "sector"),
    Index("ix_audience_sector", "sector"),
)


audience_history = Table(
    "audience_history",
    metadata,
    Column("cooperative_id", UUID(as_uuid=True), primary_key=True),
    Column("version", Integer, primary_key=True),
    *_profile_columns(),
    moment("valid_from", default=True),
    moment("valid_to", nullable=True),
)


# Only ever added to and taken from: a change that comes while another of the same cooperative is
# worked on has a row of its own, so it can't be lost with that one.
audience_change = Table(
    "audience_change",
    metadata,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    Column("cooperatives", ARRAY(UUID(as_uuid=True)), nullable=False),
)


CHANGE_CHANNEL = "taawon_audience"


CHANGE_SQL = (
    f"""CREATE FUNCTION audience_change_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_notify('{CHANGE_CHANNEL}', ''); RETURN NULL; END $$""",
    """CREATE TRIGGER audience_change_notify AFTER INSERT ON audience_change
FOR EACH STATEMENT EXECUTE FUNCTION audience_change_notify()""",
)
"""Wakes the backfill at commit; a migration runs it."""
