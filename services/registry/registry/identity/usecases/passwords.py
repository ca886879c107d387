"""Passwords are hashed with argon2, a few at a time so that memory stays bounded."""

from __future__ import annotations

import asyncio
from functools import cache

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from shared.errors import Invalid
from shared.sentences import Sentence

from .common_passwords import is_common

MIN_LENGTH = 12
MAX_LENGTH = 200
HASHES_AT_ONCE = 2

# 19 MiB, two passes: the least that OWASP advises, so that sign-ins fit a small container.
_hasher = PasswordHash((Argon2Hasher(time_cost=2, memory_cost=19_456, parallelism=1),))


class WeakPassword(Invalid):
    """The password is too short, too long, or one of those that are guessed first."""


def check_password(password: str) -> None:
    """Raise WeakPassword unless it has 12 to 200 characters and is none of the commonest.

    There are no other rules for its composition: they only make people write passwords down.
    """
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise WeakPassword(
            Sentence(
                "the password has {length} characters: use {min_length} to {max_length}",
                length=len(password),
                min_length=MIN_LENGTH,
                max_length=MAX_LENGTH,
            ),
            field="password",
        )
    if is_common(password):
        raise WeakPassword(
            Sentence(
                "this password is one of the commonest, maybe with digits or signs before or"
                " after it: take four words that do not belong together, or let a program"
                " generate one"
            ),
            field="password",
        )


async def hash_password(password: str) -> str:
    """The argon2id hash of a password, with its salt and its parameters."""
    async with _hashing_slot():
        return await asyncio.to_thread(_hasher.hash, password)


async def is_password(password: str, password_hash: str | None) -> bool:
    """Whether the password fits the hash; without one, or with "" of an erased account, it takes
    as long and is False."""
    async with _hashing_slot():
        fits = await asyncio.to_thread(_hasher.verify, password, password_hash or _dummy_hash())
    return fits and bool(password_hash)


@cache
def _dummy_hash() -> str:
    return _hasher.hash("nobody has this password")


@cache
def _hashing_slots(loop: asyncio.AbstractEventLoop) -> asyncio.Semaphore:
    return asyncio.Semaphore(HASHES_AT_ONCE)


def _hashing_slot() -> asyncio.Semaphore:
    return _hashing_slots(asyncio.get_running_loop())
