"""Cooperatives to rows and back, without a mapper: an import converts them by the thousand."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

import orjson

from shared.contracts.criteria import ActivityStatus, ApplicantType, LegalStatus
from shared.reference.folding import fold

from ..domain.cooperative import Cooperative, Entry, Governance, SealedContact

PROFILE_FIELDS: Final = tuple(item.name for item in fields(Entry) if item.name != "contact")
"""The fields of an entry that concern the organisation, and no person."""
_profile_of: Final[Callable[[Entry], tuple[Any, ...]]] = attrgetter(*PROFILE_FIELDS)


def entry_values(entry: Entry, contact: SealedContact | None) -> dict[str, Any]:
    """The columns of an entry, and those derived from it: region, identity, search key, digest.

    The contact is a parameter of its own, for copying an entry with it would cost more than all of
    its columns.
    """
    profile = _profile_of(entry)
    values = dict(zip(PROFILE_FIELDS, profile, strict=True))
    values["court_key"], values["register_key"] = entry.identity
    values["region"] = entry.region
    values["search_key"] = search_key(entry.name_fr, entry.name_ar)
    mark = contact.mark if contact else None
    values["digest"] = _digest(profile, mark)
    values["contact_sealed"] = contact.sealed if contact else None
    values["contact_mark"] = mark
    return values


def digest_of(entry: Entry, contact_mark: str | None) -> str:
    """SHA-256 in hex of an entry and the mark of its contact: equal if nothing differs."""
    return _digest(_profile_of(entry), contact_mark)


def _digest(profile: tuple[Any, ...], contact_mark: str | None) -> str:
    return hashlib.sha256(orjson.dumps((profile, contact_mark))).hexdigest()


def search_key(*names: str | None) -> str:
    """The words of the names without case, accents or letter variants, as searches compare them."""
    words = " ".join(filter(None, names)).split()
    return " ".join(map(_folded_word, words))


@lru_cache(maxsize=65_536)
def _folded_word(word: str) -> str:
    return fold(word)


def cooperative_values(aggregate: Cooperative) -> dict[str, Any]:
    """The columns of a cooperative."""
    return entry_values(aggregate.entry, aggregate.entry.contact) | {
        "id": aggregate.id,
        "version": aggregate.version,
        "source": aggregate.source,
        "as_of_on": aggregate.as_of_on,
        "provenance": aggregate.provenance,
        "contact_settled_at": aggregate.contact_settled_at,
        "import_id": aggregate.import_id,
        "source_import_id": aggregate.source_import_id,
    }


def cooperative_from(row: Mapping[str, Any]) -> Cooperative:
    """The cooperative of a row."""
    return Cooperative(
        id=row["id"],
        version=row["version"],
        entry=_entry_from(row),
        source=row["source"],
        as_of_on=row["as_of_on"],
        provenance=row["provenance"],
        contact_settled_at=row["contact_settled_at"],
        import_id=row["import_id"],
        source_import_id=row["source_import_id"],
    )


def _entry_from(row: Mapping[str, Any]) -> Entry:
    values = {name: row[name] for name in PROFILE_FIELDS}
    contact = None
    if row["contact_sealed"] is not None:
        contact = SealedContact(sealed=row["contact_sealed"], mark=row["contact_mark"])
    values["applicant_type"] = ApplicantType(row["applicant_type"])
    values["legal_status"] = LegalStatus(row["legal_status"])
    for name, kind in (("governance", Governance), ("activity_status", ActivityStatus)):
        values[name] = kind(row[name]) if row[name] is not None else None
    return Entry(**values, contact=contact)
