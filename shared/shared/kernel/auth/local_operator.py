"""The caller of commands that are run with the settings of the service."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from .tokens import Principal, Role

LOCAL_OPERATOR: Final = Principal(subject=UUID(int=0), roles=frozenset({Role.OPERATOR}))
"""Whoever has the database's password and the seal keys acts as this operator."""
