"""Tables of the audience, and the lock on them.

The columns that criteria are evaluated on have the names of the fields of `Profile`.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Date,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, UUID

from notifications.tables import metadata, moment

AUDIENCE_LOCK = 0x6175_6469  # "audi" in ASCII
"""Advisory lock between the audience and fan-outs: neither misses the other's uncommitted rows.

A fan-out takes it exclusively. A backfill shares it, and takes it only after the change of the
audience is committed: so it waits for any fan-out that could not see the change, and then sees the
subject of that fan-out. Upserts of the audience share it too, because their rows are dated by the
statement, after the lock: the start of a transaction that waited would date them before the
fan-out that it waited for. Fan-out approvals are decided under it as well, so nothing that a
fan-out depends on changes while it runs.
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


# Rows are inserted and deleted, never updated: a change that comes while another of the same
# cooperative is being worked on has a row of its own, and is not deleted with the other.
audience_change = Table(
    "audience_change",
    metadata,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    Column("cooperatives", ARRAY(UUID(as_uuid=True)), nullable=False),
    Column("size", Integer, Computed("cardinality(cooperatives)", persisted=True), nullable=False),
    Column("after_subject", UUID(as_uuid=True)),
    Index("ix_audience_change_size", "size", "seq"),
)


audience_rebuild = Table(
    "audience_rebuild",
    metadata,
    Column(
        "is_running",
        Boolean,
        CheckConstraint("is_running", name="one_row"),
        primary_key=True,
        server_default=true(),
    ),
    moment("began_at", default=True),
)
"""Has its one row from the first to the last batch of a snapshot that fills an audience anew."""


CHANGE_CHANNEL = "taawon_audience"
"""A trigger on `audience_change` notifies this PostgreSQL channel at commit; the backfill
listens."""
