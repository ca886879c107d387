"""Sealed values: opened and resealed with the keys, and never without one."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet

from devkit.pytest_plugin import test_settings
from shared.kernel.encryption.sealer import Sealer, Unreadable

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
CONTACT = {"name": "Example Person", "phone": "+000000000000"}


def test_a_sealed_value_opens_again_and_shows_nothing_of_itself():
    sealed = Sealer([OLD]).seal(CONTACT)

    assert Sealer([OLD]).open(sealed) == CONTACT
    assert "Example" not in sealed


def test_the_same_value_is_sealed_differently_each_time():
    sealer = Sealer([OLD])

    assert sealer.seal(CONTACT) != sealer.seal(CONTACT)


def test_with_both_keys_old_values_open_and_are_resealed_with_the_new_one():
    sealed = Sealer([OLD]).seal(CONTACT)
    both = Sealer([NEW, OLD])

    resealed = both.reseal(sealed)

    assert both.open(sealed) == CONTACT
    assert Sealer([NEW]).open(resealed) == CONTACT
    with pytest.raises(Unreadable):
        Sealer([NEW]).open(sealed)


@pytest.mark.parametrize("broken", ["", "x", "é", "gAAAAA" + "A" * 80])
def test_a_value_that_no_key_opens_is_unreadable(broken):
    sealer = Sealer([OLD])

    with pytest.raises(Unreadable):
        sealer.open(broken)
    with pytest.raises(Unreadable):
        sealer.reseal(broken)


def test_a_value_is_marked_with_the_newest_key_and_found_by_the_marks_of_all():
    before, both, after = (Sealer(keys) for keys in ([OLD], [NEW, OLD], [NEW]))

    value = "a@example.org"
    assert both.mark(value) == after.mark(value) != before.mark(value)
    assert both.marks(value) == [after.mark(value), before.mark(value)]


def test_the_key_of_a_value_is_named_by_its_fingerprint_and_no_key_is_shown():
    before, both, after = (Sealer(keys) for keys in ([OLD], [NEW, OLD], [NEW]))

    sealed = before.seal(CONTACT)
    assert both.key_of(sealed) == before.newest == both.fingerprints[1]
    assert both.key_of(both.seal(CONTACT)) == after.newest == both.newest
    assert after.key_of(sealed) is None
    assert before.newest not in OLD


@pytest.mark.parametrize("broken", ["", "x", "é", "gAAAAA" + "A" * 80])
def test_a_text_that_is_not_sealed_has_no_key(broken):
    assert Sealer([OLD]).key_of(broken) is None


@pytest.mark.parametrize(
    ("keys", "says"), [(None, "is not set"), (" , ", "is not set"), ("x", "Fernet")]
)
def test_a_service_that_seals_does_not_start_without_good_keys(keys, says):
    settings = test_settings("registry", "postgresql://x", seal_keys=keys)

    with pytest.raises(SystemExit, match=says):
        Sealer.from_settings(settings)
