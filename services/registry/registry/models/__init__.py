"""The registry's tables, and how aggregates are kept in them."""

from .mapping import mapping
from .rows import cooperative_from, cooperative_values, digest_of, entry_values, search_key
from .statements import AUDIT_CHANGES, CHANGED_BY_IMPORT, KNOWN, KNOWN_LOCKED, UPSERT
from .tables import (
    account,
    api_client,
    cooperative,
    linked_identity,
    metadata,
    partner,
    person_answer,
    person_request,
    register_import,
    sign_in_failure,
    signing_key,
)

__all__ = [
    "AUDIT_CHANGES",
    "CHANGED_BY_IMPORT",
    "KNOWN",
    "KNOWN_LOCKED",
    "UPSERT",
    "account",
    "api_client",
    "cooperative",
    "cooperative_from",
    "cooperative_values",
    "digest_of",
    "entry_values",
    "linked_identity",
    "mapping",
    "metadata",
    "partner",
    "person_answer",
    "person_request",
    "register_import",
    "search_key",
    "sign_in_failure",
    "signing_key",
]
