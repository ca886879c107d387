"""Contacts are sealed before they are stored or sent, and marked so that changes show."""

from __future__ import annotations

from shared.kernel.encryption.sealer import Sealer

from .domain.cooperative import Contact, SealedContact


def seal_contact(sealer: Sealer, contact: Contact | None) -> SealedContact | None:
    """Ciphertext and mark; nothing when nothing is known."""
    values = contact.clear_values() if contact else {}
    if contact is None or not values:
        return None
    return SealedContact(sealed=sealer.seal(values), mark=mark_of(sealer, contact))


def mark_of(sealer: Sealer, contact: Contact) -> str:
    """The ciphertext differs each time: only the mark says whether the values are the same."""
    return sealer.mark(_said(contact))


def marks_of(sealer: Sealer, contact: Contact) -> list[str]:
    """The marks that the same values may have: one per key, the newest first."""
    return sealer.marks(_said(contact))


def _said(contact: Contact) -> str:
    return "\x1f".join([part or "" for part in (contact.president, contact.phone, contact.email)])


def seal_changed(
    sealer: Sealer, before: SealedContact | None, contact: Contact
) -> SealedContact | None:
    """The contact sealed; the one from before where it says the same, under whichever key."""
    if before is not None and before.mark in marks_of(sealer, contact):
        return before
    return seal_contact(sealer, contact)


def open_contact(sealer: Sealer, sealed: str | None) -> Contact:
    """The contact in clear."""
    return Contact(**sealer.open(sealed)) if sealed else Contact()
