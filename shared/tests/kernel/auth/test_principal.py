"""What a caller may do: its roles, its provinces, and whom it acts for."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from shared.errors import Forbidden
from shared.kernel.auth.tokens import MissingRole, OutsideDelegation, Principal, Role


def test_a_caller_has_the_identity_of_the_cooperative_it_acts_for():
    account, own, acted_for = (uuid.uuid4() for _ in range(3))
    caller = Principal(subject=account, cooperatives=frozenset({own}), on_behalf_of=acted_for)

    assert caller.identities == {account, own, acted_for}
    assert Principal(subject=account).identities == {account}


def test_only_itself_operators_and_its_delegates_act_for_a_cooperative():
    cooperative, account = uuid.uuid4(), uuid.uuid4()

    def caller(*roles: Role, **more: Any) -> Principal:
        return Principal(subject=account, roles=frozenset(roles), **more)

    itself = caller(Role.COOPERATIVE, cooperatives=frozenset({cooperative}))
    delegate = caller(Role.DELEGATE, provinces=frozenset({"MA-TIZ"}))

    assert itself.acting_for(cooperative, "MA-TIZ").on_behalf_of is None
    assert delegate.acting_for(cooperative, "MA-TIZ").on_behalf_of == cooperative
    assert caller(Role.OPERATOR).acting_for(cooperative, None).on_behalf_of == cooperative
    for other, province in ((delegate, "MA-AGD"), (delegate, None), (caller(Role.HOLDER), None)):
        with pytest.raises(Forbidden):
            other.acting_for(cooperative, province)


def test_a_missing_role_is_named():
    caller = Principal(subject=uuid.uuid4(), roles=frozenset({Role.JUROR}))

    with pytest.raises(MissingRole, match="delegate or operator"):
        caller.require(Role.OPERATOR, Role.DELEGATE)


def test_a_delegate_acts_only_within_the_delegation_and_operators_anywhere():
    delegate = Principal(
        subject=uuid.uuid4(), roles=frozenset({Role.DELEGATE}), provinces=frozenset({"MA-TIZ"})
    )
    delegate.require_province("MA-TIZ")
    Principal(subject=uuid.uuid4(), roles=frozenset({Role.OPERATOR})).require_province("MA-FES")

    for province in ("MA-FES", None):
        with pytest.raises(OutsideDelegation, match="MA-TIZ"):
            delegate.require_province(province)
