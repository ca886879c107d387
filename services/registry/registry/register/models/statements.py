"""The statements that an import runs for each batch."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Date, Text, TextClause, bindparam, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import UUID as PgUUID

from .rows import PROFILE_FIELDS
from .tables import cooperative

_KNOWN: Final = """
    SELECT c.court_key, c.register_key, c.digest, c.contact_settled_at IS NOT NULL AS is_settled,
        CASE WHEN c.contact_settled_at IS NOT NULL THEN c.contact_sealed END AS contact_sealed,
        CASE WHEN c.contact_settled_at IS NOT NULL THEN c.contact_mark END AS contact_mark,
        c.as_of_on, c.source_import_id IS NULL OR c.provenance <> '{}' AS has_own_origins
    FROM cooperative c
    JOIN unnest(CAST(:court_keys AS text[]), CAST(:register_keys AS text[]))
        AS given (court_key, register_key) USING (court_key, register_key)
"""
KNOWN: Final = text(_KNOWN)
"""Those of the cooperatives with these identities that are in the register."""
KNOWN_LOCKED: Final = text(f"{_KNOWN} ORDER BY c.id FOR UPDATE OF c")
"""The same, locked until the end of the transaction, in the order of ids.

Whoever locks several cooperatives does it in this order, so that nobody waits in a circle.
"""


_DIALECT: Final = postgresql.dialect()  # type: ignore[no-untyped-call]  # untyped upstream


_NOT_IMPORTED: Final = {"changed_at", "contact_settled_at"}
_IMPORTED: Final = {
    column.name: column.type.compile(_DIALECT)
    for column in cooperative.columns
    if column.name not in _NOT_IMPORTED
}
_ROWS: Final = "json_to_recordset(CAST(:rows AS json)) AS given ({})".format(
    ", ".join(f"{name} {kind}" for name, kind in _IMPORTED.items())
)
"""One JSON text rather than an array per column: it halves the time in the driver."""


CHANGED_BY_IMPORT: Final = "cooperative changed by an import"


def _audit_changes() -> TextClause:
    compared = ", ".join(
        f"('{field}', to_jsonb(c.{field}), to_jsonb(given.{field}))" for field in PROFILE_FIELDS
    )
    contact = "('contact', to_jsonb(c.contact_mark), to_jsonb(given.contact_mark))"
    shown = "CASE name WHEN 'contact' THEN '\"changed\"' ELSE {} END".format
    return text(
        f"""
        INSERT INTO audit (actor_id, actor_roles, action, subject_id, before, after, correlation_id)
        SELECT :actor_id, :actor_roles, '{CHANGED_BY_IMPORT}', c.id, difference.before,
            difference.after || jsonb_build_object('import_id', :import_id), :correlation_id
        FROM {_ROWS} JOIN cooperative c USING (court_key, register_key)
        CROSS JOIN LATERAL (
            SELECT jsonb_object_agg(name, {shown("old")}) AS before,
                jsonb_object_agg(name, {shown("new")}) AS after
            FROM (VALUES {compared}, {contact}) AS changed_field (name, old, new)
            WHERE old IS DISTINCT FROM new
        ) AS difference
        WHERE c.digest <> given.digest
        RETURNING subject_id
        """
    ).bindparams(
        bindparam("actor_id", type_=PgUUID),
        bindparam("actor_roles", type_=JSONB),
        bindparam("import_id", type_=Text),
        bindparam("correlation_id", type_=Text),
    )


AUDIT_CHANGES: Final = _audit_changes()
"""Inserts an audit row for each cooperative that the given rows are about to change.

It holds values of the organisation before and after, and of a contact only that it changed. Returns
the ids of the cooperatives.
"""


def _upsert() -> TextClause:
    names = ", ".join(_IMPORTED)
    kept = {"id", "version", "court_key", "register_key", "import_id"}
    changes = ", ".join(f"{name} = excluded.{name}" for name in _IMPORTED if name not in kept)
    return text(
        f"""
        INSERT INTO cooperative ({names})
        SELECT {names} FROM {_ROWS}
        ON CONFLICT (court_key, register_key) DO UPDATE
        SET {changes}, version = cooperative.version + 1, changed_at = now()
        WHERE cooperative.digest <> excluded.digest
        RETURNING id, version, court_key, register_key
        """
    )


CONFIRM: Final = text(
    """
    UPDATE cooperative c SET source = :source, as_of_on = :as_of_on,
        source_import_id = :import_id, provenance = coalesce(
            (
                SELECT jsonb_object_agg(key, value) FROM jsonb_each(c.provenance)
                WHERE CAST(value ->> 'as_of_on' AS date) > :as_of_on
            ),
            '{}'
        )
    FROM unnest(CAST(:court_keys AS text[]), CAST(:register_keys AS text[]))
        AS given (court_key, register_key)
    WHERE c.court_key = given.court_key AND c.register_key = given.register_key
        AND c.as_of_on < :as_of_on
    """
).bindparams(bindparam("import_id", type_=PgUUID), bindparam("as_of_on", type_=Date))
"""Notes the day and the file that say what the register says already: no change, no version."""


UPSERT: Final = _upsert()
"""Inserts or updates a whole batch, bound as one JSON text; rows that say the same are left alone.

Returns the rows that are new or changed.
"""
