"""After the alerts: why one cooperative got none, and a deadline that moves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from devkit.client import Client
from shared.business_days import business_day, today
from shared.kernel.waiting import wait_until

from .results import PATIENCE, Correction, EventFanout, NotInTime
from .seeds_and_feeds import read_feed, seeds_of, totals_once_notified

RECIPIENTS_ASKED = 200
"""Recipients of each other event that are asked about until one does not match the call."""
EXTENSION = timedelta(days=15)
REASON = "Plus de temps pour préparer les dossiers (démonstration)"
EXTENDED = "deadline_extended"


@dataclass(frozen=True)
class Moved:
    """A deadline before and after, in the words that readers saw, and how many were alerted."""

    before: str
    after: str
    correction: Correction


def call_of(events: list[EventFanout], seed_key: str) -> EventFanout:
    """The event of the call that this seed published: its title is known, its id is not."""
    seeds = seeds_of("funding")(today())
    seed = next(seed for seed in seeds if seed.seed_key.startswith(seed_key))
    return next(event for event in events if event.title == seed.payload["title"]["fr"])


def explain_missing_alert(
    operator: Client, call: EventFanout, events: list[EventFanout]
) -> dict[str, Any]:
    """Why a cooperative that other events reached was not alerted of the call; empty if none is."""
    others = [event.subject_id for event in events if event.subject_id != call.subject_id]
    for other in others:
        page = operator.get(
            "notifications", f"/subjects/{other}/recipients", limit=RECIPIENTS_ASKED
        )
        for recipient in page["items"]:
            cooperative_id = recipient["cooperative_id"]
            path = f"/subjects/{call.subject_id}/why/{cooperative_id}"
            answer = operator.get("notifications", path, language="fr")
            if answer["because"] == "excluded":
                return {**answer, "cooperative": _name(operator, cooperative_id)}
    return {}


def _name(operator: Client, cooperative_id: str) -> str:
    record = operator.get("registry", f"/cooperatives/{cooperative_id}")
    return str(record.get("name_fr") or record.get("name_ar") or cooperative_id)


def extend(operator: Client, partner: Client, event: EventFanout) -> Moved:
    """Move the deadline once, however often the demo is run, and wait until it is known."""
    call = operator.get("funding", f"/calls/{event.subject_id}")
    wanted = _deadline(call) + EXTENSION
    zone = call["deadline"]["zone"]
    if datetime.fromisoformat(call["deadline"]["at"]) < wanted.replace(tzinfo=ZoneInfo(zone)):
        deadline = {"local": wanted.isoformat(timespec="minutes"), "zone": zone}
        body = {"deadline": deadline, "reason": REASON}
        call = operator.move("funding", f"/calls/{event.subject_id}/extend", body, seen=call)
    totals = totals_once_notified(operator, event.subject_id, version=call["version"])
    change = _event_of(partner, event.subject_id)
    corrected = sum(c["alerts"] for c in totals["corrections"] if c["kind"] == EXTENDED)
    return Moved(
        before=change["previous_deadline"]["shown"],
        after=change["call"]["deadline"]["shown"],
        correction=Correction(event.subject_id, EXTENDED, corrected),
    )


def _deadline(call: dict[str, Any]) -> datetime:
    """The local time of the deadline that the seed gave this call, moved since or not."""
    made_on = business_day(datetime.fromisoformat(call["created_at"]))
    seed = next(s for s in seeds_of("funding")(made_on) if s.payload["title"] == call["title"])
    return datetime.fromisoformat(seed.payload["deadline"]["local"])


def _event_of(partner: Client, subject_id: str) -> dict[str, Any]:
    """The event as a partner reads it: feeds are filled apart from the alerts."""
    found: list[dict[str, Any]] = []

    def is_there() -> bool:
        nonlocal found
        found = [
            item["data"]
            for item in read_feed(partner)
            if EXTENDED in item["type"] and item["data"]["call_id"] == subject_id
        ]
        return bool(found)

    if not wait_until(is_there, within=PATIENCE, every=0.1):
        raise NotInTime(f"partners have not received the new deadline of {subject_id}")
    return found[0]
