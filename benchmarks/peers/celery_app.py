"""Celery: one task per recipient, or one per 500."""

from __future__ import annotations

import os

from celery import Celery

from . import alerts

CHUNK = 500

app = Celery("peers", broker=os.environ["BENCH_AMQP_URL"])
app.conf.update(
    # No results, no events, no gossip, a large prefetch: as fast as it is known to go.
    task_ignore_result=True,
    task_default_queue="celery",
    worker_prefetch_multiplier=100,
    worker_send_task_events=False,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)


@app.task
def fan_out(subject: str, ids: str, limit: int) -> None:
    """The call is open: one task for each whom it is for."""
    with app.producer_pool.acquire(block=True) as producer:
        for recipient in alerts.recipients(ids, limit):
            alert_recipients.apply_async((subject, recipient), producer=producer)


@app.task
def fan_out_in_chunks(subject: str, ids: str, limit: int) -> None:
    """The call is open: one task for each 500 whom it is for."""
    found = alerts.recipients(ids, limit)
    with app.producer_pool.acquire(block=True) as producer:
        for start in range(0, len(found), CHUNK):
            alert_many.apply_async((subject, found[start : start + CHUNK]), producer=producer)


@app.task
def alert_recipients(subject: str, recipient: alerts.Recipient) -> None:
    """One alert."""
    alerts.alert_recipients(subject, recipient)


@app.task
def alert_many(subject: str, chunk: list[alerts.Recipient]) -> None:
    """A chunk of alerts."""
    alerts.alert_many(subject, chunk)
