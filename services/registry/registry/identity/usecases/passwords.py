"""Passwords are hashed with argon2, a few at a time so that memory stays bounded."""

from __future__ import annotations

import asyncio
from functools import cache

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from shared.errors import Invalid

LEAST_LENGTH = 12
MOST_LENGTH = 200
AT_ONCE = 2

# 19 MiB, two passes: the least that OWASP advises, so that sign-ins fit a small container.
_hasher = PasswordHash((Argon2Hasher(time_cost=2, memory_cost=19_456, parallelism=1),))


class WeakPassword(Invalid):
    """The password is too short."""


def check_password(password: str) -> None:
    """Length is what counts; composition rules only make people write passwords down."""
    if not LEAST_LENGTH <= len(password) <= MOST_LENGTH:
        raise WeakPassword(
            f"the password has {len(password)} characters: use {LEAST_LENGTH} to {MOST_LENGTH}",
            field="password",
        )


async def hash_password(password: str) -> str:
    async with _turn():
        return await asyncio.to_thread(_hasher.hash, password)


async def is_password(password: str, password_hash: str | None) -> bool:
    """Whether the password fits; without a hash it takes as long and says no."""
    async with _turn():
        fits = await asyncio.to_thread(_hasher.verify, password, password_hash or _nobody())
    return fits and password_hash is not None


@cache
def _nobody() -> str:
    return _hasher.hash("nobody has this password")


@cache
def _turns(loop: asyncio.AbstractEventLoop) -> asyncio.Semaphore:
    return asyncio.Semaphore(AT_ONCE)


def _turn() -> asyncio.Semaphore:
    return _turns(asyncio.get_running_loop())
