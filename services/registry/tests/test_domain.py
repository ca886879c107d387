"""The rules of the register, without a database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import product
from uuid import UUID, uuid4

import pytest

from registry.identity.domain.accounts import ClaimsDoNotFit, check_claims
from registry.identity.domain.sign_in_failures import FailureCount
from registry.identity.domain.signing_keys import KeyState, SigningKey
from registry.partners.domain import Partner
from registry.register.domain import imports
from registry.register.domain.cooperative import Cooperative, Entry, SealedContact
from registry.register.domain.imports import ImportState, RegisterImport
from shared.contracts.base import Localized
from shared.contracts.registry import partner_id_of
from shared.errors import IllegalMove, Invalid
from shared.kernel.auth.tokens import Role

from .builders import an_entry

DAY = date(2026, 1, 1)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ID = UUID(int=7)


def a_cooperative(entry: Entry | None = None) -> Cooperative:
    return Cooperative.register(entry or an_entry(), id=ID, source="file", as_of_on=DAY)[0]


def test_entering_a_cooperative_publishes_the_whole_record() -> None:
    _, event = Cooperative.register(an_entry(), id=ID, source="file", as_of_on=DAY)

    assert (event.cooperative_id, event.cooperative.version) == (ID, 1)
    assert (event.cooperative.province, event.cooperative.region) == ("MA-TIZ", "MA-09")


def test_every_service_derives_the_id_of_a_partner() -> None:
    name = Localized(fr="Essai", ar="تجربة")
    partner, event = Partner.register(slug="oasis", name=name, kind="bank", language="fr")

    assert partner.id == event.partner_id == partner_id_of("oasis")
    assert partner_id_of("oasis") != partner_id_of("atlas")


def test_a_change_makes_the_next_version_and_publishes_it() -> None:
    cooperative = a_cooperative()

    event = cooperative.change(
        an_entry(members_total=11), source="letter of the court", as_of_on=DAY
    )

    assert event is not None
    assert (event.aggregate_version, event.cooperative.members_total) == (2, 11)


def test_each_changed_field_remembers_where_it_comes_from() -> None:
    cooperative = a_cooperative()

    cooperative.change(an_entry(members_total=11), source="letter of the court", as_of_on=DAY)

    assert cooperative.provenance == {
        "members_total": {"source": "letter of the court", "as_of_on": "2026-01-01"}
    }


def test_an_equal_entry_is_no_change() -> None:
    cooperative = a_cooperative()

    event = cooperative.change(an_entry(), source="file", as_of_on=DAY)

    assert (event, cooperative.version) == (None, 1)


def test_a_contact_sealed_again_with_the_same_values_is_no_change() -> None:
    sealed = SealedContact(sealed="first ciphertext", mark="same")
    cooperative = a_cooperative(an_entry(contact=sealed))

    event = cooperative.change(
        an_entry(contact=replace(sealed, sealed="second ciphertext")), source="file", as_of_on=DAY
    )

    assert event is None


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("members_women", {"members_women": 11}),
        ("members_youth", {"members_youth": 11}),
        ("members_women_or_youth", {"members_women_or_youth": 11}),
        ("members_women_or_youth", {"members_women": 5, "members_women_or_youth": 4}),
        (
            "members_women_or_youth",
            {"members_women": 2, "members_youth": 2, "members_women_or_youth": 5},
        ),
        ("name_fr", {"name_fr": None}),
        ("commune", {"commune": "09.163.16.0"}),
    ],
)
def test_values_that_can_not_be_true_together_are_refused_with_the_field(
    field: str, values: dict[str, int | str | None]
) -> None:
    with pytest.raises(Invalid) as refusal:
        Cooperative.register(an_entry(**values), id=ID, source="file", as_of_on=DAY)

    assert [problem.field for problem in refusal.value.problems] == [field]


def test_the_contact_never_shows_in_a_representation() -> None:
    entry = an_entry(contact=SealedContact(sealed="ciphertext", mark="mark"))

    assert "ciphertext" not in repr(entry)


@pytest.mark.parametrize("role", [Role.DELEGATE, Role.COOPERATIVE, Role.PARTNER])
def test_a_role_that_acts_for_something_has_to_name_it(role: Role) -> None:
    with pytest.raises(ClaimsDoNotFit):
        check_claims(
            frozenset({role}), provinces=frozenset(), cooperatives=frozenset(), partner=None
        )


def test_an_unknown_province_of_an_account_is_refused_with_the_nearest() -> None:
    with pytest.raises(ClaimsDoNotFit, match=r"did you mean MA-TIZ \(Tiznit\)"):
        check_claims(
            frozenset({Role.DELEGATE}),
            provinces=frozenset({"MA-TIZNIT"}),
            cooperatives=frozenset(),
            partner=None,
        )


def an_import(state: ImportState) -> RegisterImport:
    return RegisterImport(id=uuid4(), source="register.csv", started_at=NOW, state=state)


@pytest.mark.parametrize(
    ("start", "target"),
    [
        (start, target)
        for start, target in product(ImportState, ImportState)
        if target not in imports.MOVES[start]
    ],
)
def test_every_move_of_an_import_not_in_the_table_is_refused(
    start: ImportState, target: ImportState
) -> None:
    report = an_import(start)

    with pytest.raises(IllegalMove):
        report._move_to(target)

    assert report.state is start


def test_a_retired_key_never_signs_again() -> None:
    key = SigningKey(kid="a", public_jwk={}, private_sealed="sealed", created_at=NOW)
    key.retire(at=NOW)

    with pytest.raises(IllegalMove):
        key._move_to(KeyState.ACTIVE)


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(0, None), (4, None), (5, 1), (6, 2), (7, 4), (12, 128), (13, 256), (14, 300), (10_000, 300)],
)
def test_each_failure_beyond_the_free_ones_doubles_the_wait(
    failures: int, seconds: int | None
) -> None:
    count = FailureCount(failures=failures, latest_at=NOW if failures else None)

    free_at = count.free_at(free=5, longest=timedelta(seconds=300))

    assert free_at == (None if seconds is None else NOW + timedelta(seconds=seconds))
