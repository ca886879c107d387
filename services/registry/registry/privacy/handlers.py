"""What the registry does with answers to requests of persons, its own part included."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.catalogue import ANSWERS
from shared.contracts.persons import PersonAnswered
from shared.contracts.registry import RegistryAnswered
from shared.kernel.messaging.consumers import Consumers
from shared.kernel.privacy import person_requests

from .usecases import person_export, person_responses

consumers = Consumers("registry")
person_requests.answer_persons(consumers, RegistryAnswered, person_export.registry_part)


@consumers.on(*ANSWERS, prefetch=4, queue="record_person_response")
async def record_person_response(event: PersonAnswered, session: AsyncSession) -> None:
    """Store what a service answered; the last answer completes the request."""
    await person_responses.record_response(session, event)
