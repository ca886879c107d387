"""The consumer by which a service learns which tokens it refuses from now on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.registry import TokensRevoked
from shared.kernel.data import revocations

from .consumers import Consumers

Effect = Callable[[AsyncSession, TokensRevoked], Awaitable[None]]
"""What a service ends beside the tokens, in the same transaction and under the same lock."""


def store_revocations(consumers: Consumers, then: Effect | None = None) -> None:
    """Register the consumer `store_revocation` of a service.

    `then` ends what the service made for the subject; it must be safe to repeat and in any order.
    """
    projection = ("revocation",) if then is None else ()

    @consumers.on(TokensRevoked, prefetch=1, projection=projection, queue="store_revocation")
    async def store_revocation(event: TokensRevoked, session: AsyncSession) -> None:
        """Refuse the tokens that a subject was issued before its rights ended or shrank."""
        await revocations.store_revocation(session, event.subject_id, event.not_before)
        if then is not None:
            await then(session, event)
