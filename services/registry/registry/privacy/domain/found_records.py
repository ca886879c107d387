"""The records that are found for a person, and which of them may be somebody else's.

Several people share a landline or an e-mail. What only a shared value leads to may be somebody
else's, so an operator decides about each such record.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sized
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from registry.register.domain.cooperative import Contact
from shared.contracts.persons import MOST_RECORDS
from shared.errors import Invalid
from shared.sentences import Sentence
from shared.spelling import email_key


class NobodyNamed(Invalid):
    """Say who it is: an e-mail, a phone, ids of accounts or ids of cooperatives."""


class FoundTooMany(Invalid):
    """More records were found than one person has, so what they were found by is nobody's own."""


class RecordKind(StrEnum):
    """What holds something of a person at the registry."""

    COOPERATIVE = "cooperative"
    ACCOUNT = "account"


class FoundRecord(BaseModel):
    """A record by its id and by the names of what it holds, without a value of the person.

    It is shared where all that leads to it leads to other records too.
    """

    model_config = ConfigDict(frozen=True)

    kind: RecordKind
    id: UUID
    holds: tuple[str, ...] = Field(description="Names of the personal fields that it holds.")
    is_shared: bool = Field(
        description="Whether an e-mail or phone of several records alone leads to it: it may be"
        " somebody else's, so the confirmation has to include it or to leave it."
    )


class FoundRecords(BaseModel):
    """All that was found for a person, cooperatives first, each kind by id."""

    model_config = ConfigDict(frozen=True)

    items: tuple[FoundRecord, ...] = ()

    @property
    def ids(self) -> set[UUID]:
        """The ids of all of them."""
        return {each.id for each in self.items}

    @property
    def shared_ids(self) -> set[UUID]:
        """The ids of those that may be somebody else's."""
        return {each.id for each in self.items if each.is_shared}

    def ids_of(self, kind: RecordKind) -> set[UUID]:
        """The ids of one kind."""
        return {each.id for each in self.items if each.kind is kind}


@dataclass(frozen=True, kw_only=True)
class PersonIdentifiers:
    """What a person is found by; one of them is enough."""

    emails: frozenset[str] = frozenset()
    phone: str | None = None
    account_ids: frozenset[UUID] = frozenset()
    cooperative_ids: frozenset[UUID] = frozenset()

    def require_any(self) -> None:
        """Raise NobodyNamed if there is none."""
        if not (self.emails or self.phone or self.account_ids or self.cooperative_ids):
            raise NobodyNamed

    @cached_property
    def email_keys(self) -> frozenset[str]:
        """The e-mails, the same for all spellings of one."""
        return frozenset(map(email_key, self.emails))

    def is_contact(self, contact: Contact) -> bool:
        """Whether a contact has one of the e-mails, in any case, or the phone as E.164."""
        same_email = contact.email is not None and email_key(contact.email) in self.email_keys
        return same_email or (self.phone is not None and self.phone == contact.phone)

    def with_emails(self, emails: Iterable[str]) -> PersonIdentifiers:
        """The same with e-mails that were found to be the person's."""
        return replace(self, emails=self.emails | {email_key(email) for email in emails})

    def meets(self, other: PersonIdentifiers) -> bool:
        """Whether both name one e-mail, phone or id."""
        same_phone = self.phone is not None and self.phone == other.phone
        return same_phone or any(
            not mine.isdisjoint(theirs)
            for mine, theirs in (
                (self.email_keys, other.email_keys),
                (self.account_ids, other.account_ids),
                (self.cooperative_ids, other.cooperative_ids),
            )
        )


def refuse_too_many(found: Sized) -> None:
    """Raise FoundTooMany if one event could not name all that was found, for no person has as much.

    Each of them would have to be looked at before a confirmation.
    """
    if len(found) > MOST_RECORDS:
        raise FoundTooMany(
            Sentence(
                "more than {most} records were found, so this e-mail or phone is nobody's own:"
                " name the person by another one, or by ids",
                most=MOST_RECORDS,
            )
        )


def found_records(
    named: PersonIdentifiers, contacts: Mapping[UUID, Contact], accounts: Mapping[UUID, str | None]
) -> FoundRecords:
    """What was found for a person: contacts by cooperative, e-mails by account.

    `contacts` has every contact of the register with an e-mail or the phone of the person, so that
    what is shared is counted here.
    """
    own = _OwnRecords(named, contacts, accounts)
    return FoundRecords(
        items=(
            *(
                FoundRecord(
                    kind=RecordKind.COOPERATIVE,
                    id=id,
                    holds=tuple(contacts[id].clear_values()),
                    is_shared=id not in own.cooperatives,
                )
                for id in sorted(contacts)
            ),
            *(
                FoundRecord(
                    kind=RecordKind.ACCOUNT,
                    id=id,
                    holds=("email",) if accounts[id] else (),
                    is_shared=not own.has_account(id),
                )
                for id in sorted(accounts)
            ),
        )
    )


class _OwnRecords:
    """Which records are the person's: named by id, or led to by a value of theirs alone."""

    def __init__(
        self,
        named: PersonIdentifiers,
        contacts: Mapping[UUID, Contact],
        accounts: Mapping[UUID, str | None],
    ) -> None:
        self._named = named
        self._accounts = accounts
        self._email_holders = Counter(_keys(each.email for each in contacts.values()))
        self._phone_holders = Counter(each.phone for each in contacts.values())
        signing_in = (accounts.get(each) for each in named.account_ids)
        self._emails = {*named.email_keys, *_keys(signing_in)}
        self.cooperatives = {id for id, each in contacts.items() if self._is_own(id, each)}
        self._emails.update(_keys(contacts[each].email for each in self.cooperatives))

    def has_account(self, id: UUID) -> bool:
        """Whether an account is named, or signs in with an e-mail that is the person's alone."""
        return id in self._named.account_ids or self._is_theirs(self._accounts[id])

    def _is_own(self, id: UUID, contact: Contact) -> bool:
        known_phone = contact.phone is not None and contact.phone == self._named.phone
        return (
            id in self._named.cooperative_ids
            or self._is_theirs(contact.email)
            or (known_phone and self._phone_holders[contact.phone] == 1)
        )

    def _is_theirs(self, email: str | None) -> bool:
        """Whether it is an e-mail of the person that no two contacts have."""
        return any(key in self._emails and self._email_holders[key] <= 1 for key in _keys([email]))


def _keys(emails: Iterable[str | None]) -> list[str]:
    return [email_key(each) for each in emails if each]
