"""What ideas does when others announce something."""

from __future__ import annotations

from shared import privacy
from shared.contracts.ideas import IdeasAnswered
from shared.messaging.consumers import Consumers

consumers = Consumers("ideas")
privacy.answer_persons(consumers, IdeasAnswered)
