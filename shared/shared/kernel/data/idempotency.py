"""Requests that create something take effect once, however often they are sent.

The row of a request is written in the transaction of what it creates: either both are there or
neither is. Nobody learns anything from a row: of the key it has a hash alone, and with the key,
which only the caller has, the request is fingerprinted and the answer encrypted.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import asdict, dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import orjson
from cryptography.fernet import Fernet
from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from shared.errors import Conflict, Invalid
from shared.sentences import Sentence

from .advisory_locks import take_lock
from .tables import IdempotencyRow

FIELD = "Idempotency-Key"


class KeyReused(Invalid):
    """This key came with another request before: send each thing to be created with a new key of
    its own. To repeat a request, send it unchanged: path, body, and a token with the same rights.
    """


class StillInFlight(Conflict):
    """The first request with this Idempotency-Key is not finished: wait a second, then send this
    one again with the same key.
    """


class AnswerErased(Conflict):
    """What this Idempotency-Key made is there; the answer was deleted with the data of a person."""


@dataclass(frozen=True, kw_only=True)
class KeyedRequest:
    """A request with its key. `digest` is one of all that it says: path, body, rights of its token.

    `route` is shown to operators and so has no ids.
    """

    caller: UUID
    key: UUID
    route: str
    digest: bytes

    @property
    def key_hash(self) -> bytes:
        """What is stored of the key."""
        return sha256(self.key.bytes).digest()

    @property
    def fingerprint(self) -> bytes:
        """Shows whether another request is the same. Without the key no body can be guessed by it,
        such as one with a password."""
        return hmac.digest(self.key.bytes, b"request" + self.digest, "sha256")

    def cipher(self) -> Fernet:
        """Encrypts the answer, which may tell of a person, so that only the caller can have it."""
        derived = hmac.digest(self.key.bytes, b"answer", "sha256")
        return Fernet(base64.urlsafe_b64encode(derived))


@dataclass(frozen=True)
class Answer:
    """The answer to a request: its status, the headers that belong to it, and JSON data."""

    status: int
    headers: dict[str, str]
    body: Any


async def earlier_answer(
    session: AsyncSession, request: KeyedRequest, *, hours: int
) -> Answer | None:
    """The answer to the same request, if one was made in the last `hours`; None: it is the first.

    Until the transaction ends no other request of the caller with this key is let in. Raises
    `StillInFlight`, `KeyReused` or `AnswerErased`.
    """
    lock = func.hashtextextended(f"idempotency {request.caller}:{request.key_hash.hex()}", 0)
    if not await take_lock(session, lock):
        raise StillInFlight
    await session.execute(delete(IdempotencyRow).where(*_of(request), _older_than(hours)))
    row = (await session.scalars(select(IdempotencyRow).where(*_of(request)))).one_or_none()
    return None if row is None else _answer_of(row, request)


def _answer_of(row: IdempotencyRow, request: KeyedRequest) -> Answer:
    if not hmac.compare_digest(row.fingerprint, request.fingerprint):
        raise KeyReused(field=FIELD)
    if row.answer is None:
        raise AnswerErased(
            Sentence(
                "what this Idempotency-Key made is there, and its answer was deleted with the"
                " data of a person: read {location}",
                location=row.location,
            )
        )
    return Answer(**orjson.loads(request.cipher().decrypt(row.answer)))


def keep_answer(session: AsyncSession, request: KeyedRequest, answer: Answer) -> None:
    """Keep the answer for repeats, in the transaction of what the request created."""
    session.add(
        IdempotencyRow(
            caller=request.caller,
            key_hash=request.key_hash,
            route=request.route,
            fingerprint=request.fingerprint,
            status=answer.status,
            location=answer.headers.get("location"),
            answer=request.cipher().encrypt(orjson.dumps(asdict(answer))),
        )
    )


async def erase_answers(session: AsyncSession) -> int:
    """Delete all kept answers, for some may tell of a person; how many. What is known of the keys
    stays, so that no repeat creates anything."""
    kept = IdempotencyRow.answer.is_not(None)
    erased = await session.execute(update(IdempotencyRow).where(kept).values(answer=None))
    return int(erased.rowcount)  # type: ignore[attr-defined]  # a cursor's


async def delete_old_keys(engine: AsyncEngine, hours: int) -> None:
    """Delete what is known of keys that came more than so many hours ago."""
    async with engine.begin() as tx:
        await tx.execute(delete(IdempotencyRow).where(_older_than(hours)))


def _of(request: KeyedRequest) -> tuple[Any, Any]:
    return IdempotencyRow.caller == request.caller, IdempotencyRow.key_hash == request.key_hash


def _older_than(hours: int) -> Any:
    return IdempotencyRow.created_at < func.now() - timedelta(hours=hours)
