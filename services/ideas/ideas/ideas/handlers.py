"""The consumers of the idea bank."""

from __future__ import annotations

from shared.contracts.ideas import IdeasAnswered
from shared.kernel.messaging.consumers import Consumers
from shared.kernel.messaging.revocation_consumer import store_revocations
from shared.kernel.privacy import person_requests

from .person_export import person_part

consumers = Consumers("ideas")
person_requests.answer_persons(consumers, IdeasAnswered, person_part)
store_revocations(consumers)
