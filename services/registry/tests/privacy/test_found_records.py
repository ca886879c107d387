"""Whose the records are that are found for a person, without a database."""

from __future__ import annotations

from uuid import UUID

import pytest

from registry.privacy.domain.found_records import PersonIdentifiers, found_records
from registry.register.domain.cooperative import Contact

LANDLINE, EMAIL, OTHER = "+212522000001", "coop@taawon.example", "other@taawon.example"
A, B, ACCOUNT, ANOTHER = (UUID(int=number) for number in range(1, 5))
BY_PHONE, BY_EMAIL = (
    PersonIdentifiers(phone=LANDLINE),
    PersonIdentifiers(emails=frozenset({"COOP@taawon.example"})),
)
ONE = {A: Contact(phone=LANDLINE, email=EMAIL)}
SAME_LANDLINE = {**ONE, B: Contact(phone=LANDLINE, email=OTHER)}
SAME_EMAIL = {**ONE, B: Contact(phone="+212600000002", email=EMAIL)}


@pytest.mark.parametrize(
    ("named", "contacts", "accounts", "shared"),
    [
        pytest.param(BY_PHONE, ONE, {ACCOUNT: EMAIL}, set(), id="nobody else has it"),
        pytest.param(
            BY_PHONE,
            SAME_LANDLINE,
            {ACCOUNT: EMAIL, ANOTHER: OTHER},
            {A, B, ACCOUNT, ANOTHER},
            id="a landline of two leads to both, and to the accounts of both",
        ),
        pytest.param(
            PersonIdentifiers(phone=LANDLINE, emails=frozenset({EMAIL})),
            SAME_LANDLINE,
            {ACCOUNT: EMAIL, ANOTHER: OTHER},
            {B, ANOTHER},
            id="an e-mail of one alone tells whose the landline is",
        ),
        pytest.param(
            BY_EMAIL, SAME_EMAIL, {ACCOUNT: EMAIL}, {A, B, ACCOUNT}, id="an e-mail of two"
        ),
        pytest.param(
            PersonIdentifiers(cooperative_ids=frozenset({A})),
            SAME_EMAIL,
            {ACCOUNT: EMAIL},
            {B, ACCOUNT},
            id="who is named by id is the person",
        ),
        pytest.param(
            PersonIdentifiers(account_ids=frozenset({ACCOUNT})),
            ONE,
            {ACCOUNT: EMAIL},
            set(),
            id="the contact under the e-mail of a named account",
        ),
        pytest.param(
            PersonIdentifiers(account_ids=frozenset({ACCOUNT})),
            SAME_EMAIL,
            {ACCOUNT: EMAIL},
            {A, B},
            id="two contacts under the e-mail of a named account",
        ),
    ],
)
def test_a_record_is_the_persons_where_a_value_leads_to_it_alone(
    named: PersonIdentifiers,
    contacts: dict[UUID, Contact],
    accounts: dict[UUID, str | None],
    shared: set[UUID],
) -> None:
    found = found_records(named, contacts, accounts)

    assert found.ids == contacts.keys() | accounts.keys()
    assert found.shared_ids == shared


def test_a_record_is_listed_by_the_names_of_what_it_holds() -> None:
    found = found_records(BY_PHONE, ONE, {ACCOUNT: None})

    assert [(each.kind, each.holds) for each in found.items] == [
        ("cooperative", ("phone", "email")),
        ("account", ()),
    ]
    assert not any(value in found.model_dump_json() for value in (LANDLINE, EMAIL))


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        (BY_PHONE, BY_EMAIL, False),
        (BY_PHONE, PersonIdentifiers(phone=LANDLINE, emails=frozenset({OTHER})), True),
        (BY_EMAIL, PersonIdentifiers(emails=frozenset({EMAIL})), True),
        (PersonIdentifiers(account_ids=frozenset({A})), PersonIdentifiers(), False),
    ],
)
def test_two_proposals_may_name_one_person(
    one: PersonIdentifiers, other: PersonIdentifiers, meet: bool
) -> None:
    assert one.meets(other) is other.meets(one) is meet
