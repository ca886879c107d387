"""What a fact or a person can make happen in notifications."""

from .audience import keep_cooperatives
from .backfill import backfill_alerts
from .deliveries import deliver_feed, record_handed_out
from .doors import PARTNER_VHOST, find_lost_doors, open_amqp_door, provision_doors
from .fanout import follow_subject
from .fanout_approval import count_alerted, decide_approval, fan_out_waiting
from .gaps import Drop, Replay, keep_gaps, request_replay
from .inbox import mark_alert
from .partners import end_subscription, feed_partners, know_partner, subscribe, trim_feeds
from .persons import person_part

__all__ = [
    "PARTNER_VHOST",
    "Drop",
    "Replay",
    "backfill_alerts",
    "count_alerted",
    "decide_approval",
    "deliver_feed",
    "end_subscription",
    "fan_out_waiting",
    "feed_partners",
    "find_lost_doors",
    "follow_subject",
    "keep_cooperatives",
    "keep_gaps",
    "know_partner",
    "mark_alert",
    "open_amqp_door",
    "person_part",
    "provision_doors",
    "record_handed_out",
    "request_replay",
    "subscribe",
    "trim_feeds",
]
