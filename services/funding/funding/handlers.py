"""What funding does when others announce something."""

from __future__ import annotations

from shared import privacy
from shared.contracts.funding import FundingAnswered
from shared.messaging.consumers import Consumers

from .persons import person_part

consumers = Consumers("funding")
privacy.answer_persons(consumers, FundingAnswered, person_part)
