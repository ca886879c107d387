"""Sealing contacts before they are stored or sent, with a mark that shows changes."""

from __future__ import annotations

from shared.kernel.encryption.sealer import Sealer

from .domain.cooperative import Contact, SealedContact


def seal_contact(sealer: Sealer, contact: Contact | None) -> SealedContact | None:
    """A contact as ciphertext and mark; None if nothing is known of it."""
    values = contact.clear_values() if contact else {}
    if contact is None or not values:
        return None
    return SealedContact(sealed=sealer.seal(values), mark=mark_of(sealer, contact))


def mark_of(sealer: Sealer, contact: Contact) -> str:
    """The keyed digest of a contact, made with the newest key.

    Ciphertext differs each time, so only this shows whether two contacts hold the same values.
    """
    return sealer.mark(_joined(contact))


def marks_of(sealer: Sealer, contact: Contact) -> list[str]:
    """The marks that the same values may have: one per key, that of the newest first."""
    return sealer.marks(_joined(contact))


def _joined(contact: Contact) -> str:
    return "\x1f".join([part or "" for part in (contact.president, contact.phone, contact.email)])


def seal_changed(
    sealer: Sealer, before: SealedContact | None, contact: Contact
) -> SealedContact | None:
    """The contact sealed; `before` itself if it holds the same values, under whichever key."""
    if before is not None and before.mark in marks_of(sealer, contact):
        return before
    return seal_contact(sealer, contact)


def open_contact(sealer: Sealer, sealed: str | None) -> Contact:
    """The contact in clear; empty if there is none. Raises Unreadable if no key opens it."""
    return Contact(**sealer.open(sealed)) if sealed else Contact()
