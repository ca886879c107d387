"""The statements that an import runs for each batch."""

from __future__ import annotations

from typing import Final

from sqlalchemy import TextClause, text
from sqlalchemy.dialects import postgresql

from .tables import cooperative

_KNOWN: Final = """
    SELECT c.court_key, c.register_key, c.digest, c.contact_settled_at IS NOT NULL AS is_settled,
        CASE WHEN c.contact_settled_at IS NOT NULL THEN c.contact_sealed END AS contact_sealed,
        CASE WHEN c.contact_settled_at IS NOT NULL THEN c.contact_mark END AS contact_mark
    FROM cooperative c
    JOIN unnest(CAST(:court_keys AS text[]), CAST(:register_keys AS text[]))
        AS given (court_key, register_key) USING (court_key, register_key)
"""
KNOWN: Final = text(_KNOWN)
"""What is known of the cooperatives among the given identities."""
KNOWN_LOCKED: Final = text(f"{_KNOWN} ORDER BY c.id FOR UPDATE OF c")
"""The same; nobody changes them until the end of the transaction.

In the order of ids, as everybody locks several: two who do so never wait in a circle."""


_DIALECT: Final = postgresql.dialect()  # type: ignore[no-untyped-call]  # untyped upstream


def _upsert() -> TextClause:
    """One statement for a whole batch; a row that says the same is left alone."""
    own = {"provenance", "changed_at", "contact_settled_at"}
    columns = [column for column in cooperative.columns if column.name not in own]
    names = ", ".join(column.name for column in columns)
    typed = ", ".join(f"{column.name} {column.type.compile(_DIALECT)}" for column in columns)
    kept = {"id", "version", "court_key", "register_key"}
    changes = ", ".join(
        f"{column.name} = excluded.{column.name}" for column in columns if column.name not in kept
    )
    # One JSON text rather than an array per column: half the time in the driver.
    return text(
        f"""
        INSERT INTO cooperative ({names})
        SELECT {names} FROM json_to_recordset(CAST(:rows AS json)) AS given ({typed})
        ON CONFLICT (court_key, register_key) DO UPDATE
        SET {changes}, version = cooperative.version + 1, provenance = '{{}}', changed_at = now()
        WHERE cooperative.digest <> excluded.digest
        RETURNING id, version, court_key, register_key
        """
    )


UPSERT: Final = _upsert()
"""Binds the rows as one JSON text; returns those that are new or changed."""
