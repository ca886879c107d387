"""The keys that sign tokens: one signs, older ones stay published until their tokens are gone."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shared.lifecycle import refuse_unless_allowed


class KeyState(StrEnum):
    """An active key signs; a retired one is still published."""

    ACTIVE = "active"
    RETIRED = "retired"


MOVES: dict[KeyState, set[KeyState]] = {
    KeyState.ACTIVE: {KeyState.RETIRED},
    KeyState.RETIRED: set(),
}


@dataclass(eq=False, kw_only=True)
class SigningKey:
    """An Ed25519 key: the public part as a JWK, the private part sealed."""

    kid: str
    public_jwk: dict[str, str]
    private_sealed: str = field(repr=False)
    created_at: datetime
    state: KeyState = KeyState.ACTIVE
    retired_at: datetime | None = None

    def retire(self, *, at: datetime) -> None:
        """Sign no more with it; tokens that it signed stay valid. Raises IllegalMove if retired."""
        self._move_to(KeyState.RETIRED)
        self.retired_at = at

    def _move_to(self, target: KeyState) -> None:
        refuse_unless_allowed(MOVES, "key", self.state, target)
        self.state = target
