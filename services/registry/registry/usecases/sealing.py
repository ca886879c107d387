"""Contacts are sealed before they are stored or sent, and marked so that changes show."""

from __future__ import annotations

import json

from registry.domain import Contact, SealedContact
from shared.sealed import Sealer


def seal_contact(sealer: Sealer, contact: Contact | None) -> SealedContact | None:
    """Ciphertext and mark; nothing when nothing is known."""
    if contact is None or not contact.clear_values():
        return None
    return SealedContact(sealed=sealer.seal(contact.clear_values()), mark=mark_of(sealer, contact))


def mark_of(sealer: Sealer, contact: Contact) -> str:
    """The ciphertext differs each time: only the mark says whether the values are the same."""
    return sealer.blind_index(json.dumps(contact.clear_values(), sort_keys=True))


def open_contact(sealer: Sealer, sealed: str | None) -> Contact:
    """The contact in clear."""
    return Contact(**sealer.open(sealed)) if sealed else Contact()
