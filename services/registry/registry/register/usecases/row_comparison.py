"""Comparing rows of a register file with what the register knows."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from shared.contracts.base import new_id
from shared.kernel.encryption.sealer import Sealer
from shared.sentences import Sentence

from ..contact_sealing import marks_of, seal_changed, seal_contact
from ..domain.cooperative import Contact, Cooperative, Entry, FileOrigin, Merge, SealedContact
from ..models import rows as cooperative_rows
from ..register_file.findings import Finding
from ..register_file.reader import RowVerdict, column_of
from .erased_contacts import ErasedContacts

Identity = tuple[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """The digest of a cooperative in the register; its contact only if the person settled it.

    `whole` is all of it, where its values may have to be weighed one by one.
    """

    digest: str
    is_settled: bool
    sealed: str | None
    mark: str | None
    as_of_on: date
    has_own_origins: bool
    whole: Cooperative | None = field(default=None, compare=False, repr=False)

    @property
    def contact(self) -> SealedContact | None:
        """The settled contact; None if it was erased."""
        if self.sealed is None or self.mark is None:
            return None
        return SealedContact(sealed=self.sealed, mark=self.mark)


@dataclass(frozen=True, kw_only=True, slots=True)
class RowChange:
    """An entry that is new or differs, with its contact sealed, as a row."""

    entry: Entry
    contact: SealedContact | None
    row: dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """What differs from the register, and what is to be said of values that were weighed.

    `undecided` are cooperatives whose contact is not taken from the file: what is known of them has
    to be whole before the other values can be compared.
    """

    changes: dict[Identity, RowChange]
    notes: dict[Identity, tuple[Finding, ...]]
    undecided: tuple[Identity, ...] = ()

    def with_newer(self, other: Comparison, outdated: Container[Identity]) -> Comparison:
        """The same, but for the outdated identities what the other comparison says."""
        changes = {each: self.changes[each] for each in self.changes if each not in outdated}
        notes = {each: self.notes[each] for each in self.notes if each not in outdated}
        return Comparison(changes=changes | other.changes, notes=notes | other.notes)


@dataclass(frozen=True, kw_only=True, slots=True)
class _RowComparison:
    """What came of one row: what to write, what to say, or that it is undecided."""

    change: RowChange | None = None
    notes: tuple[Finding, ...] = ()
    is_undecided: bool = False


@dataclass(frozen=True, kw_only=True)
class RowComparer:
    """Finds which rows of one file are new or differ, and seals the contacts of these."""

    sealer: Sealer
    erased: ErasedContacts
    origin: FileOrigin

    def compare(
        self, by_identity: Mapping[Identity, RowVerdict], known: Mapping[Identity, Known]
    ) -> Comparison:
        """The rows that are new or differ; only these are sealed and written."""
        changes: dict[Identity, RowChange] = {}
        notes: dict[Identity, tuple[Finding, ...]] = {}
        undecided: list[Identity] = []
        for identity, verdict in by_identity.items():
            found = self._compare_row(verdict, known.get(identity))
            if found.change is not None:
                changes[identity] = found.change
            if found.notes:
                notes[identity] = found.notes
            if found.is_undecided:
                undecided.append(identity)
        return Comparison(changes=changes, notes=notes, undecided=tuple(undecided))

    def _compare_row(self, verdict: RowVerdict, before: Known | None) -> _RowComparison:
        entry = verdict.entry
        assert entry is not None
        if before is not None and before.whole is not None:
            return self._weighed(verdict, entry, before, before.whole)
        if before is not None and before.is_settled:
            # The person had the contact erased or corrected: that of the file is not taken.
            if before.digest == cooperative_rows.digest_of(entry, before.mark):
                return _RowComparison()
            return _RowComparison(change=self._as_row(entry, before.contact))
        if self._is_unchanged(before, entry, verdict.contact):
            return _RowComparison()
        erased = self._erased_fields(verdict, before)
        if erased and before is not None:
            return _RowComparison(is_undecided=True)
        contact = None if erased else seal_contact(self.sealer, verdict.contact)
        return _RowComparison(
            change=self._as_row(entry, contact), notes=_erased_notes(erased, verdict.line)
        )

    def _weighed(
        self, verdict: RowVerdict, entry: Entry, before: Known, whole: Cooperative
    ) -> _RowComparison:
        erased = self._erased_fields(verdict, before)
        takes_contact = not erased and not before.is_settled
        merge = self._merge(whole, entry, verdict, takes_contact=takes_contact)
        contact = merge.entry.contact
        mark = contact.mark if contact else None
        differs = before.digest != cooperative_rows.digest_of(merge.entry, mark)
        return _RowComparison(
            change=self._as_row(merge.entry, contact, merge) if differs else None,
            notes=(*_notes_of(merge, verdict.line), *_erased_notes(erased, verdict.line)),
        )

    def _erased_fields(self, verdict: RowVerdict, before: Known | None) -> tuple[str, ...]:
        """The fields of a contact that its person had erased; none where it is not taken anyway."""
        if verdict.contact is None or (before is not None and before.is_settled):
            return ()
        return self.erased.fields_of(verdict.contact)

    def _merge(
        self, whole: Cooperative, entry: Entry, verdict: RowVerdict, *, takes_contact: bool
    ) -> Merge:
        """Weigh value by value; a contact stays if its person settled it, or had that of the file
        erased."""
        contact = whole.entry.contact
        if takes_contact:
            contact = seal_changed(self.sealer, contact, verdict.contact or Contact())
        return whole.merge(replace(entry, contact=contact), self.origin, unread=verdict.unread)

    def _is_unchanged(self, known: Known | None, entry: Entry, contact: Contact | None) -> bool:
        """Compared under the mark of each key: the stored one may be of an older key."""
        if known is None:
            return False
        marks = marks_of(self.sealer, contact) if contact and contact.clear_values() else [None]
        return any(known.digest == cooperative_rows.digest_of(entry, mark) for mark in marks)

    def _as_row(
        self, entry: Entry, contact: SealedContact | None, merge: Merge | None = None
    ) -> RowChange:
        origin = merge or self.origin
        row = cooperative_rows.entry_values(entry, contact) | {
            "id": new_id(),
            "version": 1,
            "source": origin.source,
            "as_of_on": origin.as_of_on,
            "provenance": merge.provenance if merge else {},
            "import_id": self.origin.import_id,
            "source_import_id": merge.source_import_id if merge else self.origin.import_id,
        }
        return RowChange(entry=entry, contact=contact, row=row)


def _notes_of(merge: Merge, line: int) -> tuple[Finding, ...]:
    """What stays although the file says something else, and what it replaces of an entry by hand.

    Neither value is quoted.
    """
    kept = [
        Finding(
            line=line,
            column=column_of(name),
            reason=Sentence(
                "not taken: the register has a value as of {day}, later than this file", day=day
            ),
            is_warning=True,
        )
        for name, day in merge.kept.items()
    ]
    replaced = [
        Finding(
            line=line,
            column=column_of(name),
            reason=Sentence("replaces what was entered by hand as of {day}", day=day),
            suggestion=Sentence("check which of the two is right"),
            is_warning=True,
        )
        for name, day in merge.by_hand.items()
    ]
    return (*kept, *replaced)


def _erased_notes(fields: Iterable[str], line: int) -> tuple[Finding, ...]:
    """That a contact is not taken, by each field that was erased; no value is quoted."""
    return tuple(
        Finding(
            line=line,
            column=name,
            reason=Sentence("not taken, nor the rest of the contact: a person had this erased"),
            suggestion=Sentence(
                "if they asked to be registered again, enter the contact by hand, with"
                " confirm_erased"
            ),
            is_warning=True,
        )
        for name in fields
    )
