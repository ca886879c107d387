"""Who acts where a command is run beside the database."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from shared.kernel.auth.tokens import Principal, Role

LOCAL_OPERATOR: Final = Principal(subject=UUID(int=0), roles=frozenset({Role.OPERATOR}))
"""Whoever has the database's password and the seal key acts as an operator."""
