"""The consumer that answers requests of persons for notifications."""

from __future__ import annotations

from shared.contracts.notifications import NotificationsAnswered
from shared.kernel.messaging.consumers import Consumers
from shared.kernel.privacy import person_requests

from . import usecases

consumers = Consumers("notifications")
person_requests.answer_persons(consumers, NotificationsAnswered, usecases.person_part)
