"""Accounts of people, and the identities of other issuers that are linked to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from shared import reference
from shared.errors import Conflict, Invalid, NotFound, Problem
from shared.kernel.auth.tokens import Role
from shared.lifecycle import refuse_unless_allowed
from shared.sentences import Sentence


class AccountExists(Conflict):
    """An account with this e-mail exists already."""


class OperatorExists(Conflict):
    """There is an operator already: ask one to create your account with POST /accounts."""


class NoSuchAccount(NotFound):
    """There is no account with this id."""


class LastOperator(Conflict):
    """This is the last operator who can sign in: make another one first."""


class IdentityTaken(Conflict):
    """This subject of this issuer is linked to an account already: unlink it there first."""


class NoSuchIdentity(NotFound):
    """This account has no linked identity with this id."""


class ClaimsDoNotFit(Invalid):
    """The roles and what they act for do not fit together."""


class AccountState(StrEnum):
    """A disabled account gets no more tokens, and those it has are refused."""

    ENABLED = "enabled"
    DISABLED = "disabled"


MOVES: dict[AccountState, set[AccountState]] = {
    AccountState.ENABLED: {AccountState.DISABLED},
    AccountState.DISABLED: {AccountState.ENABLED},
}


@dataclass(frozen=True, kw_only=True)
class Rights:
    """What an account may be, and for whom it may act."""

    roles: frozenset[str]
    provinces: frozenset[str]
    cooperatives: frozenset[UUID]
    partner: str | None

    def exceed(self, others: Rights) -> bool:
        """Whether they allow anything that the others do not."""
        return (
            not self.roles <= others.roles
            or not self.provinces <= others.provinces
            or not self.cooperatives <= others.cooperatives
            or self.partner not in (None, others.partner)
        )


@dataclass(eq=False, kw_only=True)
class Account:
    """A person who signs in. The e-mail is stored sealed and found by its mark."""

    id: UUID
    email_sealed: str = field(repr=False)
    email_mark: str = field(repr=False)
    password_hash: str = field(repr=False)
    roles: list[str]
    provinces: list[str] = field(default_factory=list)
    cooperatives: list[UUID] = field(default_factory=list)
    partner: str | None = None
    created_at: datetime
    disabled_at: datetime | None = None
    version: int = 1

    @property
    def is_erased(self) -> bool:
        """Whether its person was erased; such an account is never changed again."""
        return self.email_mark == self._erased_mark

    @property
    def _erased_mark(self) -> str:
        return f"erased:{self.id}"

    @property
    def state(self) -> AccountState:
        """Disabled once it has a time of that."""
        return AccountState.ENABLED if self.disabled_at is None else AccountState.DISABLED

    @property
    def rights(self) -> Rights:
        """What its next token will say; whether it is disabled does not count."""
        return Rights(
            roles=frozenset(self.roles),
            provinces=frozenset(self.provinces),
            cooperatives=frozenset(self.cooperatives),
            partner=self.partner,
        )

    def disable(self, *, at: datetime) -> None:
        """Issue it no more tokens. Raises IllegalMove if it is disabled already."""
        self._require_move(AccountState.DISABLED)
        self.disabled_at = at

    def enable(self) -> None:
        """Let it sign in again, with the roles that it has. Raises IllegalMove if it is enabled."""
        self._require_move(AccountState.ENABLED)
        self.disabled_at = None

    def erase(self, *, email_sealed: str, at: datetime) -> None:
        """Take everything of the person and every right; the id stays, for the audit names it."""
        self.email_sealed = email_sealed
        self.email_mark = self._erased_mark
        self.password_hash = ""
        self.roles, self.provinces, self.cooperatives, self.partner = [], [], [], None
        self.disabled_at = self.disabled_at or at

    def _require_move(self, target: AccountState) -> None:
        refuse_unless_allowed(MOVES, "account", self.state, target)


@dataclass(eq=False, kw_only=True)
class LinkedIdentity:
    """A subject of another issuer: whoever signs in there with it acts as this account here.

    Some issuers use an e-mail as the subject, so it is stored sealed and found by its mark.
    """

    id: UUID
    account_id: UUID
    issuer: str
    subject_sealed: str = field(repr=False)
    subject_mark: str = field(repr=False)
    linked_at: datetime


def check_claims(
    roles: frozenset[Role],
    *,
    provinces: frozenset[str],
    cooperatives: frozenset[UUID],
    partner: str | None,
) -> None:
    """Raise ClaimsDoNotFit unless there is a role and each has what it acts for.

    Delegates act for provinces, the role cooperative for cooperatives, the role partner for a
    partner. Unknown provinces are refused too.
    """
    problems = [
        Problem("provinces", reference.UnknownCode("province", code, field=None).detail)
        for code in sorted(provinces - {province.code for province in reference.provinces()})
    ]
    if not roles:
        problems.append(Problem("roles", Sentence("give at least one role")))
    for role, name, given in (
        (Role.DELEGATE, "provinces", provinces),
        (Role.COOPERATIVE, "cooperatives", cooperatives),
        (Role.PARTNER, "partner", partner),
    ):
        if role in roles and not given:
            problems.append(
                Problem(
                    name,
                    Sentence("the role {role} acts for {name}: give them", role=role, name=name),
                )
            )
    if problems:
        raise ClaimsDoNotFit.many(problems)
