"""From an empty folder to a finished story, and its facts for machines."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from devkit.client import Client, Refused
from devkit.state import write_atomically
from shared.kernel.waiting import wait_until

from .cast import PARTNERS, Cast, Door
from .facts import PATIENCE, Facts, NotInTime, Received, Told
from .later import call_of, explain_silence, extend
from .reading import read_feed, seeds_of
from .screen import Screen
from .system import System, taawon


def tell(system: System, *, count: int, seed: int, screen: Screen) -> Facts:
    """Tell the story on a running system. Told again, it makes no second alert."""
    cast = Cast(system)
    operator = cast.operator()
    facts = Facts()
    screen.chapter("The register")
    import_register(system, operator, facts, count=count, seed=seed, screen=screen)
    screen.chapter("Partners")
    doors = {}
    clients = {}
    for card in PARTNERS:
        clients[card.slug] = cast.partner(operator, card)
        doors[card.slug] = cast.door(clients[card.slug], card.slug)
        screen.partner(card.slug, card.fr, card.wanted)
    screen.chapter("An idea and the real calls")
    announce(operator, cast.moderator(operator), facts, screen)
    keep_first_times(facts, system.folder.parent / "demo.json")
    screen.chapter("Why: three alerts as their readers see them")
    screen.alerts(sample_alerts(operator, facts.events))
    tell_later(operator, clients["fm5"], facts, screen)
    screen.chapter("What each partner received by its own login")
    for slug, client in clients.items():
        facts.partners.append(receive(client, doors[slug]))
    screen.received(facts.partners)
    name_events(clients["fm5"], facts.events)
    write_atomically(
        system.folder.parent / "demo.json",
        json.dumps(asdict(facts), ensure_ascii=False, indent=2) + "\n",
        mode=0o644,
    )
    return facts


def tell_later(operator: Client, partner: Client, facts: Facts, screen: Screen) -> None:
    """Answer for one cooperative that was not told, and correct those who were."""
    call = call_of(facts.events, "indh-agadir-2023")
    screen.chapter("Why not: one that was not told")
    facts.why_not = explain_silence(operator, call, facts.events)
    screen.why_not(facts.why_not)
    screen.chapter("A deadline moves: only those who were told of it hear of it")
    moved = extend(operator, partner, call)
    facts.corrections.append(moved.correction)
    screen.correction(call.title, moved)


def import_register(
    system: System, operator: Client, facts: Facts, *, count: int, seed: int, screen: Screen
) -> None:
    """Draw the register file, import it by the command, and wait until everybody has heard."""
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
    facts.import_seconds = round(time.monotonic() - started, 2)
    (totals,) = operator.get("registry", "/cooperatives/totals")["items"]
    heard = screen.until_heard(
        totals["cooperatives"],
        lambda: int(operator.get("notifications", "/audience")["cooperatives"]),
        PATIENCE,
    )
    if not heard:
        raise NotInTime("notifications has not heard of the whole register")
    facts.audience_seconds = round(time.monotonic() - started, 2)
    facts.register = str(register)
    facts.cooperatives, facts.members = totals["cooperatives"], totals["members"]
    screen.register(facts.cooperatives, facts.members, facts.import_seconds, facts.audience_seconds)


def announce(operator: Client, moderator: Client, facts: Facts, screen: Screen) -> None:
    """Publish an idea, open every call, one after the other, and watch each fan out."""
    idea = seeds_of("ideas")()[0]
    calls = seeds_of("funding")(datetime.now(UTC).date())
    with screen.fanouts(1 + len(calls)) as show:
        facts.events.append(
            watch(operator, "ideas", lambda: _publish(operator, moderator, idea), show)
        )
        for call in calls:
            facts.events.append(
                watch(operator, "funding", lambda call=call: _open(operator, call), show)
            )


def keep_first_times(facts: Facts, earlier: Path) -> None:
    """An event is told once: a later run repeats the time that the first one measured."""
    if not earlier.exists():
        return
    measured = {e["subject_id"]: e["seconds"] for e in json.loads(earlier.read_text())["events"]}
    for told in facts.events:
        told.seconds = told.seconds or measured.get(told.subject_id, 0.0)


def watch(operator: Client, service: str, act: Any, show: Any) -> Told:
    """Act, then look at the totals until the fan-out is visible."""
    started = time.monotonic()
    subject_id, title, is_new = act()
    show.waiting(title)
    totals = _totals_when_told(operator, subject_id)
    elapsed = time.monotonic() - started
    told = Told(
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
    show.told(told, is_new=is_new)
    return told


def _totals_when_told(operator: Client, subject_id: str) -> dict[str, Any]:
    seen: dict[str, Any] = {}

    def is_told() -> bool:
        nonlocal seen
        try:
            seen = operator.get("notifications", f"/subjects/{subject_id}/totals")
        except Refused as refusal:
            if refusal.status != 404:
                raise
            return False
        return seen["notified_version"] is not None

    if not wait_until(is_told, within=PATIENCE, every=0.01):
        raise NotInTime(f"{subject_id} was not told within {PATIENCE:.0f} s")
    return seen


def _publish(operator: Client, moderator: Client, seed: Any) -> tuple[str, str, bool]:
    idea = operator.post(
        "ideas", "/ideas", seed.payload, **{"Idempotency-Key": str(seed.idempotency_key)}
    )
    idea_id, title = idea["idea_id"], idea["title"]["fr"]
    if idea["state"] == "draft":
        idea = operator.post("ideas", f"/ideas/{idea_id}/submit")
    is_new = idea["state"] == "submitted"
    if is_new:
        moderator.post("ideas", f"/ideas/{idea_id}/publish")
    return idea_id, title, is_new


def _open(operator: Client, seed: Any) -> tuple[str, str, bool]:
    call = operator.post(
        "funding", "/calls", seed.payload, **{"Idempotency-Key": str(seed.idempotency_key)}
    )
    call_id, title = call["call_id"], call["title"]["fr"]
    is_new = call["state"] == "draft"
    if is_new:
        operator.post("funding", f"/calls/{call_id}/open")
    return call_id, title, is_new


def sample_alerts(operator: Client, events: list[Told]) -> list[dict[str, Any]]:
    """Three alerts: one in Arabic, one in French, one that asks to complete the record."""
    found: dict[str, dict[str, Any]] = {}
    for told in events:
        page = operator.get("notifications", f"/subjects/{told.subject_id}/recipients", limit=60)
        for recipient in page["items"]:
            alert = _alert_about(operator, recipient["cooperative_id"], told.subject_id)
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


def receive(client: Client, door: Door) -> Received:
    """Let the partner read its queue, and compare what it has with its feed."""
    feed = read_feed(client)
    before = {message["id"] for message in door.received}
    missing = [item for item in feed if item["id"] not in before]
    if missing:
        door.read(len(missing))
    ids = [message["id"] for message in door.received]
    accepted = {item["id"] for item in feed}
    return Received(
        slug=door.slug,
        expected=len(feed),
        received=len(set(ids) & accepted),
        duplicates=len(ids) - len(set(ids)),
    )


def name_events(client: Client, events: list[Told]) -> None:
    """Give each event its CloudEvents id, as the partner who gets everything sees it."""
    ids = {
        (item["type"], item["data"].get("call_id") or item["data"].get("idea_id")): item["id"]
        for item in read_feed(client)
    }
    for told in events:
        told.id = ids.get((told.type, told.subject_id), "")


def _must(done: subprocess.CompletedProcess[Any]) -> None:
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, done.args))} ended with {done.returncode}")
