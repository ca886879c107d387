"""What a fact or a person can make happen in notifications."""

from .audience import keep_cooperatives, tell_late
from .doors import PARTNER_VHOST, deliver_feed, open_amqp_door, provision_doors
from .fanout import follow_subject
from .holds import count_told, decide_hold, get_hold
from .inbox import mark_alert
from .partners import end_subscription, feed_partners, know_partner, subscribe

__all__ = [
    "PARTNER_VHOST",
    "count_told",
    "decide_hold",
    "deliver_feed",
    "end_subscription",
    "feed_partners",
    "follow_subject",
    "get_hold",
    "keep_cooperatives",
    "know_partner",
    "mark_alert",
    "open_amqp_door",
    "provision_doors",
    "subscribe",
    "tell_late",
]
