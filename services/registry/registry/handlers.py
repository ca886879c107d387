"""What the registry does when others announce something, and when it does itself."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from shared import privacy
from shared.contracts.catalogue import ANSWERS
from shared.contracts.persons import PersonAnswered
from shared.contracts.registry import RegistryAnswered
from shared.messaging.consumers import Consumers

from . import usecases

consumers = Consumers("registry")
privacy.answer_persons(consumers, RegistryAnswered, usecases.registry_part)


@consumers.on(*ANSWERS, prefetch=4, queue="note_person_answer")
async def note_person_answer(event: PersonAnswered, session: AsyncSession) -> None:
    """What a service answered is kept; the last answer completes the person's request."""
    await usecases.note_answer(session, event)
