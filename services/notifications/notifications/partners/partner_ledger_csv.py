"""The ledger of a partner as rows of a table, for the HTTP API and the command."""

from __future__ import annotations

from datetime import datetime

from .queries import partner_ledger

HEADER = (
    "position",
    "event_id",
    "topic",
    "subject_id",
    "recorded_at",
    "subscriptions",
    *(
        f"{channel}_{name}"
        for channel in ("amqp", "feed")
        for name in ("first_at", "last_at", "times", "unsure")
    ),
    "dropped_because",
    "dropped_at",
    "closed_at",
    "closed_by",
)


def cells_of(entry: partner_ledger.PartnerEntry) -> tuple[object, ...]:
    """The cells of one row, in the order of `HEADER`."""
    deliveries = {delivery.channel: delivery for delivery in entry.channels}
    gap = entry.gap
    return (
        entry.position,
        entry.event_id,
        entry.topic,
        entry.subject_id,
        entry.recorded_at.isoformat(),
        " ".join(map(str, entry.subscriptions)),
        *_cells(deliveries.get("amqp")),
        *_cells(deliveries.get("feed")),
        gap.reason if gap else None,
        _moment(gap.noticed_at if gap else None),
        _moment(gap.closed_at if gap else None),
        gap.closed_by if gap else None,
    )


def _cells(delivery: partner_ledger.ChannelDelivery | None) -> tuple[object, ...]:
    if delivery is None:
        return (None, None, 0, 0)
    return (_moment(delivery.first_at), _moment(delivery.last_at), delivery.times, delivery.unsure)


def _moment(value: datetime | None) -> str | None:
    return value.isoformat() if value else None
