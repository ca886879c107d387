"""The consumers of funding."""

from __future__ import annotations

from shared.contracts.funding import FundingAnswered
from shared.kernel.messaging.consumers import Consumers
from shared.kernel.messaging.revocation_consumer import store_revocations
from shared.kernel.privacy import person_requests

from .person_export import person_part

consumers = Consumers("funding")
person_requests.answer_persons(consumers, FundingAnswered, person_part)
store_revocations(consumers)
