"""Contacts are sealed before they are stored or sent, and marked so that changes show."""

from __future__ import annotations

from registry.domain import Contact, SealedContact
from shared.sealed import Sealer


def seal_contact(sealer: Sealer, contact: Contact | None) -> SealedContact | None:
    """Ciphertext and mark; nothing when nothing is known."""
    values = contact.clear_values() if contact else {}
    if contact is None or not values:
        return None
    return SealedContact(sealed=sealer.seal(values), mark=mark_of(sealer, contact))


def mark_of(sealer: Sealer, contact: Contact) -> str:
    """The ciphertext differs each time: only the mark says whether the values are the same."""
    parts = (contact.president, contact.phone, contact.email)
    return sealer.blind_index("\x1f".join([part or "" for part in parts]))


def open_contact(sealer: Sealer, sealed: str | None) -> Contact:
    """The contact in clear."""
    return Contact(**sealer.open(sealed)) if sealed else Contact()
