"""From an empty folder to a finished story, and its results for machines."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from devkit.client import Client
from devkit.state import write_atomically
from shared.business_days import today

from .follow_up import call_of, explain_missing_alert, extend
from .participants import PARTNERS, Participants, PartnerQueue
from .results import PATIENCE, DemoResult, EventFanout, NotInTime, Received
from .screen import Fanouts, Screen
from .seeds_and_feeds import read_feed, seeds_of, totals_once_notified
from .system import System, taawon


def run_story(system: System, *, count: int, seed: int, screen: Screen) -> DemoResult:
    """Run the story on a running system; a second run makes no second alert."""
    participants = Participants(system)
    operator = participants.operator()
    result = DemoResult()
    screen.chapter("The register")
    import_register(system, operator, result, count=count, seed=seed, screen=screen)
    screen.chapter("Partners")
    partner_queues = {}
    clients = {}
    for card in PARTNERS:
        clients[card.slug] = participants.partner(operator, card)
        partner_queues[card.slug] = participants.partner_queue(clients[card.slug], card.slug)
        screen.partner(card.slug, card.fr, card.wanted)
    screen.chapter("An idea and the real calls")
    publish_events(operator, participants.moderator(operator), result, screen)
    copy_first_times(result, system.folder.parent / "demo.json")
    screen.chapter("Why: three alerts as their readers see them")
    screen.alerts(sample_alerts(operator, result.events))
    explain_and_extend(operator, clients["fm5"], result, screen)
    screen.chapter("What each partner received by its own login")
    for slug, client in clients.items():
        result.partners.append(receive(client, partner_queues[slug]))
    screen.received(result.partners)
    name_events(clients["fm5"], result.events)
    write_atomically(
        system.folder.parent / "demo.json",
        json.dumps(asdict(result), ensure_ascii=False, indent=2) + "\n",
        mode=0o644,
    )
    return result


def explain_and_extend(
    operator: Client, partner: Client, result: DemoResult, screen: Screen
) -> None:
    """Say why one cooperative was not alerted, and correct those that were."""
    call = call_of(result.events, "indh-agadir-2023")
    screen.chapter("Why not: one that was not alerted")
    result.why_not = explain_missing_alert(operator, call, result.events)
    screen.why_not(result.why_not)
    screen.chapter("A deadline moves: only those who were alerted of it are corrected")
    moved = extend(operator, partner, call)
    result.corrections.append(moved.correction)
    screen.correction(call.title, moved)


def import_register(
    system: System, operator: Client, result: DemoResult, *, count: int, seed: int, screen: Screen
) -> None:
    """Draw the register file, import it by the command, and wait until the audience is complete."""
    register = system.folder / f"register-{count}-{seed}.csv"
    if not register.exists():
        screen.say(f"drawing {count:,} made-up cooperatives after the published figures")
        drawn = register.with_suffix(".part")
        options = ("--count", str(count), "--seed", str(seed), "--output", str(drawn))
        # Drawn here: only the import has to be where the registry is.
        _must(
            subprocess.run([sys.executable, "-m", "cli.program", "register", "generate", *options])
        )
        drawn.rename(register)
    started = time.monotonic()
    with register.open("rb") as file:
        _must(taawon(system, "register", "import", "-", "--source", register.name, file=file))
    result.import_seconds = round(time.monotonic() - started, 2)
    (totals,) = operator.get("registry", "/cooperatives/totals")["items"]
    received = screen.wait_for_audience(
        totals["cooperatives"],
        lambda: int(operator.get("notifications", "/audience")["cooperatives"]),
        PATIENCE,
    )
    if not received:
        raise NotInTime("notifications has not received the whole register")
    result.audience_seconds = round(time.monotonic() - started, 2)
    result.register = str(register)
    result.cooperatives, result.members = totals["cooperatives"], totals["members"]
    screen.register(
        result.cooperatives, result.members, result.import_seconds, result.audience_seconds
    )


def publish_events(operator: Client, moderator: Client, result: DemoResult, screen: Screen) -> None:
    """Publish an idea, open every call, one after the other, and watch each fan out."""
    idea = seeds_of("ideas")()[0]
    calls = seeds_of("funding")(today())
    with screen.fanouts(1 + len(calls)) as show:
        result.events.append(
            watch(operator, "ideas", lambda: _publish(operator, moderator, idea), show)
        )
        for call in calls:
            result.events.append(
                watch(operator, "funding", lambda call=call: _open(operator, call), show)
            )


def copy_first_times(result: DemoResult, earlier: Path) -> None:
    """A subject fans out once: a later run repeats the time that the first one measured."""
    if not earlier.exists():
        return
    measured = {e["subject_id"]: e["seconds"] for e in json.loads(earlier.read_text())["events"]}
    for event in result.events:
        event.seconds = event.seconds or measured.get(event.subject_id, 0.0)


def watch(operator: Client, service: str, act: Any, show: Fanouts) -> EventFanout:
    """Act, then look at the totals until the fan-out is visible; `act` gives id, title, is new."""
    started = time.monotonic()
    subject_id, title, is_new = act()
    show.waiting(title)
    totals = totals_once_notified(operator, subject_id)
    elapsed = time.monotonic() - started
    event = EventFanout(
        id="",
        type="ideas.idea.published.v1" if service == "ideas" else "funding.call.opened.v1",
        title=title,
        subject_id=subject_id,
        matched=totals["matched"],
        alerted=totals["alerted"],
        duplicates=totals["repeated"],
        seconds=round(elapsed, 3) if is_new else 0.0,
        eligible=totals["eligible"],
        unknown=totals["unknown"],
    )
    show.row(event, is_new=is_new)
    return event


def _publish(operator: Client, moderator: Client, seed: Any) -> tuple[str, str, bool]:
    idea = _made_once(operator, "ideas", "/ideas", seed.payload)
    idea_id, title = idea["idea_id"], idea["title"]["fr"]
    if idea["state"] == "draft":
        idea = operator.move("ideas", f"/ideas/{idea_id}/submit", seen=idea)
    is_new = idea["state"] == "submitted"
    if is_new:
        moderator.move("ideas", f"/ideas/{idea_id}/publish", seen=idea)
    return idea_id, title, is_new


def _open(operator: Client, seed: Any) -> tuple[str, str, bool]:
    call = _made_once(operator, "funding", "/calls", seed.payload)
    call_id, title = call["call_id"], call["title"]["fr"]
    is_new = call["state"] == "draft"
    if is_new:
        operator.move("funding", f"/calls/{call_id}/open", seen=call)
    return call_id, title, is_new


def _made_once(operator: Client, service: str, path: str, payload: dict[str, Any]) -> Any:
    """What an earlier run of the demonstration made of this, whenever that was, or a new one."""
    after: dict[str, str] = {}
    while True:
        page = operator.get(service, path, limit=200, **after)
        for found in page["items"]:
            if all(found.get(name) == payload.get(name) for name in ("title", "edition")):
                return found
        if page["next"] is None:
            return operator.post(service, path, payload)
        after = {"after": page["next"]}


def sample_alerts(operator: Client, events: list[EventFanout]) -> list[dict[str, Any]]:
    """Three alerts: one in Arabic, one in French, one that asks to complete the record."""
    found: dict[str, dict[str, Any]] = {}
    for event in events:
        page = operator.get("notifications", f"/subjects/{event.subject_id}/recipients", limit=60)
        for recipient in page["items"]:
            alert = _alert_about(operator, recipient["cooperative_id"], event.subject_id)
            kind = "unknown" if alert["verdict"] == "unknown" else alert["language"]
            found.setdefault(kind, alert)
            if len(found) == 3:
                return list(found.values())
    return list(found.values())


def _alert_about(operator: Client, cooperative_id: str, subject_id: str) -> dict[str, Any]:
    page = operator.get("notifications", f"/cooperatives/{cooperative_id}/alerts")
    about = (item for item in page["items"] if item["subject_id"] == subject_id)
    alert = min(about, key=lambda item: int(item["number"]))
    cooperative = operator.get("registry", f"/cooperatives/{cooperative_id}")
    return {**alert, "cooperative": cooperative}


def receive(client: Client, partner_queue: PartnerQueue) -> Received:
    """Let the partner read its queue, and compare what it has with its feed."""
    feed = read_feed(client)
    before = {message["id"] for message in partner_queue.received}
    missing = [item for item in feed if item["id"] not in before]
    if missing:
        partner_queue.read(len(missing))
    ids = [message["id"] for message in partner_queue.received]
    accepted = {item["id"] for item in feed}
    return Received(
        slug=partner_queue.slug,
        expected=len(feed),
        received=len(set(ids) & accepted),
        duplicates=len(ids) - len(set(ids)),
    )


def name_events(client: Client, events: list[EventFanout]) -> None:
    """Give each event its CloudEvents id, as the partner who gets everything sees it."""
    ids = {
        (item["type"], item["data"].get("call_id") or item["data"].get("idea_id")): item["id"]
        for item in read_feed(client)
    }
    for event in events:
        event.id = ids.get((event.type, event.subject_id), "")


def _must(done: subprocess.CompletedProcess[Any]) -> None:
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, done.args))} ended with {done.returncode}")
