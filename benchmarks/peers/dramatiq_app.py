"""Dramatiq: one message per recipient."""

from __future__ import annotations

import os

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from . import alerts

# Without the metrics middleware, which would open a port and cost time.
broker = RabbitmqBroker(url=os.environ["BENCH_AMQP_URL"])
dramatiq.set_broker(broker)


@dramatiq.actor
def fan_out(subject: str, ids: str, limit: int) -> None:
    """The call is open: one message for each whom it is for."""
    for recipient in alerts.recipients(ids, limit):
        alert_recipients.send(subject, recipient)


@dramatiq.actor
def alert_recipients(subject: str, recipient: alerts.Recipient) -> None:
    """One alert."""
    alerts.alert_recipients(subject, recipient)
