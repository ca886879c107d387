"""What ideas does when others announce something."""

from __future__ import annotations

from shared import privacy
from shared.contracts.ideas import IdeasAnswered
from shared.messaging.consumers import Consumers

from .persons import person_part

consumers = Consumers("ideas")
privacy.answer_persons(consumers, IdeasAnswered, person_part)
